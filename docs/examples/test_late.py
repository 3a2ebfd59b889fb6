"""A test that fails, to see how: thread 4 is awaited, and there are three."""

from rcdbg.testing import switch


def test_the_fourth_thread_runs(rcdbg_boot):
    run = rcdbg_boot("preempt", "threads=3 interval=100000")
    run.until(switch(to=4), ticks=10_000_000)
