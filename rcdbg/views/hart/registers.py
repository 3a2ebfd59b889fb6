"""The 32 general-purpose registers, by ABI name, as a compact grid."""

from collections.abc import Collection, Sequence

from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.views import palette
from rcdbg.views.common import MARK, hexadecimal
from rcdbg.views.layout import Fitted

_COLUMNS = (8, 4, 2, 1)
_GAP = 2


SINCE = "~"
"""Stands beside a saved register that the hart has another value in by now."""


def view(
    x: Sequence[int], previous: Sequence[int] | None = None, since: Collection[int] = ()
) -> RenderableType:
    """x0..x31 in as many columns as fit, reading down.

    `previous` marks what changed from the last stop, `since` the saved registers, by number, that
    the hart has other values in.
    """
    return Fitted(lambda width: _grid(x, previous, since, width))


def _grid(
    x: Sequence[int], previous: Sequence[int] | None, since: Collection[int], width: int
) -> Text:
    names = ABI_NAMES[: len(x)]
    values = [hexadecimal(value) for value in x]
    if not _fits(names, values, 2, width):
        # Two columns matter more than the 0x that every one of them would repeat.
        values = [f"{value:x}" for value in x]
    columns = next((n for n in _COLUMNS if _fits(names, values, n, width)), 1)
    rows = -(-len(values) // columns)
    widths = [_column_width(names, values, rows, c) for c in range(columns)]
    grid = Text(overflow="fold")
    for row in range(rows):
        for column in range(columns):
            i = column * rows + row
            if i >= len(values):
                continue
            changed = previous is not None and i < len(previous) and previous[i] != x[i]
            last = column == columns - 1
            name_width, value_width = widths[column]
            grid.append(names[i].ljust(name_width), palette.LABEL)
            if not changed and i in since:
                grid.append(SINCE, palette.QUIET)
            else:
                grid.append(MARK if changed else " ", palette.CHANGED)
            grid.append(
                values[i] if last else values[i].ljust(value_width + _GAP),
                _style(x[i], changed),
            )
        if row < rows - 1:
            grid.append("\n")
    return grid


def _style(value: int, changed: bool) -> Style:
    if changed:
        return palette.CHANGED
    return palette.VALUE if value else palette.QUIET


def _column_width(
    names: Sequence[str], values: Sequence[str], rows: int, column: int
) -> tuple[int, int]:
    part = slice(column * rows, (column + 1) * rows)
    return max(map(len, names[part]), default=0), max(map(len, values[part]), default=0)


def _fits(names: Sequence[str], values: Sequence[str], columns: int, width: int) -> bool:
    rows = -(-len(values) // columns)
    used = [_column_width(names, values, rows, c) for c in range(columns)]
    return sum(n + 1 + v for n, v in used) + _GAP * (columns - 1) <= width
