"""Where each panel lies on the screen, for any size of it."""

from collections.abc import Sequence
from typing import Final

from textual.containers import Container
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from rcdbg.tui.widgets.contents import CONTENTS, PANELS

WIDE_WIDTH: Final = 144
"""From here on there is room for three columns."""
TALL_HEIGHT: Final = 38
NARROW_WIDTH: Final = 72
"""Below, there is one column, and it scrolls."""

_FOCUS_GROWTH: Final = 2.5
_SMALLEST: Final = 3
_ONE_COLUMN_HEIGHT: Final = 9


_WIDE_COLUMNS: Final = (60.0, 50.0, 50.0)
_NARROW_COLUMNS: Final = (50.0, 50.0)
"""The columns' shares of the width."""


def is_compact(width: int, height: int) -> bool:
    """Whether there is no room for a box around each panel."""
    return width < WIDE_WIDTH or height < TALL_HEIGHT


def regions(
    width: int, height: int, focused: str | None = None, zoomed: str | None = None
) -> dict[str, Region]:
    """Each visible panel's place in a room of this size; more than `height` lines scroll.

    Where it is tight, the focused panel takes room from its neighbours.
    """
    if zoomed is not None:
        return {zoomed: Region(0, 0, width, height)}
    if width < NARROW_WIDTH:
        each = min(height, max(_ONE_COLUMN_HEIGHT, height // 3))
        return {name: Region(0, i * each, width, each) for i, name in enumerate(PANELS)}
    compact = is_compact(width, height)
    wide = width >= WIDE_WIDTH
    found: dict[str, Region] = {}
    x = 0
    for column, column_width in enumerate(
        _divide(width, _WIDE_COLUMNS if wide else _NARROW_COLUMNS)
    ):
        shares = {
            content.name: spot.share * (_FOCUS_GROWTH if compact and content.name == focused else 1)
            for content in CONTENTS
            if (spot := content.wide if wide else content.narrow).column == column
        }
        y = 0
        for name, panel_height in zip(shares, _divide(height, list(shares.values())), strict=True):
            found[name] = Region(x, y, column_width, panel_height)
            y += panel_height
        x += column_width
    return found


def _divide(total: int, shares: Sequence[float]) -> list[int]:
    """`total` lines in whole parts after `shares`, none smaller than what shows anything."""
    whole = sum(shares)
    parts = [max(_SMALLEST, round(total * share / whole)) for share in shares]
    while sum(parts) != total:
        step = 1 if sum(parts) < total else -1
        parts[parts.index(max(parts))] += step
    return parts


class PanelLayout(Layout):
    """Lays out the panels by their ids."""

    name = "panels"

    def __init__(self) -> None:
        self.zoomed: str | None = None
        self.focused: str | None = None

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        """Textual asks for the places of `children` in a parent of `size`."""
        places = regions(size.width, size.height, self.focused, self.zoomed)
        return [
            WidgetPlacement(places[child.id], NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id in places
        ]


class PanelGrid(Container):
    """The room for the panels, arranged by `arrangement`."""

    def __init__(self, arrangement: PanelLayout, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._arrangement = arrangement

    @property
    def layout(self) -> Layout:
        """Textual asks how to lay out the children; its styles know only its own layouts."""
        return self._arrangement
