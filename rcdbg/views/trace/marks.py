"""What timelines are made of, in a terminal as in a picture: shares of cells, sorts of marks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.style import Style

from rcdbg.trace.analysis.timeline import Doing, Mark, Row, Timeline
from rcdbg.views import palette


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
HIT: Final = Sort("hit", "h", palette.SYMBOL, "diamond", "#009E73", "function hit")
ADD: Final = Sort("add", "+", palette.GOOD, "plus", "#009E73", "new thread")
SLEEP: Final = Sort("sleep", "s", palette.SLEEPING, "triangle-down", "#CC79A7", "goes to sleep")
WAKE: Final = Sort("wake", "w", palette.READY, "triangle", "#CC79A7", "woken")
SATP: Final = Sort("satp", "p", palette.LABEL, "diamond", "#56B4E9", "page table switch")
FIRMWARE: Final = Sort("firmware", "f", palette.LABEL, "square", "#56B4E9", "firmware call")
CONSOLE: Final = Sort("console", "c", palette.SOURCE, "dot", "#555555", "console line")
SORTS: Final = (EXCEPTION, EXIT, HIT, ADD, SLEEP, WAKE, BREAKPOINT, CALL, INTERRUPT, TIMER, SATP,
                FIRMWARE, CONSOLE)  # fmt: skip
"""The most telling first: of several in one place, that one is drawn."""

_RANK: Final = {sort.name: number for number, sort in enumerate(SORTS)}
_BY_KIND: Final = {
    "thread_exit": EXIT, "hit": HIT, "thread_add": ADD, "sleep": SLEEP, "wake": WAKE,
    "satp": SATP, "sbi": FIRMWARE, "console": CONSOLE,
}  # fmt: skip


def sort_of(mark: Mark) -> Sort:
    """The sort that a mark is drawn as."""
    if mark.kind != "trap_enter":
        return _BY_KIND.get(mark.kind, CONSOLE)
    if mark.interrupt:
        return TIMER if "timer" in mark.text else INTERRUPT
    if mark.text == "breakpoint":
        return BREAKPOINT
    return CALL if mark.text.startswith("environment call") else EXCEPTION


def used(timeline: Timeline) -> list[Sort]:
    """The sorts that there are in a timeline, the most telling first."""
    found = {sort_of(mark).name for row in timeline.rows for mark in row.marks}
    return [sort for sort in SORTS if sort.name in found]


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


def shares(timeline: Timeline, row: Row, cells: int) -> list[dict[Doing, float]]:
    """For each of so many cells of the axis, which part of it the thread spent with what."""
    found: list[dict[Doing, float]] = [{} for _ in range(cells)]
    span = timeline.end - timeline.start
    for piece in row.slices:
        start, end = (piece.start - timeline.start) * cells, (piece.end - timeline.start) * cells
        for cell in range(max(0, start // span), min(cells, -(-end // span))):
            part = (min(end, (cell + 1) * span) - max(start, cell * span)) / span
            found[cell][piece.doing] = found[cell].get(piece.doing, 0.0) + part
    return found
