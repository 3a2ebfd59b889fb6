"""Fitting text into the width there is: flowing, hanging lines, tables that become paragraphs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from rcdbg.model.state import Problem
from rcdbg.views import palette
from rcdbg.views.common import failure, problem_line, styled


class Fitted:
    """A renderable that is built for the width that it gets."""

    def __init__(self, build: Callable[[int], RenderableType]) -> None:
        self._build = build

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._build(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(24, options.max_width), options.max_width)


class GuardedView:
    """What `build` returns, or in its place the error that building or rendering it raised."""

    def __init__(self, build: Callable[[], RenderableType]) -> None:
        self._build = build

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        try:
            # To the end, since most of the work is done lazily.
            rendered = list(console.render(self._build(), options))
        except Exception as error:  # noqa: BLE001
            # Whatever it is, it belongs into this one place on the screen.
            yield failure(error)
        else:
            yield from rendered

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(24, options.max_width), options.max_width)


def flow(cells: Sequence[Text], width: int, *, indent: int = 2, gap: str = "  ") -> Text:
    """Cells one after the other, broken between cells; what continues is indented.

    A cell that is wider than a line is folded, never cut.
    """
    result, used = Text(), 0
    for cell in cells:
        if not cell.plain:
            continue
        if used and used + len(gap) + cell.cell_len > width:
            result.append("\n" + " " * indent)
            used = indent
        elif used:
            result.append(gap)
            used += len(gap)
        room = max(8, width - indent)
        pieces = [cell] if used + cell.cell_len <= width else _folded(cell, room)
        for i, piece in enumerate(pieces):
            if i:
                result.append("\n" + " " * indent)
                used = indent
            result.append_text(piece)
            used += piece.cell_len
    result.overflow = "fold"
    return result


def _folded(cell: Text, width: int) -> list[Text]:
    # Text.wrap asks a console for nothing but its tab size.
    return list(cell.wrap(Console(width=width, height=1), width, overflow="fold"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a listing; `label` stands before its cells where there is no room for headers."""

    header: str
    label: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a listing, and lines that belong under it."""

    cells: tuple[Text, ...]
    below: tuple[Text, ...] = ()


_MIN_LAST = 14
_MAX_STACKED_NAME = 12


def listing(
    columns: Sequence[Column], rows: Sequence[Row], width: int, *, least: int = _MIN_LAST
) -> RenderableType:
    """A table where it fits, the last column wrapping if it must; else one paragraph a row.

    The last column gets no fewer than `least` columns of text, unless it needs fewer.
    """
    widths = [
        max([len(column.header), *(row.cells[i].cell_len for row in rows)])
        for i, column in enumerate(columns)
    ]
    for gap in (2, 1):
        room = width - sum(widths[:-1]) - gap * (len(columns) - 1)
        if room >= min(widths[-1], least):
            return _table(columns, rows, [*widths[:-1], room], gap, width)
    return _lines(line for row in rows for line in _stacked(columns, row, widths[0], width))


def _table(
    columns: Sequence[Column], rows: Sequence[Row], widths: Sequence[int], gap: int, width: int
) -> Text:
    # Not rich.table: this has to be painted at every stop, and takes a tenth of its time.
    lines = []
    if any(column.header for column in columns):
        headers = tuple(styled(column.header, palette.QUIET) for column in columns)
        lines += _table_row(columns, headers, widths, gap)
    for row in rows:
        lines += _table_row(columns, row.cells, widths, gap)
        lines += [hanging(line, width) for line in row.below]
    return _lines(lines)


def _table_row(
    columns: Sequence[Column], cells: Sequence[Text], widths: Sequence[int], gap: int
) -> list[Text]:
    line = Text()
    *others, last = zip(columns, cells, widths, strict=True)
    for column, cell, width in others:
        blanks = " " * (width - cell.cell_len)
        if column.right:
            line.append(blanks)
        line.append_text(cell)
        line.append(" " * gap if column.right else blanks + " " * gap)
    _, cell, width = last
    start = line.cell_len
    if cell.cell_len <= width:
        return [line.append_text(cell)]
    first, *rest = _folded(cell, width)
    return [line.append_text(first), *(Text(" " * start) + piece for piece in rest)]


def _lines(lines: Iterable[Text]) -> Text:
    text = Text("\n").join(lines)
    text.overflow = "fold"
    return text


def _stacked(columns: Sequence[Column], row: Row, first_width: int, width: int) -> list[Text]:
    cells = [
        styled(f"{column.label} ", palette.QUIET) + cell if column.label and cell.plain else cell
        for column, cell in zip(columns, row.cells, strict=True)
    ]
    indent = 2
    if first_width <= _MAX_STACKED_NAME:
        cells[0] = cells[0] + Text(" " * (first_width - cells[0].cell_len))
        indent = first_width + 2
    return [flow(cells, width, indent=indent), *(hanging(line, width) for line in row.below)]


def hanging(line: Text, width: int, indent: int = 2) -> Text:
    """`line` wrapped, what continues being indented by `indent` more than it is itself."""
    if line.cell_len <= width:
        return line
    start = len(line.plain) - len(line.plain.lstrip(" "))
    blanks = Text(" " * (start + indent))
    first, *rest = _folded(line[start:], max(8, width - start - indent))
    return _lines([line[:start] + first, *(blanks + piece for piece in rest)])


def problem_lines(problems: Iterable[Problem]) -> list[RenderableType]:
    """A line for each problem; where it has to wrap, it continues further in."""
    return [Fitted(partial(hanging, problem_line(problem))) for problem in problems]
