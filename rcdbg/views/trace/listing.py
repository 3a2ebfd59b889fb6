"""Events of a trace for people, a line each."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.views import palette
from rcdbg.views.common import count, guest, note_line, styled
from rcdbg.views.layout import Fitted, flow, hanging
from rcdbg.views.trace.axis import instant
from rcdbg.views.trace.drawings import drawing, value_text

_KIND_WIDTH = 11
_TIME_WIDTH = 11
INDENT = 6 + 1 + _TIME_WIDTH + 2 + 4 + 1 + _KIND_WIDTH + 1


def event_line(event: TraceEvent, header: TraceHeader) -> Text:
    """An event as one line: number, milliseconds, thread, kind, what it tells, and where."""
    line = styled(f"{event.seq:>6} ", palette.QUIET)
    time = instant(event.ticks, header.timebase_hz)
    if header.clock != "exact" and event.ticks is not None:
        time = ("≥" if header.clock == "bound" else "~") + time
    line.append(f"{time:>{_TIME_WIDTH}}  ")
    line.append(f"{'-' if event.thread is None else event.thread!s:<4} ")
    kind = f"{event.kind:<{_KIND_WIDTH}} "
    drawn = drawing(event.kind)
    line.append(kind, drawn.style_of(event))
    line.append_text(details(event))
    place = event.place.removesuffix("+0x0")
    if place and drawn.has_place and place != event.fields.get("symbol"):
        line.append("  at ", palette.QUIET)
        line.append_text(guest(_short(place), palette.QUIET))
    for mark in event.marks:
        line.append("  ? ", palette.WARNING).append_text(guest(mark, palette.NOTE))
    return line


def _short(place: str) -> str:
    """A path's last two names: it stands on every line, and they are what tells."""
    names = place.split("::")
    return place if len(names) <= 3 or "<" in place else f"…::{'::'.join(names[-2:])}"


def details(event: TraceEvent) -> Text:
    """What an event tells beside its kind, in words."""
    tell = drawing(event.kind).tell
    known, text = tell(event.fields) if tell else ((), Text())
    for name, value in event.fields.items():
        if name in known or value is None:
            continue
        text.append(" " if text else "")
        text.append_text(guest(name, palette.QUIET)).append("=", palette.QUIET)
        text.append_text(value_text(event.kind, name, value))
    return text


def heading(header: TraceHeader) -> RenderableType:
    """What a trace was made of, and the heads of the columns."""
    cells = [guest(header.kernel or "a kernel", palette.SYMBOL)]
    if header.append:
        cells.append(guest(header.append))
    cells.append(guest(f"recorded by {header.backend}", palette.QUIET))
    cells.append(styled(_CLOCKS[header.clock], palette.QUIET))
    if header.deterministic:
        cells.append(styled("deterministic", palette.QUIET))
    parts: list[RenderableType] = [Fitted(lambda width: flow(cells, width))]
    warnings = [header.disturbed] if header.disturbed else []
    warnings += [f"no {kind}: {why}" for kind, why in sorted(header.unseen.items())]
    for text in warnings:
        line = styled("! ", palette.WARNING) + guest(text)
        parts.append(Fitted(lambda width, line=line: hanging(line, width)))  # type: ignore[misc]
    return Group(*parts)


_CLOCKS = {"exact": "exact times", "sampled": "~ times by the host's clock",
           "bound": "≥ times of the last timer"}  # fmt: skip


def columns(header: TraceHeader) -> Text:
    """The heads of the columns."""
    time = "ms" if header.timebase_hz else "ticks"
    return styled(f"{'#':>6} {time:>{_TIME_WIDTH}}  thr  event       what", palette.QUIET)


def ending(end: TraceEnd | None, cut_off: str | None = None) -> RenderableType:
    """How the recording ended."""
    if end is None:
        return styled("! ", palette.WARNING) + guest(cut_off or "the recording was cut off")
    cells = [guest(end.why), Text(count(end.events, "event"))]
    if end.exit_status is not None:
        cells.append(Text(f"exit status {end.exit_status}"))
    if end.lost:
        cells.append(styled(f"{count(end.lost, 'event')} lost", palette.PROBLEM))
    if end.repeats:
        cells.append(styled(f"{count(end.repeats, 'repeat')} taken out", palette.QUIET))
    return Fitted(lambda width: flow(cells, width))


def nothing() -> Text:
    """What stands for a listing without events."""
    return note_line("no event is like that")
