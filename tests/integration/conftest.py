"""What several integration tests start from."""

import pytest

from rcdbg.pytest_plugin import BootKernel
from rcdbg.trace.events import trap
from tests.support.frozen import Frozen


@pytest.fixture
def frozen(rcdbg_boot: BootKernel) -> Frozen:
    """A copy of a kernel some of whose threads sleep, stopped at its second tick."""
    run = rcdbg_boot("sleepers", "interval=200000")
    for _ in range(2):
        run.until(trap("timer"))
    return Frozen(run)
