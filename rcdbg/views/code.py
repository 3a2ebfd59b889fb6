"""The source and the instructions around the pc."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.model.state import Place
from rcdbg.views import highlight, palette
from rcdbg.views.common import guest, note_line, short_path, styled, symbol
from rcdbg.views.layout import Fitted

HERE, BREAKPOINT = "▸", "●"
_HERE_STYLE = Style(bold=True, bgcolor="bright_black")
_MIN_SOURCE, _MIN_INSTRUCTIONS = 3, 3


@dataclass(frozen=True, slots=True)
class Source:
    """Lines of a source file; `first` is the number of the first of them, `current` that of pc."""

    path: str
    first: int
    lines: tuple[str, ...]
    current: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """A disassembled instruction, `offset` bytes into the function `symbol`."""

    address: int
    text: str
    symbol: str | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """Where the hart stands; `notes` say why source or instructions are missing."""

    pc: Place
    source: Source | None = None
    instructions: tuple[Instruction, ...] = ()
    breakpoint_lines: frozenset[int] = frozenset()
    breakpoint_addresses: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def view(code: Code, height: int | None = None) -> RenderableType:
    """Source above, instructions below, the pc marked in both; in `height` lines, if given."""
    return Fitted(lambda width: _view(code, width, height))


def _view(code: Code, width: int, height: int | None) -> Text:
    lines = [note_line(note) for note in code.notes]
    source_height, instructions_height = _shares(code, height, len(lines))
    if code.source is not None:
        lines += _source(code, code.source, source_height, width)
    if code.instructions:
        lines.append(_function_line(code, width))
        lines += _instructions(code, instructions_height, width)
    text = Text("\n").join(lines)
    text.overflow = "fold"
    return text


def _shares(code: Code, height: int | None, notes: int) -> tuple[int, int]:
    """How many lines the source and the instructions get."""
    source = len(code.source.lines) if code.source else 0
    instructions = len(code.instructions)
    if height is None:
        return source, instructions
    room = height - notes - (1 if instructions else 0)
    if not source or not instructions:
        return room, room
    wanted = max(_MIN_INSTRUCTIONS, min(instructions, room * 2 // 5))
    return max(_MIN_SOURCE, room - wanted), wanted


def _window(count: int, current: int, height: int) -> range:
    """`height` of `count` items around `current`, more of what comes than of what has been."""
    start = max(0, min(current - height * 2 // 5, count - height))
    return range(start, min(count, start + height))


def _source(code: Code, source: Source, height: int, width: int) -> list[Text]:
    digits = len(str(source.first + len(source.lines)))
    lines = []
    for i in _window(len(source.lines), source.current - source.first, height):
        number = source.first + i
        margin = _margin(number == source.current, number in code.breakpoint_lines)
        margin.append(f"{number:>{digits}} ", palette.QUIET)
        body = highlight.source_line(source.lines[i].rstrip("\n"), source.path)
        lines.append(_fitted(margin, body, width, current=number == source.current))
    return lines


def _function_line(code: Code, width: int) -> Text:
    line = styled("── ", palette.QUIET)
    line.append_text(symbol(code.pc, width - 12))
    line.append(" ")
    return line.append("─" * max(0, width - line.cell_len), palette.QUIET)


def _instructions(code: Code, height: int, width: int) -> list[Text]:
    addresses = [item.address for item in code.instructions]
    current = addresses.index(code.pc.address) if code.pc.address in addresses else 0
    lines = []
    for i in _window(len(addresses), current, height):
        item = code.instructions[i]
        margin = _margin(item.address == code.pc.address, item.address in code.breakpoint_addresses)
        margin.append(f"{item.address:#x} ", palette.ADDRESS)
        body = highlight.instruction(item.text)
        lines.append(_fitted(margin, body, width, current=item.address == code.pc.address))
    return lines


def _margin(here: bool, breakpoint_here: bool) -> Text:
    margin = styled(BREAKPOINT if breakpoint_here else " ", palette.PROBLEM)
    return margin.append(f"{HERE} " if here else "  ", palette.RUNNING)


def _fitted(margin: Text, body: Text, width: int, *, current: bool) -> Text:
    """One line of code; code is not wrapped, an ellipsis says where it goes on."""
    room = max(4, width - margin.cell_len)
    if body.cell_len > room:
        body.truncate(room - 1)
        body.append("…", palette.QUIET)
    if current:
        body.append(" " * (room - body.cell_len))
        body.stylize(_HERE_STYLE)
    return margin + body


def where(code: Code) -> Text:
    """The pc in a few words, for a title: file and line, or the symbol."""
    if code.source is not None:
        return guest(f"{short_path(code.source.path)}:{code.source.current}")
    return symbol(code.pc)


def source_window(path: str, lines: Sequence[str], current: int, around: int) -> Source | None:
    """Up to `around` lines on each side of line `current` of a file, or None if it has no such."""
    if not 1 <= current <= len(lines):
        return None
    first = max(1, current - around)
    return Source(path, first, tuple(lines[first - 1 : current + around]), current)
