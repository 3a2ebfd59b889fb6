"""The kinds of events and what they tell, as their declarations have it."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.trace.kinds import EventField, EventKind
from rcdbg.views import palette
from rcdbg.views.common import note_line, styled
from rcdbg.views.layout import Fitted, hanging
from rcdbg.views.trace.drawings import drawing

_NAME_WIDTH = 12
_TYPE_WIDTH = 7
_INDENT = 2 + _NAME_WIDTH + _TYPE_WIDTH + 2


def kinds_view(kinds: Sequence[EventKind]) -> RenderableType:
    """A line a kind, and below it a line for each field, the main one marked."""
    note = "▸ the field that a value alone is for, as in trap_enter:timer; any may be unknown"
    lines = [line for kind in kinds for line in _kind(kind)]
    return Group(
        *(Fitted(lambda w, x=text, n=indent: hanging(x, w, n)) for text, indent in lines),  # type: ignore[misc]
        Fitted(lambda width: hanging(note_line(note), width)),
    )


def _kind(kind: EventKind) -> Iterator[tuple[Text, int]]:
    name = styled(f"{kind.name:<{_NAME_WIDTH}}", drawing(kind.name).style)
    group = f"  ({kind.group})" if kind.group else "  (only with --hit)"
    yield name + Text(f" {kind.meaning}") + styled(group, palette.QUIET), _NAME_WIDTH + 1
    for field in kind.fields:
        yield _field(field, field.name == kind.main), _INDENT


def _field(field: EventField, is_main: bool) -> Text:
    line = styled("▸ " if is_main else "  ", palette.CHANGED)
    line.append(f"{field.name:<{_NAME_WIDTH}}", palette.HEADING)
    line.append(f"{_type(field):<{_TYPE_WIDTH}}  ", palette.QUIET)
    return line.append(field.meaning)


def _type(field: EventField) -> str:
    if field.base == "hexadecimal":
        return "hex" if field.type == "number" else "hex ..."
    return {"number": "number", "text": "text", "flag": "yes/no", "numbers": "numbers",
            "values": "values"}[field.type]  # fmt: skip
