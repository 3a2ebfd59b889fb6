"""The owners of physical memory: a map as a picture, and a line for each stretch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.model.memory.claims import Conflict
from rcdbg.model.memory.frame_owners import AddressSpace, FrameOwners, Holding
from rcdbg.model.state import Interval
from rcdbg.views import palette
from rcdbg.views.common import address, count, guest, note_line, size, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, hanging, listing, problem_lines

_PAGE_SHIFT = 12
_MAP_ROWS = 16
_MIN_CELLS = 16
DEFAULT_LIMIT = 40
"""Stretches listed unless more are asked for."""
_SUMMARY_LIMIT: Final = 8


@dataclass(frozen=True, slots=True)
class _Mark:
    """How a kind of frame is drawn; of the kinds in one cell the first in `_MARKS` shows."""

    character: str
    style: Style
    words: str


_CONFLICT: Final = _Mark("!", palette.PROBLEM, "in conflict")
_NOBODY: Final = _Mark("?", palette.WARNING, "nobody's")
_TABLE: Final = _Mark("T", palette.USER, "page table")
_HELD: Final = _Mark("h", palette.SLEEPING, "held elsewhere")
_PAGE: Final = _Mark("█", palette.USED_MEMORY, "page")
_IMAGE: Final = _Mark("k", palette.LABEL, "kernel image")
_FREE: Final = _Mark("·", palette.FREE_MEMORY, "free")
_OTHER: Final = _Mark(" ", palette.QUIET, "not managed")
_MARKS = (_CONFLICT, _NOBODY, _TABLE, _HELD, _PAGE, _IMAGE, _FREE, _OTHER)
_BY_KIND = {"table": _TABLE, "page": _PAGE, "held": _HELD}


def view(owners: FrameOwners, *, limit: int | None = DEFAULT_LIMIT) -> RenderableType:
    """Counts, a map of memory, conflicts, what nobody has, and the first `limit` stretches."""
    parts = _counted(owners)
    if owners.allocator.managed is not None and owners.allocator.managed.frames > 0:
        managed = owners.allocator.managed
        parts.append(Fitted(lambda width: picture(owners, managed, width)))
    parts += [Fitted(partial(_conflict, conflict)) for conflict in owners.conflicts]
    parts += _nobody(owners, limit)
    if owners.holdings:
        parts.append(Fitted(lambda width: _stretches(owners, limit, width)))
    return Group(*parts, *problem_lines(owners.problems))


def summary(owners: FrameOwners) -> RenderableType:
    """Counts, conflicts and what nobody has, in a few lines."""
    return Group(
        *_counted(owners),
        *(Fitted(partial(_conflict, conflict)) for conflict in owners.conflicts[:_SUMMARY_LIMIT]),
        *_nobody(owners, _SUMMARY_LIMIT),
        *problem_lines(owners.problems),
    )


def _counted(owners: FrameOwners) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if owners.allocator.managed is not None:
        parts.append(Fitted(lambda width: _head(owners, width)))
    if owners.note:
        parts.append(note_line(owners.note))
    return parts + [Fitted(partial(_space, space)) for space in owners.spaces]


def _head(owners: FrameOwners, width: int) -> Text:
    used = owners.allocator.used
    cells = [Text(f"{count(used or 0, 'frame')} used:")]
    cells += [
        Text(f"{count(owners.frames('table'), 'page table')},"),
        Text(f"{count(owners.frames('page'), 'page')},"),
        Text(f"{owners.frames('held'):,} held elsewhere,"),
        styled(f"{owners.leaked:,} nobody's", palette.WARNING if owners.leaked else palette.GOOD),
    ]
    if owners.conflicts:
        cells.append(styled(count(len(owners.conflicts), "conflict"), palette.PROBLEM))
    return flow(cells, width)


def _space(space: AddressSpace, width: int) -> Text:
    cells = [guest(space.name, palette.SYMBOL)]
    if space.process is not None:
        cells.append(styled("process at ", palette.QUIET) + address(space.process))
    cells.append(styled("root table ", palette.QUIET) + address(space.root_ppn << _PAGE_SHIFT))
    if space.active:
        cells.append(styled("in satp", palette.RUNNING))
    cells.append(Text(f"{count(space.tables, 'table')}, {count(space.pages, 'page')}"))
    return flow(cells, width)


def picture(owners: FrameOwners, managed: Interval, width: int) -> Text:
    """Physical memory from the kernel's image to the last managed frame, with a legend."""
    start = managed.start
    if owners.image and 0 < start - owners.image.start < 1 << 20:
        start = owners.image.start
    total = managed.end - start
    label_width = len(f"{managed.end << _PAGE_SHIFT:#x}") + 1
    cells = max(_MIN_CELLS, width - label_width)
    per_cell = -(-total // (cells * _MAP_ROWS))
    per_cell = 1 << (per_cell - 1).bit_length()
    cells = 1 << (cells.bit_length() - 1)  # rows that start at round addresses
    marks = _cells(owners, start, managed, per_cell)
    text, shown = Text(overflow="fold"), set()
    for row in range(0, len(marks), cells):
        at = start + row * per_cell << _PAGE_SHIFT
        text.append(f"{at:#x} ".rjust(label_width), palette.ADDRESS)
        for mark in marks[row : row + cells]:
            text.append(mark.character, mark.style)
            shown.add(mark)
        text.append("\n")
    for mark in _MARKS:
        if mark in shown and mark is not _OTHER:
            text.append(mark.character, mark.style)
            text.append(f" {mark.words}  ", palette.QUIET)
    return text.append(f"1 cell = {size(per_cell << _PAGE_SHIFT)}", palette.QUIET)


def _cells(owners: FrameOwners, start: int, managed: Interval, per_cell: int) -> list[_Mark]:
    """The mark of each cell: that of the most telling frame in it."""
    rank = {mark: number for number, mark in enumerate(_MARKS)}
    marks = [_OTHER] * -(-(managed.end - start) // per_cell)
    for first, end, mark in _stretches_marked(owners):
        low = max(0, (first - start) // per_cell)
        high = min(len(marks), -(-(end - start) // per_cell))
        for cell in range(low, high):
            if rank[mark] < rank[marks[cell]]:
                marks[cell] = mark
    return marks


def _stretches_marked(owners: FrameOwners) -> Iterator[tuple[int, int, _Mark]]:
    if owners.image:
        yield owners.image.start, owners.image.end, _IMAGE
    for interval in owners.allocator.free:
        yield interval.start, interval.end, _FREE
    for holding in owners.holdings:
        yield holding.start, holding.end, _BY_KIND[holding.kind]
    for interval in owners.nobody:
        yield interval.start, interval.end, _NOBODY
    for conflict in owners.conflicts:
        yield conflict.frame, conflict.frame + 1, _CONFLICT


def _conflict(conflict: Conflict, width: int) -> Text:
    line = styled("! ", palette.PROBLEM) + styled(f"frame {conflict.frame:#x}", palette.HEADING)
    line.append(f" is {conflict.kind}: ", palette.PROBLEM)
    return hanging(line + guest("; ".join(conflict.claims)), width)


def _nobody(owners: FrameOwners, limit: int | None) -> list[RenderableType]:
    lines: list[Text] = []
    shown = owners.nobody if limit is None else owners.nobody[:limit]
    for interval in shown:
        line = styled("? ", palette.WARNING) + Text(f"{interval.start:#x}..{interval.end:#x}")
        line.append(f"  {count(interval.frames, 'frame')} that nobody has", palette.WARNING)
        lines.append(line)
    if left := len(owners.nobody) - len(shown):
        lines.append(note_line(f"and {count(left, 'interval')} more that nobody has"))
    if owners.nobody:
        why = "leaked, unless a local variable or a raw pointer holds them"
        if not owners.complete:
            why += "; not everything that could hold them was found"
        lines.append(note_line(why))
    return [Fitted(partial(hanging, line)) for line in lines]


_COLUMNS = (
    Column("frames"),
    Column("physical"),
    Column("count", right=True),
    Column("owner"),
)


def _stretches(owners: FrameOwners, limit: int | None, width: int) -> RenderableType:
    shown = owners.holdings if limit is None else owners.holdings[:limit]
    several = len(owners.spaces) > 1
    rows = [
        Row(
            (
                Text(f"{h.start:#x}..{h.end:#x}"),
                address(h.start << _PAGE_SHIFT),
                Text(f"{h.frames:,}"),
                _owner(h, several),
            )
        )
        for h in shown
    ]
    table = listing(_COLUMNS, rows, width)
    if len(shown) == len(owners.holdings):
        return table
    left = owners.holdings[len(shown) :]
    frames = sum(h.frames for h in left)
    return Group(table, note_line(f"and {count(frames, 'frame')} more in {len(left):,} stretches"))


def _owner(holding: Holding, several: bool) -> Text:
    if holding.kind == "table":
        text = styled(f"level {holding.level} table", palette.USER)
    elif holding.kind == "page":
        text = styled("page" + "s" * (holding.frames != 1) + " at ", palette.USED_MEMORY)
        text.append_text(address(holding.va or 0))
        if holding.thread is not None:
            text.append(f"  stack of thread {holding.thread}")
    else:
        text = guest(holding.path or "")
    if several and holding.space is not None:
        text.append("  of ", palette.QUIET).append_text(guest(holding.space))
    if not holding.tracked:
        text.append("  by the page table alone", palette.NOTE)
    return text
