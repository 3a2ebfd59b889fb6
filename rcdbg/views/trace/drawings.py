"""How each kind of event is drawn: its colour, its line in a listing, its mark on a timeline.

A kind without a row here, as one in a file of a newer rcdbg, is drawn by its name and its fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.style import Style
from rich.text import Text

from rcdbg.trace.analysis.timeline import Mark
from rcdbg.trace.kinds import hexadecimal_fields
from rcdbg.trace.record import TraceEvent
from rcdbg.views import palette
from rcdbg.views.common import guest, hexadecimal, styled


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of mark: how it looks in a terminal, in a picture (shape, fill), and what it means."""

    name: str
    character: str
    style: Style
    shape: str
    fill: str
    words: str


# The fills are those of Okabe and Ito, which people with any colour vision tell apart; shapes and
# characters differ as well.
EXCEPTION: Final = Sort("exception", "!", palette.PROBLEM, "cross", "#D55E00", "exception")
EXIT: Final = Sort("exit", "x", palette.DEAD, "square", "#000000", "exit")
TIMER: Final = Sort("timer", "t", palette.WARNING, "triangle", "#B87800", "timer interrupt")
INTERRUPT: Final = Sort("interrupt", "i", palette.WARNING, "triangle-down", "#0072B2", "interrupt")
BREAKPOINT: Final = Sort("breakpoint", "b", palette.LABEL, "diamond", "#0072B2", "breakpoint")
CALL: Final = Sort("call", "e", palette.LABEL, "triangle-down", "#009E73", "environment call")
SYSCALL: Final = Sort("syscall", "u", palette.LABEL, "diamond", "#E69F00", "system call")
HIT: Final = Sort("hit", "h", palette.SYMBOL, "diamond", "#009E73", "function hit")
ADD: Final = Sort("add", "+", palette.GOOD, "plus", "#009E73", "new thread")
SLEEP: Final = Sort("sleep", "s", palette.SLEEPING, "triangle-down", "#CC79A7", "goes to sleep")
WAKE: Final = Sort("wake", "w", palette.READY, "triangle", "#CC79A7", "woken")
SATP: Final = Sort("satp", "p", palette.LABEL, "diamond", "#56B4E9", "page table switch")
FIRMWARE: Final = Sort("firmware", "f", palette.LABEL, "square", "#56B4E9", "firmware call")
CONSOLE: Final = Sort("console", "c", palette.SOURCE, "dot", "#555555", "console line")
OTHER: Final = Sort("other", "o", palette.LABEL, "plus", "#555555", "other event")
"""Of kinds that nothing is known about; a legend has their names."""

SORTS: Final = (EXCEPTION, EXIT, HIT, ADD, SLEEP, WAKE, BREAKPOINT, SYSCALL, CALL, INTERRUPT,
                TIMER, SATP, FIRMWARE, OTHER, CONSOLE)  # fmt: skip
"""The most telling first: of several in one place, that one is drawn."""


_LARGE = 0x10000

Told = tuple[tuple[str, ...], Text]
"""The fields that a text has told, and the text."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How events of a kind look.

    `tell` makes a line of the fields, or of some of them; the others follow it by name. `sort` is
    the mark on a timeline, if there is one. Without `has_place` they are always seen at the same
    place, which tells nothing. What is `alarming` is coloured like a problem.
    """

    style: Style = palette.LABEL
    tell: Callable[[Any], Told] | None = None
    sort: Sort | Callable[[Mark], Sort] = OTHER
    has_place: bool = True
    alarming: Callable[[TraceEvent], bool] | None = None

    def style_of(self, event: TraceEvent) -> Style:
        """The style of the kind's name."""
        is_alarming = self.alarming is not None and self.alarming(event)
        return palette.PROBLEM if is_alarming else self.style


def value_text(kind: str, name: str, value: Any) -> Text:
    """A field's value: numbers in the base that the kind's declaration has, large ones as such."""
    return _value(value, name in hexadecimal_fields(kind))


def _value(value: Any, is_hexadecimal: bool = False) -> Text:
    if isinstance(value, dict):
        cells = [guest(str(key), palette.QUIET) + Text("=") + _value(v) for key, v in value.items()]
        return Text("{") + Text(", ").join(cells) + Text("}")
    if isinstance(value, list | tuple):
        return Text("[") + Text(", ").join(_value(one, is_hexadecimal) for one in value) + Text("]")
    if isinstance(value, bool) or value is None:
        return Text({True: "yes", False: "no", None: "-"}[value])
    if isinstance(value, int):
        large = is_hexadecimal or value >= _LARGE
        return Text(hexadecimal(value) if large else str(value))
    return guest(str(value))


def _trap(fields: Any) -> Told:
    known = ["cause", "scause", "interrupt", "sepc", "privilege", "depth", "sepc_place"]
    text = guest(str(fields.get("cause") or "unknown cause"), palette.HEADING)
    if fields.get("stval"):
        stval = _value(fields["stval"], is_hexadecimal=True)
        text.append(" stval=", palette.QUIET).append_text(stval)
    known.append("stval")
    return tuple(known), text.append_text(_from_to(fields, "from"))


def _syscall(fields: Any) -> Told:
    known = ("number", "name", "arguments", "text", "sepc", "process")
    text = Text(str(fields.get("number")))
    if fields.get("name") is None:
        return ("number", "name", "sepc", "process"), text.append(", not known", palette.NOTE)
    text.append(" ").append_text(guest(str(fields["name"]), palette.HEADING)).append("(")
    arguments = fields.get("arguments")
    named = arguments if isinstance(arguments, dict) else {}
    cells = [guest(str(k), palette.QUIET) + Text("=") + _value(v) for k, v in named.items()]
    text.append_text(Text(", ").join(cells)).append(")")
    if fields.get("text") is not None:
        text.append(" ").append_text(guest(str(fields["text"]), palette.SOURCE))
    return known, text.append_text(_of_process(fields))


def _syscall_end(fields: Any) -> Told:
    name = fields.get("name")
    text = guest(str(fields.get("number") if name is None else name), palette.QUIET)
    result = fields.get("result")
    text.append(" = ").append("not known" if result is None else _result(result), palette.VALUE)
    if fields.get("text") is not None:
        text.append(" ").append_text(guest(str(fields["text"]), palette.SOURCE))
    return ("number", "name", "result", "text", "process"), text.append_text(_of_process(fields))


def _result(result: Any) -> str:
    large = isinstance(result, int) and abs(result) >= _LARGE
    return hexadecimal(result) if large and result > 0 else str(result)


def _of_process(fields: Any) -> Text:
    process = fields.get("process")
    return Text("") if process is None else styled(f" process {process}", palette.QUIET)


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
    if (
        isinstance(stack, list | tuple)
        and len(stack) == 2
        and all(isinstance(a, int) for a in stack)
    ):
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
    text = _value(fields.get("va"), is_hexadecimal=True).append(" → ", palette.QUIET)
    return ("va", "pa"), text.append_text(_value(fields.get("pa"), is_hexadecimal=True))


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


def _trap_sort(mark: Mark) -> Sort:
    if mark.interrupt:
        return TIMER if "timer" in mark.text else INTERRUPT
    if mark.text == "breakpoint":
        return BREAKPOINT
    return CALL if mark.text.startswith("environment call") else EXCEPTION


def _is_exception(event: TraceEvent) -> bool:
    return event.fields.get("interrupt") is False


DRAWINGS: Final[dict[str, Drawing]] = {
    "trap_enter": Drawing(
        palette.WARNING, _trap, _trap_sort, has_place=False, alarming=_is_exception
    ),
    "trap_leave": Drawing(palette.QUIET, _leave, has_place=False),
    "syscall": Drawing(palette.LABEL, _syscall, SYSCALL, has_place=False),
    "syscall_end": Drawing(palette.QUIET, _syscall_end, has_place=False),
    "switch": Drawing(palette.RUNNING, _switch, has_place=False),
    "thread_add": Drawing(palette.READY, _thread, ADD),
    "thread_exit": Drawing(palette.DEAD, _thread, EXIT),
    "sleep": Drawing(palette.SLEEPING, _thread, SLEEP),
    "wake": Drawing(palette.READY, _thread, WAKE),
    "frame_alloc": Drawing(palette.USED_MEMORY, _frame),
    "frame_free": Drawing(palette.FREE_MEMORY, _frame),
    "map": Drawing(tell=_map),
    "unmap": Drawing(),
    "satp": Drawing(sort=SATP),
    "timer_set": Drawing(),
    "sbi": Drawing(tell=_sbi, sort=FIRMWARE),
    "console": Drawing(palette.SOURCE, _console, CONSOLE, has_place=False),
    "hit": Drawing(palette.SYMBOL, _hit, HIT),
}
"""How each kind is drawn, by its name."""

GENERIC: Final = Drawing()
"""How a kind that has no drawing is drawn."""


def drawing(kind: str) -> Drawing:
    """How events of that kind are drawn."""
    return DRAWINGS.get(kind, GENERIC)


def sort_of(mark: Mark) -> Sort:
    """The sort that a mark is drawn as."""
    sort = drawing(mark.kind).sort
    return sort if isinstance(sort, Sort) else sort(mark)
