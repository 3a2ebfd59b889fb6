"""What a trace amounts to: counts, who ran for how long, how long traps take and how often they
come. Ticks are those of the guest's timebase."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rcdbg.trace.record import TraceEvent, TraceHeader


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle, the 99th percentile (nearest rank) and the greatest of `count`."""

    count: int
    least: int
    median: int
    p99: int
    greatest: int


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a thread had the hart, and how many times it was given it; None: no thread."""

    thread: int | None
    ticks: int
    runs: int


@dataclass(frozen=True, slots=True)
class TrapTimes:
    """Traps of a cause: how many, how many of them ended, and the times from each entry to its end
    (`latency`) and from one entry to the next (`interval`), where they can be told."""

    cause: str
    entered: int
    left: int
    latency: Spread | None
    interval: Spread | None


@dataclass(frozen=True, slots=True)
class Stats:
    """All of it. `ticks` is from the first event to the last; `notes` say what cannot be told."""

    events: int
    counts: Mapping[str, int]
    ticks: int | None
    run_times: tuple[RunTime, ...]
    traps: tuple[TrapTimes, ...]
    notes: tuple[str, ...]


def spread(values: Iterable[int]) -> Spread | None:
    """Of these values; None if there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(len(ordered), ordered[0], _rank(ordered, 50), _rank(ordered, 99), ordered[-1])


def _rank(ordered: Sequence[int], percent: int) -> int:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass(slots=True)
class _Cause:
    entered: int = 0
    left: int = 0
    latencies: list[int] = field(default_factory=list)
    intervals: list[int] = field(default_factory=list)
    last: int | None = None


@dataclass(slots=True)
class _Run:
    ticks: int = 0
    runs: int = 0


def statistics(header: TraceHeader, events: Iterable[TraceEvent]) -> Stats:
    """What these events amount to; they are gone through once."""
    counts: Counter[str] = Counter()
    causes: dict[str, _Cause] = {}
    runs: dict[int | None, _Run] = {}
    open_traps: dict[int, list[tuple[str, int | None]]] = {}
    running: int | None = None
    since: int | None = None
    first: int | None = None
    now: int | None = None
    switched = False
    for event in events:
        counts[event.kind] += 1
        if event.ticks is not None:
            now = event.ticks if now is None else max(now, event.ticks)
            first = now if first is None else first
            since = now if since is None else since
        if event.kind == "trap_enter":
            _entered(event, now, causes, open_traps.setdefault(event.hart, []))
        elif event.kind == "trap_leave":
            _left(event, now, causes, open_traps.get(event.hart, []))
        elif event.kind == "switch":
            # The first switch tells who ran until then.
            _ran(runs, running if switched else event.fields.get("from"), now, since)
            running, since, switched = event.fields.get("to"), now, True
            runs.setdefault(running, _Run()).runs += 1
    if switched:
        _ran(runs, running, now, since)
    timed = now is not None
    tell_latency = timed and header.clock != "bound"
    return Stats(
        events=counts.total(),
        counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        ticks=now - first if now is not None and first is not None else None,
        run_times=tuple(
            RunTime(thread, run.ticks, run.runs)
            for thread, run in sorted(runs.items(), key=lambda item: (-item[1].ticks, str(item[0])))
        )
        if timed
        else (),
        traps=tuple(
            TrapTimes(
                name,
                cause.entered,
                cause.left,
                spread(cause.latencies) if tell_latency else None,
                spread(cause.intervals) if tell_latency or (timed and "timer" in name) else None,
            )
            for name, cause in sorted(causes.items(), key=lambda i: (-i[1].entered, i[0]))
        ),
        notes=tuple(_notes(header, counts, timed)),
    )


def _entered(event: TraceEvent, now: int | None, causes: dict[str, _Cause],
             open_traps: list[tuple[str, int | None]]) -> None:  # fmt: skip
    name = str(event.fields.get("cause") or "unknown")
    cause = causes.setdefault(name, _Cause())
    cause.entered += 1
    if now is not None:
        if cause.last is not None:
            cause.intervals.append(now - cause.last)
        cause.last = now
    depth = event.fields.get("depth")
    if isinstance(depth, int) and depth >= 1:
        del open_traps[depth - 1 :]  # those that were never left, as when a thread was killed
    open_traps.append((name, now))


def _left(event: TraceEvent, now: int | None, causes: dict[str, _Cause],
          open_traps: list[tuple[str, int | None]]) -> None:  # fmt: skip
    depth = event.fields.get("depth")
    if isinstance(depth, int) and depth >= 1:
        del open_traps[depth:]
        if len(open_traps) < depth:
            return  # its entry was before the recording
    if open_traps:
        name, entered = open_traps.pop()
        causes[name].left += 1
        if now is not None and entered is not None:
            causes[name].latencies.append(now - entered)


def _ran(
    runs: dict[int | None, _Run], thread: int | None, now: int | None, since: int | None
) -> None:
    if now is not None and since is not None:
        runs.setdefault(thread, _Run()).ticks += now - since


def _notes(header: TraceHeader, counts: Mapping[str, int], timed: bool) -> Iterable[str]:
    if not timed:
        yield "no times: the trace has no clock"
    elif header.clock == "sampled":
        yield (
            "times are the host's, from when each event was heard of: short ones, as of traps, are "
            "longer or shorter than they were; record with --backend stub for exact ones"
        )
    elif header.clock == "bound":
        yield (
            "times are only known to the last timer that had expired: run times are in "
            "whole timer periods, and how long a trap takes, or how often others than the timer "
            "come, cannot be told; record with --backend "
            "stub for exact ones"
        )
    for kind, what in (("switch", "who ran for how long"), ("trap_enter", "times of traps")):
        if kind in header.unseen:
            yield f"{what} cannot be told: no {kind}: {header.unseen[kind]}"
        elif kind not in header.kinds and not counts.get(kind):
            yield f"{what} cannot be told: {kind} was not recorded"
