"""What several integration tests start from."""

import pytest

from rcdbg.pytest_plugin import BootKernel
from rcdbg.trace.events import trap
from tests.support.frozen import Frozen
from tests.support.in_gdb import GDBS, InGdb


@pytest.fixture
def frozen(rcdbg_boot: BootKernel) -> Frozen:
    """A copy of a kernel some of whose threads sleep, stopped at its second tick."""
    run = rcdbg_boot("sleepers", "interval=200000")
    for _ in range(2):
        run.until(trap("timer"))
    return Frozen.of(run)


@pytest.fixture(params=list(GDBS.values()), ids=list(GDBS))
def gdb(request: pytest.FixtureRequest) -> str:
    """The program: both gdbs that have to work, one after the other."""
    return str(request.param)


@pytest.fixture
def in_gdb(gdb: str, rcdbg_boot: BootKernel) -> InGdb:
    """Three threads that are preempted, at the third tick, for gdb to look at."""
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(3):
        run.until(trap("timer"))
    return InGdb(gdb, run)
