"""The words of a story over recorded runs: each where it holds, and where it fails."""

from itertools import pairwise
from typing import Any

import pytest

from rcdbg.errors import UsageError
from rcdbg.image.resolve import resolve
from rcdbg.machine.host.deadline import Deadline
from rcdbg.riscv import causes
from rcdbg.trace import conditions
from rcdbg.trace.conditions import exited, reached
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.patterns import (
    console,
    hit,
    switch,
    thread_add,
    thread_exit,
    trap_enter,
    trap_leave,
)
from rcdbg.trace.run import Runner
from rcdbg.trace.story.invariants import invariant
from rcdbg.trace.story.story import Story, StoryError
from rcdbg.trace.story.waiting import Limit, OverdueError, wait_stop
from tests.support.order import in_order
from tests.support.played_story import HangingRunner, story_of
from tests.support.recordings import Played, image, recorded
from tests.unit.recorded.runs import said


@pytest.fixture
def run() -> Story:
    """Three threads that take turns for six ticks; the first of them has just started."""
    story = story_of("preempt")
    story.until(switch(to=1))
    return story


def breakpoints(story: Story) -> dict[int, int]:
    stage: Any = story.machine
    found: dict[int, int] = stage.runner.breakpoints
    return found


def test_until_stands_at_the_event(run: Story) -> None:
    event = run.until(trap_enter(cause="timer"))
    assert (event.kind, event.thread) == ("trap_enter", 1)
    assert run.kernel().csr("scause") == causes.named("timer")
    assert run.kernel().registers.pc == event.pc
    assert run.ticks == event.ticks
    assert run.history[-1] == event


def test_no_word_leaves_a_breakpoint_behind(run: Story) -> None:
    assert not breakpoints(run)
    run.until(trap_enter())
    run.until(reached("handle_interrupt"))
    run.collect(switch(), count=1)
    with pytest.raises(StoryError):
        run.until(switch(to=9), ticks=1000)
    assert not breakpoints(run)


def test_two_events_of_one_moment_come_one_after_the_other(run: Story) -> None:
    run.until(trap_enter())
    left = run.until(trap_leave())
    switched = run.until(switch(), ticks=0)
    assert (switched.pc, switched.ticks) == (left.pc, left.ticks)


def test_collect_to_the_end_and_in_a_time(run: Story) -> None:
    """`6 ticks, shutting down`, says the kernel; there is one each 100,000 ticks of its clock."""
    assert "6 ticks, shutting down" in said("preempt")
    few = run.collect(trap_enter(cause="timer"), ticks=350_000)
    assert len(few) == 3
    assert all((b.ticks or 0) - (a.ticks or 0) > 90_000 for a, b in pairwise(few))
    rest = run.collect(trap_enter(cause="timer"), until=exited())
    assert len(few + rest) == 6
    assert run.exit_status == 0
    assert run.collect(switch()) == []


def test_collect_by_count_that_does_not_come(run: Story) -> None:
    words = r"expected 7 x trap_enter.*, but the kernel ended with status 0; it said: .* passed"
    with pytest.raises(StoryError, match=words + ", after 6 x trap_enter"):
        run.collect(trap_enter(cause="timer"), count=7)


def test_order(run: Story) -> None:
    found = run.expect_order(switch(to=2), switch(to=3), switch(to=1))
    assert [event.fields["from"] for event in found] == [1, 2, 3]
    with pytest.raises(StoryError, match=r"switch:to=2 came before switch:to=3, at .* in thread 1"):
        run.expect_order(switch(to=3), switch(to=2))
    assert run.expect_order() == []


def test_order_that_the_end_cuts_short() -> None:
    run = story_of("threads")
    with pytest.raises(StoryError, match=r"but the kernel ended .* before thread_exit:id=9"):
        run.expect_order(thread_exit(3), thread_exit(9))


def test_never(run: Story) -> None:
    run.never(trap_enter(cause="page fault"), until=switch(to=3))
    run.never(trap_enter(cause="page fault"), ticks=100_000)
    with pytest.raises(StoryError, match=r"expected no switch:to=2 before .*exit, but it came at"):
        run.never(switch(to=2), until=thread_exit())


def test_never_to_the_end() -> None:
    run = story_of("threads")
    run.never(trap_enter(cause="page fault"))
    assert run.exit_status == 0
    with pytest.raises(StoryError, match="expected no thread_add, but it came"):
        story_of("threads").never(thread_add())
    with pytest.raises(StoryError, match="expected switch:to=9, but the kernel ended"):
        story_of("threads").never(trap_enter(cause="page fault"), until=switch(to=9))


def test_eventually_also_looks_back(run: Story) -> None:
    assert run.eventually(switch(to=1)) in run.history
    assert run.eventually(switch(to=3), ticks=1_000_000).ticks == run.ticks
    with pytest.raises(StoryError):
        run.eventually(switch(to=9), ticks=100)


def test_a_time_that_is_over_is_said_with_the_place(run: Story) -> None:
    words = r"expected switch:to=9 within 100,000 ticks \(10 ms\); the kernel is at 0xf+80\w+ <\w+"
    with pytest.raises(StoryError, match=words):
        run.until(switch(to=9), ticks=100_000)


def test_within_holds_for_all_inside(run: Story) -> None:
    with run.within(ticks=400_000):
        run.until(switch(to=2))
        run.until(switch(to=3))
    with pytest.raises(StoryError, match="within"), run.within(ticks=50_000):
        run.until(switch(to=2))


def test_ends() -> None:
    run = story_of("fault")
    assert run.until(exited(status=0)) is None
    assert run.exit_status == 0
    words = "expected a shutdown with status 1, but the kernel ended with status 0; it said: scenar"
    with pytest.raises(StoryError, match=words):
        run.until(exited(status=1))
    assert run.ticks == run.history[-1].ticks, "the clock stands at the last stop"


def test_conditions_and_events_together(run: Story) -> None:
    kernel = run.until(conditions.trap("timer"))
    assert kernel is not None
    assert kernel.registers.pc == resolve(image(), "handle_interrupt")
    assert run.history[-1].kind == "trap_enter"
    kernel = run.until(conditions.switch(to=3))
    assert kernel is not None
    current = run.state().processor.current
    assert current is not None
    assert current.id == 3
    again = run.until(reached("handle_interrupt", 2))
    assert again is not None
    with pytest.raises(StoryError, match="expected scenarios::run, but the kernel ended"):
        run.until(reached("scenarios::run"))


@pytest.mark.parametrize("kinds", ["traps,threads,satp", "console"])
def test_what_the_kernel_prints_is_in_the_history_without_what_the_firmware_says(
    kinds: str,
) -> None:
    """Whether lines are events of their own, or heard at the next stop."""
    run = story_of("sleepers", parse_kinds(kinds))
    run.until(exited(status=0))
    lines = [event.fields["text"] for event in run.history if event.kind == "console"]
    assert lines == said("sleepers")
    assert in_order(run.history)
    late = {event.marks for event in run.history if event.kind == "console"}
    assert late == ({()} if kinds == "console" else {("heard at this stop",)})


def test_a_line_can_be_waited_for() -> None:
    run = story_of("sleepers")
    event = run.until(console("thread 2 woke at tick 4"))
    assert event.thread == 2
    run.never(console("thread 3 woke"), until=console("thread 1 woke"))


def test_a_rule_is_looked_at_from_then_on(run: Story) -> None:
    @invariant(at="switch")
    def thread_3_never_runs(story: Story) -> None:
        current = story.state().processor.current
        assert current is None or current.id != 3, "thread 3 runs"

    run.until(switch(to=3))
    run.always(thread_3_never_runs)
    with pytest.raises(StoryError, match="thread_3_never_runs is broken: thread 3 runs; seen at"):
        run.collect(trap_enter(), count=10)
    assert run.history[-1].fields["to"] == 3
    assert not breakpoints(run)


def test_what_does_not_exist_is_said_at_once(run: Story) -> None:
    before = run.ticks
    with pytest.raises(UsageError, match="no_such_function"):
        run.until(hit("no_such_function"))
    with pytest.raises(UsageError, match="no trap cause"):
        run.until(conditions.trap("no such cause"))
    assert run.ticks == before


def hanging(step: int, lasts: int = 1000) -> HangingRunner:
    runner = HangingRunner(Played(recorded("threads")), step, lasts)
    runner.resume()
    return runner


def test_a_guest_that_hangs_is_overdue_by_its_own_time() -> None:
    runner: HangingRunner = hanging(step=1000)
    as_one: Runner = runner
    with pytest.raises(OverdueError) as caught:
        wait_stop(as_one, Limit(0, 4500, Deadline(1e6)))
    assert (caught.value.ticks, caught.value.by_host) == (5000, False)
    assert not runner.running
    assert runner.waits == sorted(runner.waits), "it is looked at less and less often"
    assert max(runner.waits) <= 1


def test_a_guest_whose_time_stands_is_overdue_by_the_hosts() -> None:
    runner = hanging(step=0)
    with pytest.raises(OverdueError) as caught:
        wait_stop(runner, Limit(0, 4500, Deadline(0)))
    assert caught.value.by_host


def test_a_guest_that_ends_while_it_is_waited_for() -> None:
    assert wait_stop(hanging(step=1, lasts=3), Limit(0, 4500, Deadline(1e6))).reason == "exited"
