"""What timelines are made of, in a terminal as in a picture: shares of cells, sorts of marks."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from rcdbg.trace.analysis.timeline import Doing, Mark, ThreadRow, Timeline
from rcdbg.views.trace.drawings import OTHER, SORTS, Sort, sort_of

_RANK: Final = {sort.name: number for number, sort in enumerate(SORTS)}
_MAX_NAMES = 4


def used(timeline: Timeline) -> list[Sort]:
    """The sorts that there are in a timeline, the most telling first; kinds without one by name."""
    found: dict[str, dict[str, None]] = {}
    for row in timeline.rows:
        for mark in row.marks:
            found.setdefault(sort_of(mark).name, {})[mark.kind] = None
    return [
        replace(sort, words=_names(tuple(found[sort.name]))) if sort is OTHER else sort
        for sort in SORTS
        if sort.name in found
    ]


def _names(kinds: tuple[str, ...]) -> str:
    more = len(kinds) - _MAX_NAMES
    names = ", ".join(kinds[:_MAX_NAMES])
    return f"{names} and {more} kinds more" if more > 0 else names


def in_cells(timeline: Timeline, marks: Iterable[Mark], cells: int) -> dict[int, list[Mark]]:
    """The marks by the cell of the axis that they are in, the most telling of each first."""
    found: dict[int, list[Mark]] = {}
    for mark in marks:
        found.setdefault(cell_of(timeline, mark.at, cells), []).append(mark)
    for several in found.values():
        several.sort(key=lambda mark: _RANK[sort_of(mark).name])
    return found


def cell_of(timeline: Timeline, at: int, cells: int) -> int:
    """Which of so many cells an instant is in."""
    return min(cells - 1, max(0, (at - timeline.start) * cells // (timeline.end - timeline.start)))


def shares(timeline: Timeline, row: ThreadRow, cells: int) -> list[dict[Doing, float]]:
    """For each of so many cells of the axis, which part of it the thread spent with what."""
    found: list[dict[Doing, float]] = [{} for _ in range(cells)]
    span = timeline.end - timeline.start
    for piece in row.slices:
        start, end = (piece.start - timeline.start) * cells, (piece.end - timeline.start) * cells
        for cell in range(max(0, start // span), min(cells, -(-end // span))):
            part = (min(end, (cell + 1) * span) - max(start, cell * span)) / span
            found[cell][piece.doing] = found[cell].get(piece.doing, 0.0) + part
    return found
