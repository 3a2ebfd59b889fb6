"""What threads do in a kernel that preempts them: the example of docs/testing-your-kernel.md."""

import pytest

from rcdbg.testing import exited, hit, switch, trap_enter

THREE = "threads=3 interval=100000"


def test_threads_take_turns(rcdbg_boot):
    run = rcdbg_boot("preempt", THREE)
    run.expect_order(switch(to=1), switch(to=2), switch(to=3), switch(to=1))


def test_timer_comes_in_time(rcdbg_boot):
    run = rcdbg_boot("preempt", THREE)
    ticks = run.collect(trap_enter(cause="timer"), count=5)
    for before, after in zip(ticks, ticks[1:], strict=False):
        assert 90_000 < after.ticks - before.ticks < 110_000


def test_a_lost_register_is_noticed(rcdbg_boot):
    run = rcdbg_boot("preempt", THREE)
    run.until(hit("spin_with_pattern"))
    run.until(trap_enter(cause="timer"))
    run.registers["s5"] ^= 1
    run.until(exited(status=1), ticks=20_000_000)
    assert "thread 1" in run.console


@pytest.mark.rcdbg_invariants
def test_nothing_is_leaked_by_threads_that_end(rcdbg_boot):
    run = rcdbg_boot("threads", "threads=4")
    run.never(trap_enter(cause="page fault"))
