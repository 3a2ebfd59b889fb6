"""Threads: how they start, in what order they run, and what is left of them when they end."""

import re

import pytest

from rcdbg.testing import (
    BootKernel,
    exited,
    frame_free,
    switch,
    thread_add,
    thread_exit,
    trap_leave,
)
from tests.traces.words import FAST, SOON, UNDISTURBED, is_fifo, is_mapped, running, stack_of

pytestmark = pytest.mark.every_kernel

SPIE = 1 << 5
"""sstatus: whether interrupts are on after sret (privileged spec, 4.1.1)."""


def test_a_thread_starts_on_its_own_stack_with_interrupts_on(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=3 {UNDISTURBED}")
    started: list[int] = []
    while len(started) < 3:
        to = run.until(switch(), ticks=SOON).fields["to"]
        context = run.state().trap.context
        assert context is not None
        assert context.sstatus is not None
        assert context.sstatus.value & SPIE, (
            f"thread {to} starts with interrupts off: sstatus.SPIE is clear"
        )
        started.append(to)
        stack = stack_of(running(run.state()))
        assert context.x[2] == stack.end, f"thread {to} starts at the end of its stack"
    assert sorted(started) == [1, 2, 3]


def test_threads_start_with_sp_in_their_stacks(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=3 {UNDISTURBED}")
    run.collect(thread_add(), count=3, ticks=SOON)
    run.until(trap_leave(), ticks=SOON)
    for thread in run.state().processor.threads:
        if thread.is_idle or thread.context is None:
            continue
        sp, stack = thread.context.x[2], stack_of(thread)
        assert sp in stack, (
            f"thread {thread.id} starts with sp {sp:#x}, outside of its stack"
            f" {stack.start:#x}..{stack.end:#x}"
        )


def test_threads_run_in_the_order_in_which_they_became_ready(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=8 {UNDISTURBED}")
    switches = run.collect(switch(), until=exited(), ticks=SOON)
    order = [event.fields["to"] for event in switches]
    if is_fifo_of(run.console, order):
        return
    pytest.fail(f"threads that became ready as 1 to 8 ran in the order {order}", pytrace=False)


def is_fifo_of(console: str, order: list[int]) -> bool:
    said = [int(n) for n in re.findall(r"hello from kernel thread (\d+)", console)]
    return order == said == list(range(1, 9))


def test_preempted_threads_take_turns(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", f"threads=3 {FAST}")
    run.until(switch(), ticks=SOON)
    if is_fifo(run):
        order = [e.fields["to"] for e in run.collect(switch(), count=9, ticks=SOON)]
        assert order == [2, 3, 1] * 3, f"three threads that never yield went on as {order}"
        return
    turns = {1: 0, 2: 0, 3: 0}
    for _ in range(24):
        run.until(trap_leave(), ticks=SOON)
        turns[running(run.state()).id or 0] += 1
    assert turns[3] > 2 * turns[1] > 0, (
        f"thread 3 has three times the priority of thread 1, but {turns[3]} turns to its {turns[1]}"
    )


def test_a_switch_names_its_reason(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", f"threads=2 {FAST}")
    assert run.until(switch(), ticks=SOON).fields["why"] == "start"
    assert run.until(switch(), ticks=SOON).fields["why"] == "timer"
    run = rcdbg_boot("threads", f"threads=2 {UNDISTURBED}")
    assert run.until(switch(), ticks=SOON).fields["why"] == "start"
    assert run.until(switch(), ticks=SOON).fields["why"] == "exit"


def test_a_thread_that_has_ended_never_runs_again(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=4 {UNDISTURBED}")
    ended: set[int] = set()
    for event in run.collect(switch() | thread_exit(), until=exited(), ticks=SOON):
        if event.kind == "thread_exit":
            ended.add(event.fields["id"])
        else:
            to = event.fields["to"]
            assert to not in ended, f"thread {to} ran again after it had ended"
    assert ended == {1, 2, 3, 4}, f"only {sorted(ended)} of four threads ended"


def test_an_ended_thread_gives_its_stack_back(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=3 {UNDISTURBED}")
    run.until(switch(to=1), ticks=SOON)
    state = run.state()
    stack = stack_of(running(state))
    pages = (stack.end - stack.start) // 4096
    memory = run.kernel().memory
    frames = {memory.physical(va) >> 12 for va in range(stack.start, stack.end, 4096)}
    run.until(thread_exit(1), ticks=SOON)
    freed = {e.fields["ppn"] for e in run.collect(frame_free(), until=switch(to=3), ticks=SOON)}
    back = len(frames & freed)
    assert back == pages, f"of the {pages} frames of the stack of thread 1, {back} were given back"
    state = run.state()
    assert 1 not in {t.id for t in state.processor.threads}
    assert not is_mapped(state, stack.start), (
        f"{stack.start:#x} is still mapped after it was unmapped: the stack of thread 1"
    )
