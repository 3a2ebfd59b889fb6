"""The timer: armed, taken, armed again, each interval."""

import re
from itertools import pairwise

import pytest

from rcdbg.testing import BootKernel, exited, timer_set, trap_enter, trap_leave
from tests.traces.words import FAST, INTERVAL, SOON

pytestmark = pytest.mark.every_kernel

STIE = 1 << 5
"""sie's bit for the supervisor timer interrupt (privileged spec, 4.1.3)."""


def test_the_timer_is_on_when_the_first_thread_starts(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", FAST)
    run.until(trap_leave(), ticks=SOON)
    sie = run.registers["sie"]
    assert sie & STIE, f"sie.STIE is clear (sie is {sie:#x}) when the first thread starts"


def test_the_timer_is_set_an_interval_ahead(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", FAST)
    for _ in range(4):
        call = run.until(timer_set(), ticks=SOON)
        assert call.ticks is not None
        ahead = call.fields["deadline"] - call.ticks
        assert 0.9 * INTERVAL < ahead <= INTERVAL, (
            f"the timer was set {ahead} ticks ahead, and the interval is {INTERVAL}"
        )


def test_each_timer_interrupt_sets_the_timer_again(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", FAST)
    for _ in range(4):
        run.until(trap_enter(cause="timer"), ticks=SOON)
        event = run.until(timer_set() | trap_leave(), ticks=SOON)
        assert event.kind == "timer_set", "the timer was not set again before the trap's end"


def test_timer_interrupts_come_once_in_an_interval(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", FAST)
    ticks = [e.ticks for e in run.collect(trap_enter(cause="timer"), count=6, ticks=SOON)]
    for earlier, later in pairwise(ticks):
        assert earlier is not None
        assert later is not None
        period = later - earlier
        assert INTERVAL <= period < 1.1 * INTERVAL, (
            f"a timer interrupt came {period} ticks after the one before, and the interval is"
            f" {INTERVAL}"
        )


def test_the_kernel_counts_and_times_its_ticks(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", f"ticks=6 {FAST}")
    run.until(exited(status=0), ticks=SOON)
    said = re.findall(r"tick (\d+) at time (\d+)", run.console)
    assert [int(number) for number, _ in said] == [1, 2, 3, 4, 5, 6]
    times = [int(time) for _, time in said]
    assert all(later - earlier >= INTERVAL for earlier, later in pairwise(times))
