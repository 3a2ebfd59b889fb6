"""Markers and the kernels that the integration tests run on."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "every_kernel: holds for every kernel of the kind; also run on the variants of ours",
    )
