"""Who ran when: a row for each thread, with what it was doing, and traps and the like as marks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from rcdbg.trace.kinds import KINDS
from rcdbg.trace.record import TraceEvent, TraceHeader

Doing = Literal["run", "ready", "asleep"]
Axis = Literal["ticks", "events"]
"""What is to the right: guest time, or one event after the other."""

_LONG_BOOT = 1 / 8
"""Of the whole time: then the rest would have too little room."""

MAX_EVENTS = 2_000_000
"""More are not drawn: a picture of them would show nothing."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch [start, end) in which a thread did one thing; `why` the next one took over."""

    start: int
    end: int
    doing: Doing
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: `kind` of event, `text` for people."""

    at: int
    kind: str
    text: str
    seq: int
    interrupt: bool = False


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A thread (None: no thread, as in boot), its slices in order, and its marks in order."""

    thread: int | None
    slices: tuple[Slice, ...]
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """What to call it."""
        return "no thread" if self.thread is None else f"thread {self.thread}"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of threads from `start` to `end` of the axis: no thread first, then by id."""

    header: TraceHeader
    axis: Axis
    start: int
    end: int
    rows: tuple[ThreadRow, ...]
    events: int
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Thread:
    slices: list[Slice] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    doing: Doing | None = None
    since: int = 0
    woken: bool = False

    def becomes(self, doing: Doing | None, at: int, why: str = "") -> None:
        """It does something else from `at` on."""
        if self.doing is not None and at > self.since:
            self.slices.append(Slice(self.since, at, self.doing, why))
        self.doing, self.since = doing, at
        self.woken = False

    def gives_way(self, at: int, why: str, nobody: bool) -> None:
        """Another one has the hart from `at` on."""
        if nobody or why in ("exit", "fault"):
            self.becomes(None, at, why)
        else:
            self.becomes("asleep" if why == "sleep" and not self.woken else "ready", at, why)

    def wakes(self, at: int, why: str) -> None:
        """It may run from `at` on; one that runs, and was going to sleep, will not."""
        if self.doing == "run":
            self.woken = True
        else:
            self.becomes("ready", at, why)


def timeline(
    header: TraceHeader,
    events: Iterable[TraceEvent],
    axis: Axis | None = None,
    *,
    whole: bool = True,
) -> Timeline:
    """The timeline of these events; without `axis`, the one that tells more.

    Unless the `whole` is wanted, a long boot, in which there are no threads yet, is left out.
    """
    kept: list[TraceEvent] = []
    notes = []
    for event in events:
        if len(kept) == MAX_EVENTS:
            notes.append(
                f"only the first {MAX_EVENTS:,} events are drawn: choose with --from, --to"
            )
            break
        kept.append(event)
    if axis is None:
        axis = _telling_axis(header, kept)
        if axis == "events" and len(kept) > 1:
            notes.append("each event takes the same room: their times are not known well enough")
    if not whole and (late := _without_boot(kept, axis)):
        kept = late
        notes.append("the boot before is not drawn: --from 1 shows it")
    threads = _follow(kept, axis)
    start, end = _bounds(kept, axis)
    ordered = sorted(threads.items(), key=lambda item: -1 if item[0] is None else item[0])
    rows = tuple(ThreadRow(name, tuple(t.slices), tuple(t.marks)) for name, t in ordered)
    return Timeline(header, axis, start, end, rows, len(kept), tuple(notes))


def _telling_axis(header: TraceHeader, events: list[TraceEvent]) -> Axis:
    times = {event.ticks for event in events if event.ticks is not None}
    return "ticks" if header.clock != "bound" and len(times) > 1 else "events"


def _without_boot(events: list[TraceEvent], axis: Axis) -> list[TraceEvent]:
    """The events from the first that is about a thread; none if there is little before it."""
    first = next((n for n, e in enumerate(events) if _is_about_threads(e.kind)), 0)
    late = events[first:]
    if not first or len(late) < 2:
        return []
    start, end = _bounds(events, axis)
    return late if _bounds(late, axis)[0] - start > (end - start) * _LONG_BOOT else []


def _bounds(events: list[TraceEvent], axis: Axis) -> tuple[int, int]:
    if not events:
        return 0, 1
    if axis == "events":
        return events[0].seq, events[-1].seq + 1
    times = [event.ticks for event in events if event.ticks is not None] or [0]
    return times[0], max(*times, times[0] + 1)


def _follow(events: list[TraceEvent], axis: Axis) -> dict[int | None, _Thread]:
    first, last = _bounds(events, axis)
    now = first
    threads: dict[int | None, _Thread] = {}
    running: int | None = None
    switched = False

    def of(thread: int | None) -> _Thread:
        return threads.setdefault(thread, _Thread(since=first))

    for event in events:
        if axis == "events":
            now = event.seq
        elif event.ticks is not None:
            now = max(now, event.ticks)
        if event.kind == "switch":
            if not switched:
                running = event.fields.get("from")
                if now > first:
                    of(running).doing = "run"  # since before the first event
            if switched or now > first:
                of(running).gives_way(now, str(event.fields.get("why") or ""), running is None)
            running, switched = event.fields.get("to"), True
            of(running).becomes("run", now)
            continue
        known = KINDS.get(event.kind)
        subject = known.subject if known is not None else ""
        thread = of(event.fields.get(subject) if subject else event.thread)
        if event.kind in ("thread_add", "wake"):
            thread.wakes(now, event.kind)
        elif event.kind == "thread_exit" and thread.doing != "run":
            thread.becomes(None, now, "exit")
        if known is None or known.marked:
            thread.marks.append(_mark(event, now))
    for thread in threads.values():
        thread.becomes(None, last)
    return threads


def _is_about_threads(kind: str) -> bool:
    return kind == "switch" or (kind in KINDS and bool(KINDS[kind].subject))


def _mark(event: TraceEvent, at: int) -> Mark:
    fields, known = event.fields, KINDS.get(event.kind)
    main = known.field(known.main) if known is not None else None
    text = fields.get(main.name) if main is not None and main.type == "text" else None
    return Mark(at, event.kind, str(text or event.kind), event.seq, bool(fields.get("interrupt")))
