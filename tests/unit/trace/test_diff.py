"""The first event in which two traces differ."""

from dataclasses import replace
from typing import Any

import pytest

from rcdbg.trace.analysis.diff import EventChange, TraceDifference, compare, ends
from rcdbg.trace.record import TraceEnd, TraceEvent
from tests.unit.trace.events import header, story

EVENTS = story().events


def with_change(index: int, **changes: Any) -> tuple[TraceEvent, ...]:
    events = list(EVENTS)
    events[index] = replace(events[index], **changes)
    return tuple(events)


def difference(other: tuple[TraceEvent, ...], **options: Any) -> TraceDifference:
    return compare((header(), EVENTS), (header(), other), **options)


def test_a_trace_is_like_itself() -> None:
    found = difference(EVENTS, times=True)
    assert found.equal
    assert found.same == len(EVENTS)
    assert (found.header, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"thread": 9}, EventChange("thread", 1, 9)),
        ({"place": "elsewhere"}, EventChange("place", "os::handler+0x4", "elsewhere")),
        ({"fields": {"from": 1, "to": 3, "why": "timer"}}, EventChange("to", 2, 3)),
        ({"fields": {"from": 1, "to": 2}}, EventChange("why", "timer", None)),
        ({"kind": "wake"}, EventChange("kind", "switch", "wake")),
    ],
)
def test_the_first_difference_in_meaning_is_found(change: Any, expected: EventChange) -> None:
    parted = difference(with_change(7, **change)).divergence
    assert parted is not None
    assert parted.a == EVENTS[7]
    assert parted.changes == (expected,)
    assert parted.before == EVENTS[4:7]
    assert parted.after_a == parted.after_b == EVENTS[8:11]


def test_times_are_compared_if_asked_for() -> None:
    later = tuple(replace(one, ticks=(one.ticks or 0) + 5) for one in EVENTS)
    assert difference(later).equal
    assert difference(later, times=True).same == 0
    other_deadline = with_change(5, fields={"deadline": 1})
    assert difference(other_deadline).equal
    assert not difference(other_deadline, times=True).equal


def test_one_that_ends_early_parts_there() -> None:
    parted = difference(EVENTS[:-2], context=1).divergence
    assert parted is not None
    assert (parted.a, parted.b) == (EVENTS[-2], None)
    assert parted.before == EVENTS[-3:-2]
    assert parted.after_a == EVENTS[-1:]


def test_only_what_both_recorded_is_compared_and_that_is_said() -> None:
    kinds = ("switch", "thread_exit")
    few = tuple(one for one in EVENTS if one.kind in kinds)
    found = compare((header(), EVENTS), (header(kinds=kinds), few))
    assert found.equal
    assert found.same == len(few)
    assert "trap_enter" in found.notes[0]
    assert [change.name for change in found.header] == ["kinds"]


def test_addresses_of_another_build_are_not_compared() -> None:
    moved = tuple(
        replace(one, pc=1, fields={**one.fields, "sepc": 2}) if "sepc" in one.fields else one
        for one in EVENTS
    )
    assert not difference(moved).equal
    found = compare((header(), EVENTS), (header(build_id="other"), moved))
    assert found.equal
    assert "another build" in found.notes[0]


def test_ends_are_compared() -> None:
    a, b = TraceEnd("shut down", 3, exit_status=0), TraceEnd("shut down", 3, exit_status=1)
    assert ends(a, a) == ()
    assert ends(a, b) == (EventChange("exit_status", 0, 1),)
    assert ends(a, None) == (EventChange("end", "shut down", "cut off"),)
