"""Events of a trace for people, a line each."""

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.views import palette
from rcdbg.views.common import count, guest, hexadecimal, note_line, styled
from rcdbg.views.layout import Fitted, flow, hanging
from rcdbg.views.trace.axis import instant

_STYLES: dict[str, Style] = {
    "trap_enter": palette.WARNING,
    "trap_leave": palette.QUIET,
    "switch": palette.RUNNING,
    "thread_add": palette.READY,
    "thread_exit": palette.DEAD,
    "sleep": palette.SLEEPING,
    "wake": palette.READY,
    "frame_alloc": palette.USED_MEMORY,
    "frame_free": palette.FREE_MEMORY,
    "console": palette.SOURCE,
    "hit": palette.SYMBOL,
}
_PLACE_IS_KNOWN = ("trap_enter", "trap_leave", "switch", "console")
"""Kinds that are always seen at the same place, which tells nothing."""

_HEXADECIMAL = ("scause", "stval", "va", "pa", "ppn", "root_ppn", "extension")
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
    line.append(kind, _kind_style(event))
    line.append_text(details(event))
    place = event.place.removesuffix("+0x0")
    if place and event.kind not in _PLACE_IS_KNOWN and place != event.fields.get("symbol"):
        line.append("  at ", palette.QUIET)
        line.append_text(guest(_short(place), palette.QUIET))
    for mark in event.marks:
        line.append("  ? ", palette.WARNING).append_text(guest(mark, palette.NOTE))
    return line


def _short(place: str) -> str:
    """A path's last two names: it stands on every line, and they are what tells."""
    names = place.split("::")
    return place if len(names) <= 3 or "<" in place else f"…::{'::'.join(names[-2:])}"


def _kind_style(event: TraceEvent) -> Style:
    if event.kind == "trap_enter" and event.fields.get("interrupt") is False:
        return palette.PROBLEM
    return _STYLES.get(event.kind, palette.LABEL)


def details(event: TraceEvent) -> Text:
    """What an event tells beside its kind, in words."""
    tell = _TELL.get(event.kind)
    known, text = tell(event.fields) if tell else ((), Text())
    for name, value in event.fields.items():
        if name in known or value is None:
            continue
        text.append(" " if text else "")
        text.append_text(guest(name, palette.QUIET)).append("=", palette.QUIET)
        text.append_text(_value(value, name))
    return text


def _value(value: Any, name: str = "") -> Text:
    if isinstance(value, dict):
        cells = [guest(str(key), palette.QUIET) + Text("=") + _value(v) for key, v in value.items()]
        return Text("{") + Text(", ").join(cells) + Text("}")
    if isinstance(value, list | tuple):
        return Text("[") + Text(", ").join(_value(one, name) for one in value) + Text("]")
    if isinstance(value, bool) or value is None:
        return Text({True: "yes", False: "no", None: "-"}[value])
    if isinstance(value, int):
        large = name in _HEXADECIMAL or value >= 0x10000
        return Text(hexadecimal(value) if large else str(value))
    return guest(str(value))


Told = tuple[tuple[str, ...], Text]


def _trap(fields: Any) -> Told:
    known = ["cause", "scause", "interrupt", "sepc", "privilege", "depth", "sepc_place"]
    text = guest(str(fields.get("cause") or "unknown cause"), palette.HEADING)
    if fields.get("stval"):
        text.append(" stval=", palette.QUIET).append_text(_value(fields["stval"], "stval"))
    known.append("stval")
    return tuple(known), text.append_text(_from_to(fields, "from"))


def _leave(fields: Any) -> Told:
    known = ("sepc", "privilege", "depth", "sepc_place")
    return known, Text("back").append_text(_from_to(fields, "to"))


def _from_to(fields: Any, word: str) -> Text:
    text = styled(f" {word} ", palette.QUIET)
    if fields.get("privilege"):
        text.append_text(guest(f"{fields['privilege']} ", palette.VALUE))
    if fields.get("sepc_place"):
        text.append_text(guest(str(fields["sepc_place"]), palette.SYMBOL))
    elif fields.get("sepc") is not None:
        text.append(hexadecimal(fields["sepc"]), palette.ADDRESS)
    if (fields.get("depth") or 1) > 1:
        text.append(f" {fields['depth']} deep", palette.WARNING)
    return text


def _switch(fields: Any) -> Told:
    before, to = fields.get("from"), fields.get("to")
    text = Text("none" if before is None else str(before)).append(" → ", palette.QUIET)
    text.append("none" if to is None else str(to), palette.RUNNING)
    text.append_text(guest(f" ({fields.get('why') or 'unknown'})", palette.QUIET))
    return ("from", "to", "why"), text


def _thread(fields: Any) -> Told:
    text = Text("thread ").append(str(fields.get("id")), palette.HEADING)
    if fields.get("why"):
        text.append_text(guest(f" ({fields['why']})", palette.QUIET))
    stack = fields.get("stack")
    if isinstance(stack, list | tuple) and len(stack) == 2:
        text.append(" stack ", palette.QUIET).append_text(_interval(stack))
        return ("id", "why", "stack"), text
    return ("id", "why"), text


def _interval(pair: Any) -> Text:
    return styled(f"{hexadecimal(pair[0])}..{hexadecimal(pair[1])}", palette.ADDRESS)


def _frame(fields: Any) -> Told:
    ppn = fields.get("ppn")
    if ppn is None:
        return ("ppn",), styled("none was free", palette.PROBLEM)
    return ("ppn",), Text("frame ").append(hexadecimal(ppn), palette.HEADING)


def _map(fields: Any) -> Told:
    text = _value(fields.get("va"), "va").append(" → ", palette.QUIET)
    return ("va", "pa"), text.append_text(_value(fields.get("pa"), "pa"))


def _console(fields: Any) -> Told:
    return ("text",), guest(str(fields.get("text") or ""), palette.SOURCE)


def _hit(fields: Any) -> Told:
    text = guest(str(fields.get("symbol") or ""), palette.SYMBOL).append("(")
    arguments = fields.get("arguments")
    named = arguments if isinstance(arguments, dict) else {}
    cells = [guest(str(k), palette.QUIET) + Text("=") + _value(v) for k, v in named.items()]
    return ("symbol", "arguments"), text.append_text(Text(", ").join(cells)).append(")")


def _sbi(fields: Any) -> Told:
    known = ("name", "arguments")
    text = guest(str(fields.get("name") or "unknown call"), palette.HEADING)
    arguments = fields.get("arguments")
    if isinstance(arguments, list | tuple):
        text.append("(").append_text(Text(", ").join(map(_value, arguments))).append(")")
    return known, text


_TELL: dict[str, Callable[[Any], Told]] = {
    "trap_enter": _trap,
    "trap_leave": _leave,
    "switch": _switch,
    "thread_add": _thread,
    "thread_exit": _thread,
    "sleep": _thread,
    "wake": _thread,
    "frame_alloc": _frame,
    "frame_free": _frame,
    "map": _map,
    "console": _console,
    "hit": _hit,
    "sbi": _sbi,
}


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
    for kind, why in sorted(header.unseen.items()):
        line = styled("! ", palette.WARNING) + guest(f"no {kind}: {why}")
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
