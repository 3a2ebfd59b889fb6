"""Where two traces part: the first event that means something else, with what was before it.

What is compared is what an event means: kind, thread, place, and the fields of its kind. When it
happened is compared only if asked for, since it differs from run to run unless they are
deterministic.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rcdbg.trace.kinds import KINDS, TICKS, fields_where
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader

CONTEXT = 3
"""Events that are shown before and after, unless asked for otherwise."""


@dataclass(frozen=True, slots=True)
class EventChange:
    """Something that one trace has otherwise than the other."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first events that differ. `a` or `b` is None where that trace ends before.

    `changes` say in what they differ; `before` are the events of A right before, which B has too;
    `after_a` and `after_b` what follows.
    """

    a: TraceEvent | None
    b: TraceEvent | None
    changes: tuple[EventChange, ...]
    before: tuple[TraceEvent, ...]
    after_a: tuple[TraceEvent, ...]
    after_b: tuple[TraceEvent, ...]


@dataclass(frozen=True, slots=True)
class TraceDifference:
    """How two traces compare. `same` events were equal before the divergence, if there is one.

    `header` are differences in what they were made of; `kinds` those that both recorded, which
    alone are compared; `notes` what was left out of the comparison.
    """

    header: tuple[EventChange, ...]
    kinds: tuple[str, ...]
    same: int
    divergence: Divergence | None
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all events that were compared mean the same."""
        return self.divergence is None


def compare(
    a: tuple[TraceHeader, Iterable[TraceEvent]],
    b: tuple[TraceHeader, Iterable[TraceEvent]],
    *,
    times: bool = False,
    context: int = CONTEXT,
) -> TraceDifference:
    """Compare the events of two traces, each gone through once and no further than needed."""
    (header_a, events_a), (header_b, events_b) = a, b
    kinds = tuple(kind for kind in _kinds(header_a) if kind in _kinds(header_b))
    notes = list(_notes(header_a, header_b, kinds, times))
    ignored = {
        kind: (frozenset() if times else fields_where(kind, unit=TICKS))
        | (fields_where(kind, moves=True) if _rebuilt(header_a, header_b) else frozenset())
        for kind in kinds
    }
    left, right = _only(events_a, kinds), _only(events_b, kinds)
    before: deque[TraceEvent] = deque(maxlen=context)
    same = 0
    divergence = None
    while True:
        one, other = next(left, None), next(right, None)
        if one is None and other is None:
            break
        changes = _changes(one, other, ignored[one.kind], times) if one and other else ()
        if one is None or other is None or changes:
            after = _take(left, context), _take(right, context)
            divergence = Divergence(one, other, changes, tuple(before), *after)
            break
        before.append(one)
        same += 1
    return TraceDifference(_headers(header_a, header_b), kinds, same, divergence, tuple(notes))


def ends(a: TraceEnd | None, b: TraceEnd | None) -> tuple[EventChange, ...]:
    """How the ends of two traces differ."""
    if a is None or b is None:
        return () if a is b else (EventChange("end", _said(a), _said(b)),)
    names = ("why", "exit_status", "lost")
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in names)
    return tuple(EventChange(name, one, other) for name, one, other in pairs if one != other)


def _said(end: TraceEnd | None) -> str:
    return "cut off" if end is None else end.why


def _kinds(header: TraceHeader) -> tuple[str, ...]:
    seen = [kind for kind in header.kinds if kind not in header.unseen]
    if header.hits and "hit" not in seen:
        seen.append("hit")
    return tuple(seen)


def _rebuilt(a: TraceHeader, b: TraceHeader) -> bool:
    return a.build_id != b.build_id


def _only(events: Iterable[TraceEvent], kinds: tuple[str, ...]) -> Iterator[TraceEvent]:
    return (event for event in events if event.kind in kinds)


def _take(events: Iterator[TraceEvent], most: int) -> tuple[TraceEvent, ...]:
    return tuple(event for event, _ in zip(events, range(most), strict=False))


def _changes(
    a: TraceEvent, b: TraceEvent, ignored: frozenset[str], times: bool
) -> tuple[EventChange, ...]:
    if a.kind != b.kind:
        return (EventChange("kind", a.kind, b.kind),)
    names = ["thread", "hart", "place", *(("ticks", "instructions") if times else ())]
    found = [
        EventChange(name, getattr(a, name), getattr(b, name))
        for name in names
        if getattr(a, name) != getattr(b, name)
    ]
    found += [
        EventChange(name, a.fields.get(name), b.fields.get(name))
        for name in dict.fromkeys((*a.fields, *b.fields))
        if name not in ignored and a.fields.get(name) != b.fields.get(name)
    ]
    return tuple(found)


def _headers(a: TraceHeader, b: TraceHeader) -> tuple[EventChange, ...]:
    names = ("kernel", "build_id", "append", "backend", "clock", "deterministic", "timebase_hz",
             "kinds", "hits")  # fmt: skip
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in names)
    found = [EventChange(name, one, other) for name, one, other in pairs if one != other]
    if dict(a.unseen) != dict(b.unseen):
        found.append(EventChange("unseen", dict(a.unseen), dict(b.unseen)))
    return tuple(found)


def _notes(a: TraceHeader, b: TraceHeader, kinds: tuple[str, ...], times: bool) -> Iterable[str]:
    left_out = [kind for kind in (*_kinds(a), *_kinds(b)) if kind not in kinds]
    if left_out:
        yield f"not compared, since only one has them: {', '.join(dict.fromkeys(left_out))}"
    if _rebuilt(a, b):
        moved = dict.fromkeys(
            name
            for kind in kinds
            for name in (KINDS[kind].names if kind in KINDS else ())
            if name in fields_where(kind, moves=True)
        )
        if moved:
            yield f"another build of the kernel: {' and '.join(moved)} are not compared"
    if times and "bound" in (a.clock, b.clock) and a.clock != b.clock:
        yield "their clocks are not alike: times are bound to differ"
