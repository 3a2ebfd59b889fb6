"""A kernel whose threads are in several places."""

from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Run


def sleepers_at_a_tick(boot: BootKernel) -> Run:
    """Threads in several places: asleep on a clock, on a condition, and the idle one running."""
    run = boot("sleepers", "interval=200000")
    for _ in range(3):
        run.until(trap("timer"))
    return run.machine
