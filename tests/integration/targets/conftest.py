"""A kernel that runs, and that nobody debugs."""

import pytest

from rcdbg.trace.run import Run
from tests.integration.targets.ways import is_running, let_go


@pytest.fixture
def stranger(run: Run) -> Run:
    """A kernel that runs, and nobody debugs it."""
    let_go(run)
    assert is_running(run)
    return run
