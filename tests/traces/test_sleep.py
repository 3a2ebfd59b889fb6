"""Sleeping: out of the ready queue until someone wakes the thread, and then back in it."""

import re

import pytest

from rcdbg.testing import BootKernel, exited, sleep, switch, trap_leave, wake
from tests.traces.words import FAST, INTERVAL, SOON

pytestmark = pytest.mark.every_kernel


def test_sleeping_threads_are_where_they_belong(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("sleepers", FAST)
    seen: set[int | None] = set()
    while len(seen) < 3:
        run.until(trap_leave(), ticks=SOON)
        processor = run.state().processor
        ready = {t.id for t in processor.ready}
        for thread in processor.sleeping:
            assert thread.id not in ready, f"thread {thread.id} sleeps and is ready"
            assert thread.sleeping is True
            assert thread.context is not None, f"thread {thread.id} sleeps without a Context"
            seen.add(thread.id)


def test_a_thread_that_sleeps_does_not_run(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("sleepers", FAST)
    asleep: set[int] = set()
    for event in run.collect(sleep() | wake() | switch(), until=exited(), ticks=SOON):
        if event.kind == "sleep":
            asleep.add(event.fields["id"])
        elif event.kind == "wake":
            asleep.discard(event.fields["id"])
        else:
            to = event.fields["to"]
            assert to not in asleep, f"thread {to} ran while it slept: nobody had woken it"
    assert not asleep, f"threads {sorted(asleep)} still slept at the end"


def test_a_thread_that_is_woken_runs_again(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("sleepers", FAST)
    run.until(switch(), ticks=SOON)
    asleep: set[int] = set()
    woken: set[int] = set()
    count = 0
    for event in run.collect(sleep() | wake() | switch(), ticks=12 * INTERVAL):
        if event.kind == "sleep":
            asleep.add(event.fields["id"])
        elif event.kind == "wake":
            asleep.discard(event.fields["id"])
            woken.add(event.fields["id"])
            count += 1
        else:
            woken.discard(event.fields["to"])
    still = {t.id for t in run.state().processor.sleeping} if run.exit_status is None else set()
    for thread in sorted(asleep - still):
        pytest.fail(f"thread {thread} sleeps no more, and never became ready", pytrace=False)
    assert not woken, f"thread {min(woken)} was woken and never ran"
    assert count == 5, "three sleepers, the notifier, and the one that it notifies"


def test_a_thread_wakes_at_the_tick_it_asked_for(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("sleepers", FAST)
    run.until(exited(), ticks=SOON)
    asked = dict(re.findall(r"thread (\d+) sleeps until tick (\d+)", run.console))
    woke = dict(re.findall(r"thread (\d+) woke at tick (\d+)", run.console))
    for thread, tick in asked.items():
        assert woke.get(thread) == tick, (
            f"thread {thread} wanted to sleep until tick {tick} and woke at tick"
            f" {woke.get(thread, 'none')}"
        )
    assert run.exit_status == 0, f"the kernel ended with status {run.exit_status}"
