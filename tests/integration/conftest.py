"""What several integration tests start from."""

import pytest

from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Run
from tests.conftest import MEMORY
from tests.support.frozen import Frozen
from tests.support.in_gdb import GDBS, InGdb


@pytest.fixture
def frozen(rcdbg_boot: BootKernel) -> Frozen:
    """A copy of a kernel some of whose threads sleep, stopped at its second tick."""
    run = rcdbg_boot("sleepers", "interval=200000")
    for _ in range(2):
        run.until(trap("timer"))
    return Frozen.of(run.machine)


@pytest.fixture
def run(request: pytest.FixtureRequest, rcdbg_boot: BootKernel) -> Run:
    """Three threads that are preempted, stopped at the third tick; a parameter is the memory."""
    run = rcdbg_boot("preempt", "interval=20000", getattr(request, "param", MEMORY))
    for _ in range(3):
        run.until(trap("timer"))
    return run.machine


@pytest.fixture(params=list(GDBS.values()), ids=list(GDBS))
def gdb(request: pytest.FixtureRequest) -> str:
    """The program: both gdbs that have to work, one after the other."""
    return str(request.param)


@pytest.fixture
def in_gdb(gdb: str, run: Run) -> InGdb:
    """The kernel of `run`, for gdb to look at."""
    return InGdb(gdb, run)
