"""What a trace amounts to, against figures worked out by hand."""

import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.trace.analysis.stats import Spread, spread, statistics
from rcdbg.trace.record import TraceEvent
from tests.unit.trace.events import event, header, leave, story, trap


def test_counts_and_run_times_of_the_story() -> None:
    found = statistics(header(), story().events)
    assert found.events == 25
    assert found.counts["switch"] == 6
    assert found.ticks == 5200 - 100
    # Thread 1: 200 to 1040, 2040 to 3040, 4040 to 4750; thread 2 the rest; boot before.
    assert {run.thread: (run.ticks, run.runs) for run in found.run_times} == {
        1: (840 + 1000 + 710, 3),
        2: (1000 + 1000 + 450, 3),
        None: (100, 0),
    }
    assert sum(run.ticks for run in found.run_times) == found.ticks
    assert found.notes == ()


def test_how_long_traps_take_and_how_often_they_come() -> None:
    events = (trap(1, 100, 1), leave(2, 107, 1), trap(3, 300, 1), leave(4, 320, 1),
              trap(5, 350, 1, "breakpoint"), leave(6, 351, 1), trap(7, 600, 1))  # fmt: skip
    timer, breakpoint_ = statistics(header(), events).traps
    assert (timer.entered, timer.left) == (3, 2)
    assert timer.latency == Spread(2, 7, 7, 20, 20)
    assert timer.interval == Spread(2, 200, 200, 300, 300)
    assert (breakpoint_.latency, breakpoint_.interval) == (Spread(1, 1, 1, 1, 1), None)


def test_a_trap_inside_a_trap_is_told_apart() -> None:
    events = (trap(1, 10, 1), trap(2, 12, 1, "breakpoint", depth=2), leave(3, 15, 1, depth=2),
              leave(4, 30, 1))  # fmt: skip
    found = {one.cause: one.latency for one in statistics(header(), events).traps}
    assert found["breakpoint"] == Spread(1, 3, 3, 3, 3)
    assert found["supervisor timer interrupt"] == Spread(1, 20, 20, 20, 20)


def test_ends_of_traps_that_began_before_the_recording_are_left_out() -> None:
    found = statistics(header(), (leave(1, 5, 1), trap(2, 10, 1), leave(3, 14, 1)))
    assert found.traps[0].latency == Spread(1, 4, 4, 4, 4)


def test_who_ran_before_the_first_switch_is_told_by_it() -> None:
    events = (trap(1, 100, 4), event("switch", 2, 150, 4, from_=4, to=5, why="timer"))
    runs = statistics(header(), events).run_times
    assert {run.thread: run.ticks for run in runs} == {4: 50, 5: 0}


@pytest.mark.parametrize(
    ("clock", "word", "latency"), [("sampled", "host", True), ("bound", "cannot be told", False)]
)
def test_what_a_clock_cannot_tell_is_said(clock: str, word: str, latency: bool) -> None:
    found = statistics(header(clock=clock), story().events)
    assert word in found.notes[0]
    assert (found.traps[0].latency is not None) is latency
    assert found.traps[0].interval is not None
    other = statistics(
        header(clock=clock), (trap(1, 5, 1, "breakpoint"), trap(2, 5, 1, "breakpoint"))
    )
    assert (other.traps[0].interval is not None) is latency


def test_what_was_not_recorded_is_said() -> None:
    found = statistics(header(kinds=("console",)), (event("console", text="x"),))
    assert len(found.notes) == 2
    unseen = statistics(header(unseen={"switch": "no __restore"}), ())
    assert "no __restore" in "".join(unseen.notes)


def test_without_a_clock_there_are_counts_alone() -> None:
    found = statistics(header(), (event("wake", 1, None, id=1), trap(2, None, 1)))  # type: ignore[arg-type]
    assert (found.ticks, found.run_times) == (None, ())
    assert found.traps[0].entered == 1


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300))
def test_spreads(values: list[int]) -> None:
    found = spread(values)
    assert found is not None
    assert (found.count, found.least, found.greatest) == (len(values), min(values), max(values))
    assert found.median == reference.median_low(values)
    assert sum(value <= found.p99 for value in values) >= 0.99 * len(values)
    assert sum(value < found.p99 for value in values) < 0.99 * len(values)


KINDS = ("switch", "trap_enter", "trap_leave", "thread_exit", "wake")
ANY_EVENTS = st.lists(
    st.builds(
        lambda kind, ticks, thread, to, depth: event(
            kind, 1, ticks, thread, to=to, from_=thread, depth=depth, cause=None, id=to, why=None
        ),
        st.sampled_from(KINDS),
        st.none() | st.integers(0, 50),
        st.none() | st.integers(0, 3),
        st.none() | st.integers(0, 3),
        st.none() | st.integers(0, 3),
    ),
    max_size=30,
)


@given(ANY_EVENTS)
def test_any_events_have_statistics(events: list[TraceEvent]) -> None:
    found = statistics(header(), events)
    assert found.events == len(events)
    for one in found.traps:
        assert one.left <= one.entered
        assert one.latency is None or one.latency.least >= 0
    assert sum(run.ticks for run in found.run_times) <= (found.ticks or 0)
