"""The pieces that views are made of: safe text, addresses, places, sizes, marks."""

from dataclasses import replace
from pathlib import PurePosixPath

from rich.style import Style
from rich.text import Text

from rcdbg.escape import safe
from rcdbg.model.state import Place, Problem
from rcdbg.views import palette

MARK = "*"
"""Stands beside what is different from the last stop."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def styled(text: str, style: Style | str) -> Text:
    """`text` in a style that ends with it: what is appended to it keeps its own."""
    return Text().append(text, style)


def guest(text: str, style: Style = palette.PLAIN) -> Text:
    """Text from the guest or from symbols, made safe; never read as markup."""
    return styled(safe(text), style)


def hexadecimal(value: int) -> str:
    """`0x...` without leading zeros; zero is `0`."""
    return f"{value:#x}" if value else "0"


def bound(end: int) -> str:
    """The first address behind a stretch of memory; 2**64 where the address space ends there."""
    return "2**64" if end and not end % (1 << 64) else f"{end:#x}"


def address(value: int) -> Text:
    """An address, quiet, so that the symbols stand out."""
    return styled(f"{value:#x}", palette.ADDRESS)


def size(size_bytes: int) -> str:
    """Bytes for people: `4 KiB`, `1.5 MiB`, `12 B`; exact powers of two have no fraction.

    >>> size(4096), size(1572864), size(24)
    ('4 KiB', '1.5 MiB', '24 B')
    """
    if abs(size_bytes) < 1024:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in _UNITS:
        amount /= 1024
        if abs(amount) < 1024 or unit == _UNITS[-1]:
            break
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def short_size(size_bytes: int) -> str:
    """The same in the fewest characters: `4K`, `1.5M`, `12`."""
    return size(size_bytes).removesuffix(" B").replace(" ", "").removesuffix("iB")


def count(number: int, noun: str) -> str:
    """`1 frame`, `2 frames`, `12,345 frames`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`, ..."""
    tens, ones = divmod(number % 100, 10)
    suffix = "th" if tens == 1 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{number}{suffix}"


def short_path(path: str) -> str:
    """A source path as people say it: from the crate's directory on, `os/src/main.rs`."""
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or len(parts) <= 3:
        return path
    sources = [i for i, part in enumerate(parts) if part == "src"]
    return "/".join(parts[sources[-1] - 1 :] if sources and sources[-1] > 1 else parts[-3:])


def symbol(place: Place, room: int | None = None) -> Text:
    """`symbol+0x1c`, or only the address where no symbol is known; `hello:main` of a program.

    With `room`, leading path components go until it fits in so many columns: `…::idle+0x14`.
    """
    if place.program is not None:
        program = guest(f"{place.program}:", palette.PROGRAM)
        rest = None if room is None else max(8, room - program.cell_len)
        return program.append_text(symbol(replace(place, program=None), rest))
    if place.symbol is None:
        return address(place.address)
    offset = f"+{place.offset:#x}" if place.offset else ""
    name = safe(place.symbol)
    if room is not None and len(name) + len(offset) > room:
        tails = [f"…{name[cut:]}" for cut in _path_cuts(name)]
        fitting = (tail for tail in tails if len(tail) + len(offset) <= room)
        name = next(fitting, tails[-1] if tails else name)
    return styled(name, palette.SYMBOL).append(offset, palette.QUIET)


def _path_cuts(name: str) -> list[int]:
    """Where each `::` of the path itself stands, not those inside of generic arguments."""
    cuts, depth = [], 0
    for i, character in enumerate(name):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if depth == 0 and name.startswith("::", i):
            cuts.append(i)
    return cuts


def source(place: Place, room: int | None = None) -> Text | None:
    """`os/src/main.rs:48`, or None where it is not known; only `main.rs:48` if `room` is short."""
    if place.file is None:
        return None
    line = f":{place.line}" if place.line is not None else ""
    path = short_path(place.file)
    if room is not None and len(path) + len(line) > room:
        path = PurePosixPath(path).name
    return guest(path + line, palette.SOURCE)


def place_cells(place: Place, room: int | None = None) -> list[Text]:
    """What is known about an address, most telling first: symbol, source line, address.

    The symbol is shortened to `room` columns.
    """
    cells = [symbol(place, room)]
    if (where := source(place)) is not None:
        cells.append(where)
    if place.symbol is not None:
        cells.append(address(place.address))
    return cells


def problem_line(problem: Problem) -> Text:
    """`! where: why`."""
    line = styled("! ", palette.PROBLEM).append_text(guest(problem.where, palette.HEADING))
    return line.append(": ").append_text(guest(problem.why))


def note_line(note: str) -> Text:
    """A "not there yet" or another remark."""
    return guest(note, palette.NOTE)


def marked(text: Text, changed: bool) -> Text:
    """`text` behind the mark of what is different since the last stop, or behind a blank."""
    if not changed:
        return Text(" ") + text
    bright = text.copy()
    bright.stylize(palette.CHANGED)
    return styled(MARK, palette.CHANGED) + bright


def failure(error: Exception) -> Text:
    """What stands in the place of something that could not be shown."""
    text = styled("! this cannot be shown: ", palette.PROBLEM)
    return text.append(safe(f"{type(error).__name__}: {error}")[:400])
