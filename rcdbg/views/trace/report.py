"""Statistics of a trace, and the difference between two."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.escape import safe
from rcdbg.trace.analysis.diff import EventChange, TraceDifference
from rcdbg.trace.analysis.stats import Spread, Stats
from rcdbg.trace.record import TraceEvent, TraceHeader
from rcdbg.views import palette
from rcdbg.views.common import count, guest, note_line, styled
from rcdbg.views.layout import Column, Fitted, Row, hanging, listing
from rcdbg.views.trace.axis import duration
from rcdbg.views.trace.listing import event_line, heading

_MAX_VALUE = 200


def stats_view(header: TraceHeader, stats: Stats) -> RenderableType:
    """Counts, run times, and times of traps."""
    hz = header.timebase_hz
    total = f" in {duration(stats.ticks, hz)} of guest time" if stats.ticks is not None else ""
    parts: list[RenderableType] = [heading(header), Text(f"{count(stats.events, 'event')}{total}")]
    parts += [Fitted(lambda width: _counts(stats, width))] if stats.counts else []
    if stats.run_times:
        parts += [Text(), Fitted(lambda width: _runs(stats, hz, width))]
    if stats.traps:
        parts += [Text(), Fitted(lambda width: _traps(stats, hz, width))]
    return Group(*parts, *(Fitted(lambda w, n=n: hanging(note_line(n), w)) for n in stats.notes))  # type: ignore[misc]


def _counts(stats: Stats, width: int) -> RenderableType:
    rows = [Row((Text(f"{number:,}"), guest(kind))) for kind, number in stats.counts.items()]
    return listing((Column("count", right=True), Column("event")), rows, width)


def _runs(stats: Stats, hz: int | None, width: int) -> RenderableType:
    total = sum(run.ticks for run in stats.run_times) or 1
    columns = (Column("thread"), Column("ran", "ran", right=True), Column("share", right=True),
               Column("times", "times", right=True), Column(""))  # fmt: skip
    bar = max(0, min(40, width - 44))
    rows = [
        Row(
            (
                Text("none" if run.thread is None else str(run.thread)),
                Text(duration(run.ticks, hz)),
                Text(f"{100 * run.ticks / total:.1f} %"),
                Text(f"{run.runs:,}"),
                styled("█" * round(bar * run.ticks / total), palette.READY),
            )
        )
        for run in stats.run_times
    ]
    return listing(columns, rows, width, least=0)


_SPREAD = ("least", "median", "p99", "greatest")


def _traps(stats: Stats, hz: int | None, width: int) -> RenderableType:
    columns = (Column("trap"), Column(""), Column("count", "count", right=True),
               *(Column(name, name, right=True) for name in _SPREAD[:-1]),
               Column(_SPREAD[-1], _SPREAD[-1]))  # fmt: skip
    rows = []
    for trap in stats.traps:
        never = trap.entered - trap.left
        below = (styled(f"  {never:,} of them never ended", palette.NOTE),) if never else ()
        number = Text(f"{trap.entered:,}")
        name = guest(trap.cause, palette.HEADING)
        rows.append(Row((name, Text("takes"), number, *_spread(trap.latency, hz))))
        rows.append(Row((Text(), Text("comes every"), Text(), *_spread(trap.interval, hz)), below))
    return listing(columns, rows, width)


def _spread(found: Spread | None, hz: int | None) -> tuple[Text, ...]:
    if found is None:
        return tuple(styled("-", palette.QUIET) for _ in _SPREAD)
    return tuple(Text(duration(getattr(found, name), hz)) for name in _SPREAD)


def diff_view(
    a: tuple[str, TraceHeader],
    b: tuple[str, TraceHeader],
    difference: TraceDifference,
    ends: tuple[EventChange, ...],
) -> RenderableType:
    """Where two traces part; each is given by its name and its header."""
    lines = [_change(change, "") for change in difference.header]
    lines += [note_line(note) for note in difference.notes]
    divergence = difference.divergence
    if divergence is None:
        lines.append(styled(f"the same: {count(difference.same, 'event')}", palette.GOOD))
        lines += [_change(change, "at the end, ") for change in ends]
        return Group(*(Fitted(lambda w, x=x: hanging(x, w)) for x in lines))  # type: ignore[misc]
    same = count(difference.same, "event")
    lines.append(styled(f"{same} the same, then they part:", palette.PROBLEM))
    lines += [Text("    ") + event_line(event, a[1]) for event in divergence.before]
    sides = ((a, "A", divergence.a, divergence.after_a), (b, "B", divergence.b, divergence.after_b))
    for (name, header), letter, event, after in sides:
        lines.append(_side(letter, event, header, name))
        lines += [Text("    ") + event_line(one, header) for one in after]
    lines += [_change(change, "they differ in ") for change in divergence.changes]
    return Group(*(Fitted(lambda w, x=x: hanging(x, w)) for x in lines))  # type: ignore[misc]


def _side(letter: str, event: TraceEvent | None, header: TraceHeader, name: str) -> Text:
    start = styled(f"{letter} ▸ ", palette.CHANGED)
    if event is None:
        return start + guest(f"{name} has no more events", palette.CHANGED)
    return start + event_line(event, header)


def _change(change: EventChange, before: str) -> Text:
    line = Text(before).append_text(guest(change.name, palette.HEADING)).append(": ")
    return line.append(_said(change.a)).append(" in A, ", palette.QUIET).append(
        _said(change.b)
    ).append(" in B", palette.QUIET)  # fmt: skip


def _said(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0x10000:
        return f"{value:#x}"
    if isinstance(value, tuple):
        value = ", ".join(map(str, value)) or "none"
    text = safe(str(value)) if value not in (None, "") else "none"
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."
