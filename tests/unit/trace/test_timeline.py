"""Who ran when."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.trace.analysis.timeline import Axis, Slice, timeline
from rcdbg.trace.record import TraceEvent
from tests.unit.trace.events import event, header, story, trap
from tests.unit.trace.test_stats import ANY_EVENTS


def test_the_story() -> None:
    found = timeline(header(), story().events)
    assert (found.axis, found.start, found.end) == ("ticks", 100, 5200)
    nobody, one, two = found.rows
    assert (nobody.name, one.name, two.name) == ("no thread", "thread 1", "thread 2")
    assert nobody.slices == (Slice(100, 200, "run", "start"),)
    assert [(s.start, s.end, s.doing) for s in one.slices] == [
        (100, 200, "ready"),
        (200, 1040, "run"),
        (1040, 2040, "ready"),
        (2040, 3040, "run"),
        (3040, 4040, "ready"),
        (4040, 4750, "run"),
    ]
    assert two.slices[-1] == Slice(4750, 5200, "run")
    assert [(m.at, m.kind) for m in one.marks] == [
        (100, "thread_add"),
        (1000, "trap_enter"),
        (3000, "trap_enter"),
        (4600, "console"),
        (4700, "thread_exit"),
    ]


def test_sleep_and_wake() -> None:
    events = (
        event("switch", 1, 0, None, from_=None, to=1, why="start"),
        event("sleep", 2, 10, 1, id=1),
        event("switch", 3, 12, 1, from_=1, to=2, why="sleep"),
        event("wake", 4, 30, 2, id=1),
        event("switch", 5, 50, 2, from_=2, to=1, why="timer"),
        event("console", 6, 60, 1, text=""),
    )
    one, two = timeline(header(), events).rows
    assert [(s.start, s.end, s.doing) for s in one.slices] == [
        (0, 12, "run"), (12, 30, "asleep"), (30, 50, "ready"), (50, 60, "run"),
    ]  # fmt: skip
    assert [mark.kind for mark in one.marks] == ["sleep", "wake", "console"]
    assert two.marks == ()


def test_one_that_is_woken_before_it_gave_way_does_not_sleep() -> None:
    events = (
        event("switch", 1, 0, None, from_=None, to=1, why="start"),
        event("sleep", 2, 10, 1, id=1),
        event("wake", 3, 11, 1, id=1),
        event("switch", 4, 12, 1, from_=1, to=2, why="sleep"),
        event("console", 5, 20, 2, text=""),
    )
    assert [s.doing for s in timeline(header(), events).rows[0].slices] == ["run", "ready"]


def test_without_a_clock_every_event_takes_the_same_room_and_that_is_said() -> None:
    for trace in (
        timeline(header(clock="bound"), story().events),
        timeline(header(), (trap(1, 5, 1), trap(2, 5, 1))),
    ):
        assert trace.axis == "events"
        assert trace.notes
    assert timeline(header(clock="bound"), story().events, "ticks").axis == "ticks"


def test_a_long_boot_is_left_out_unless_the_whole_is_wanted() -> None:
    boot = (event("console", 1, 10, None, text="hello"),)
    story_later = (
        event("thread_add", 2, 1000, None, id=1),
        event("switch", 3, 1010, None, from_=None, to=1, why="start"),
        event("console", 4, 1100, 1, text=""),
    )
    found = timeline(header(), boot + story_later, whole=False)
    assert (found.start, found.end, found.events) == (1000, 1100, 3)
    assert "boot" in found.notes[0]
    assert timeline(header(), boot + story_later).start == 10


@given(ANY_EVENTS, st.sampled_from(["ticks", "events", None]))
def test_slices_of_a_thread_never_overlap_and_one_runs_at_a_time(
    events: list[TraceEvent], axis: Axis | None
) -> None:
    found = timeline(header(), events, axis)
    assert found.start < found.end
    running = []
    for row in found.rows:
        for before, after in pairwise(row.slices):
            assert before.end <= after.start
        assert all(found.start <= s.start < s.end <= found.end for s in row.slices)
        running += [(s.start, s.end) for s in row.slices if s.doing == "run"]
    running.sort()
    for (_, end), (start, _) in pairwise(running):
        assert end <= start
