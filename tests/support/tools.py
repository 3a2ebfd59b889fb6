"""Programs that the tests ask, or type into."""

import shutil

import pytest


def tool(name: str) -> str:
    """The program's path; the test fails where it is missing, for a skip would hide that."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed: make setup")
    return path
