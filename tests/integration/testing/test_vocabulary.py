"""The words that a test of a kernel has, each where it holds and where it fails."""

from itertools import pairwise

import pytest

from rcdbg.errors import MemoryReadError, UsageError
from rcdbg.testing import (
    BootKernel,
    Story,
    StoryError,
    console,
    exited,
    hit,
    invariant,
    reached,
    switch,
    trap_enter,
    trap_leave,
)

FAST = "threads=3 interval=100000"


@pytest.fixture
def preempted(rcdbg_boot: BootKernel) -> Story:
    """Three threads that take turns; the first of them has just started."""
    run = rcdbg_boot("preempt", FAST)
    run.until(switch(to=1))
    return run


def test_until_stands_at_the_event(preempted: Story) -> None:
    event = preempted.until(trap_enter(cause="timer"))
    assert (event.kind, event.thread) == ("trap_enter", 1)
    assert preempted.kernel().csr("scause") == 1 << 63 | 5
    assert preempted.registers["pc"] == event.pc == preempted.registers["stvec"] & ~3
    assert preempted.ticks == event.ticks
    assert preempted.history[-1] == event


def test_two_events_of_one_moment_come_one_after_the_other(preempted: Story) -> None:
    preempted.until(trap_enter())
    left = preempted.until(trap_leave())
    switched = preempted.until(switch(), ticks=0)
    assert (switched.pc, switched.ticks) == (left.pc, left.ticks)


def test_collect_by_count_by_end_and_by_time(preempted: Story, rcdbg_boot: BootKernel) -> None:
    timers = preempted.collect(trap_enter(cause="timer"), count=4)
    ticks = [event.ticks for event in timers]
    assert len(timers) == 4
    assert all(b - a > 90_000 for a, b in pairwise(ticks) if a and b)
    begun = preempted.ticks
    few = preempted.collect(trap_enter(cause="timer"), ticks=450_000)
    assert len(few) in (3, 4)
    assert all(e.ticks is not None and e.ticks <= begun + 450_000 for e in few)
    threads = rcdbg_boot("threads", "threads=4")
    switches = threads.collect(switch(), until=exited())
    assert [e.fields["to"] for e in switches][:4] == [1, 2, 3, 4]
    with pytest.raises(StoryError, match="status 0; it said"):
        threads.collect(switch(), count=1)


def test_order(preempted: Story) -> None:
    found = preempted.expect_order(switch(to=2), switch(to=3), switch(to=1))
    assert [event.fields["from"] for event in found] == [1, 2, 3]
    with pytest.raises(StoryError, match="switch:to=2 came before switch:to=3"):
        preempted.expect_order(switch(to=3), switch(to=2))


def test_never(preempted: Story) -> None:
    preempted.never(trap_enter(cause="page fault"), until=switch(to=3))
    preempted.never(trap_enter(cause="page fault"), ticks=1_000_000)
    with pytest.raises(StoryError, match=r"expected no switch:to=2 in .*, but it came"):
        preempted.never(switch(to=2), ticks=10_000_000)


def test_never_until_the_end(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", "threads=2")
    run.never(trap_enter(cause="page fault"))
    assert run.exit_status == 0


def test_eventually_also_looks_back(preempted: Story) -> None:
    assert preempted.eventually(switch(to=1)) in preempted.history
    assert preempted.eventually(switch(to=3), ticks=1_000_000).ticks == preempted.ticks
    with pytest.raises(StoryError):
        preempted.eventually(switch(to=9), ticks=100_000)


def test_within_holds_for_all_inside(preempted: Story) -> None:
    with preempted.within(ticks=1_000_000):
        preempted.until(switch(to=2))
        preempted.until(switch(to=3))
    with pytest.raises(StoryError, match="within"), preempted.within(ticks=250_000):
        preempted.collect(switch(), count=9)


def test_the_story_is_the_same_each_time(rcdbg_boot: BootKernel) -> None:
    def story() -> list[tuple[str, int | None]]:
        run = rcdbg_boot("preempt", FAST)
        run.collect(switch(), count=12)
        return [(e.kind, e.thread) for e in run.history]

    assert story() == story()


def test_typing_to_the_kernel(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("console")
    run.until(hit("scenarios::run"))
    run.type("hello, kernel\r")
    run.until(exited(status=0))
    assert "hello, kernel" in run.console
    run.eventually(console("hello, kernel"))


def test_a_register_that_is_lost_is_noticed(preempted: Story) -> None:
    """The kernel's own witness tells of a fault that was injected."""
    preempted.until(trap_enter(cause="timer"))
    preempted.registers["s5"] ^= 1
    with pytest.raises(StoryError, match="status 1"):
        preempted.until(switch(to=9), ticks=20_000_000)


def test_memory_is_changed_where_it_lies(preempted: Story) -> None:
    stack = preempted.kernel().registers.x[2] - 64
    preempted.memory.write(stack, b"0123456789abcdef")
    assert preempted.memory.read(stack, 16) == b"0123456789abcdef"
    with pytest.raises(MemoryReadError):
        preempted.memory.write(0x10, b"nothing is mapped here")


def test_instructions_can_be_replaced(preempted: Story) -> None:
    """An `ebreak` in a function that has run already: QEMU must not run what it has translated."""
    spin = preempted.until(hit("spin_with_pattern"))
    preempted.until(switch(to=2))
    preempted.memory.write(spin.pc, (0x0010_0073).to_bytes(4, "little"))
    assert preempted.until(trap_enter(cause="breakpoint")).fields["sepc"] == spin.pc


def test_numbers_by_path(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", "ticks=5 interval=100000")
    run.until(trap_enter(cause="timer"))
    name = next(n for n in ("TICKS", "timer::TICKS") if _is_there(run, n))
    before = run.read(name)
    run.write(name, before + 40)
    assert run.read(name) == before + 40
    with pytest.raises(UsageError):
        run.write(name, 1 << 70)
    with pytest.raises(UsageError):
        run.read("NO_SUCH_STATIC")


def _is_there(run: Story, name: str) -> bool:
    try:
        run.read(name)
    except UsageError:
        return False
    return True


@pytest.mark.rcdbg_invariants
@pytest.mark.parametrize(
    "scenario", ["threads", "preempt ticks=9 interval=100000", "sleepers interval=200000", "fault"]
)
def test_shipped_invariants_hold(rcdbg_boot: BootKernel, scenario: str) -> None:
    rcdbg_boot(append=f"scenario={scenario}").until(exited(status=0))


def test_an_own_invariant(preempted: Story) -> None:
    @invariant(at="switch")
    def thread_3_never_runs(run: Story) -> None:
        current = run.state().processor.current
        assert current is None or current.id != 3, "thread 3 runs"

    preempted.always(thread_3_never_runs)
    with pytest.raises(StoryError, match="thread_3_never_runs is broken: thread 3 runs; seen at"):
        preempted.collect(trap_enter(), count=10)
    assert preempted.history[-1].fields["to"] == 3


def test_a_shipped_invariant_notices_a_thread_that_runs_and_is_parked(preempted: Story) -> None:
    from rcdbg.testing import parked_threads_can_go_on

    preempted.until(switch(to=2))
    (parked,) = [t for t in preempted.state().processor.threads if t.id == 1]
    assert parked.context is not None
    sp = parked.context.address + 2 * 8
    preempted.memory.write(sp, (0x1234_5670).to_bytes(8, "little"))
    preempted.always(parked_threads_can_go_on)
    with pytest.raises(StoryError, match=r"thread 1.context sp 0x12345670 is outside its stack"):
        preempted.until(switch(to=3))


def test_conditions_and_events_together(preempted: Story) -> None:
    preempted.until(trap_enter(cause="timer"))
    kernel = preempted.until(reached("handle_interrupt"))
    assert kernel is not None
    assert preempted.state().trap.context is not None


def test_what_does_not_exist_is_said_at_once(preempted: Story) -> None:
    with pytest.raises(UsageError, match="no_such_function"):
        preempted.until(hit("no_such_function"))
    with pytest.raises(UsageError, match="no field"):
        preempted.until(trap_enter(colour="red"))
