"""Kernels that stand, for a gdb to connect to."""

from collections.abc import Callable

import pytest

from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from tests.support.in_gdb import InGdb

Start = Callable[..., InGdb]


@pytest.fixture
def start(gdb: str, rcdbg_boot: BootKernel) -> Start:
    """Boots a scenario; the kernel then stands before its first instruction, or at a tick."""

    def boot(scenario: str, append: str = "", ticks: int = 0) -> InGdb:
        run = rcdbg_boot(scenario, append)
        for _ in range(ticks):
            run.until(trap("timer"))
        return InGdb(gdb, run.machine, last="detach")

    return boot


@pytest.fixture
def ticked(start: Start) -> InGdb:
    """Three threads that are preempted, at the third tick."""
    return start("preempt", "interval=20000", ticks=3)
