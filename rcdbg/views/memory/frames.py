"""The frame allocator: how much, how full, and where."""

from bisect import bisect_right

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.model.state import FrameAllocator, Interval
from rcdbg.views import palette
from rcdbg.views.common import MARK, address, count, guest, marked, note_line, size, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, listing, problem_lines

_PAGE_SHIFT = 12
_PICTURE_ROWS = 4
_USED, _MIXED, _FREE = "█", "▒", "·"
DEFAULT_LIMIT = 24
"""Free intervals listed unless more are asked for."""


def view(
    frames: FrameAllocator,
    previous: FrameAllocator | None = None,
    *,
    limit: int | None = DEFAULT_LIMIT,
) -> RenderableType:
    """Counts, a picture of the managed memory, and the first `limit` free intervals (None: all)."""
    parts: list[RenderableType] = [note_line(frames.note)] if frames.note else []
    if frames.managed or frames.free or not frames.note:
        parts.insert(0, Fitted(lambda width: _head(frames, previous, width)))
    if frames.managed is not None and frames.managed.frames > 0:
        managed = frames.managed
        parts.append(Fitted(lambda width: picture(managed, frames.free, width)))
    if frames.free:
        parts.append(Fitted(lambda width: _intervals(frames, previous, limit, width)))
    return Group(*parts, *problem_lines(frames.problems))


def _head(frames: FrameAllocator, previous: FrameAllocator | None, width: int) -> Text:
    cells = [guest(frames.kind, palette.SYMBOL)]
    if frames.total is not None and frames.used is not None:
        share = f" ({100 * frames.used / frames.total:.1f} %)" if frames.total else ""
        used = Text(f"{count(frames.used, 'frame')} used{share}")
        if previous is not None and previous.used is not None and previous.used != frames.used:
            used.append(f" {MARK}{frames.used - previous.used:+,}", palette.CHANGED)
        cells += [
            used,
            styled(f"{frames.free_frames:,} free", palette.GOOD),
            styled(f"of {frames.total:,} = {size(frames.total << _PAGE_SHIFT)}", palette.QUIET),
        ]
    else:
        if frames.is_known:
            cells.append(Text(f"{frames.free_frames:,} free"))
        else:
            cells.append(styled("free not known", palette.NOTE))
        if frames.total is None:
            cells.append(styled("total not known", palette.NOTE))
        else:
            cells.append(styled(f"of {frames.total:,}", palette.QUIET))
    if frames.locked:
        cells.append(styled("locked now", palette.WARNING))
    return flow(cells, width)


def picture(managed: Interval, free: tuple[Interval, ...], width: int) -> Text:
    """The managed memory as a picture: one character for some frames, with a legend."""
    label_width = len(f"{managed.start << _PAGE_SHIFT:#x}") + 1
    cells = max(8, width - label_width)
    per_cell = -(-managed.frames // (cells * _PICTURE_ROWS))
    # A round number of frames a cell is worth a little unused width; rows of equal length too.
    per_cell = 1 << (per_cell - 1).bit_length()
    needed = -(-managed.frames // per_cell)
    cells = -(-needed // -(-needed // cells))
    text = Text(overflow="fold")
    position = managed.start
    usage = _FreeCounter(free)
    while position < managed.end:
        text.append(f"{position << _PAGE_SHIFT:#x} ".rjust(label_width), palette.ADDRESS)
        for _ in range(cells):
            if position >= managed.end:
                break
            end = min(position + per_cell, managed.end)
            text.append(*_cell(usage.within(position, end), end - position))
            position = end
        text.append("\n")
    text.append(f"{_USED} used  {_MIXED} partly  {_FREE} free", palette.QUIET)
    return text.append(f"  1 cell = {size(per_cell << _PAGE_SHIFT)}", palette.QUIET)


class _FreeCounter:
    """How many frames of a range are free, fast also for thousands of intervals."""

    def __init__(self, free: tuple[Interval, ...]) -> None:
        self._free = sorted(free, key=lambda item: item.start)
        self._starts = [item.start for item in self._free]

    def within(self, start: int, end: int) -> int:
        total = 0
        for item in self._free[max(0, bisect_right(self._starts, start) - 1) :]:
            if item.start >= end:
                break
            total += max(0, min(item.end, end) - max(item.start, start))
        return total


def _cell(free: int, frames: int) -> tuple[str, Style]:
    if free <= 0:
        return _USED, palette.USED_MEMORY
    return (_FREE, palette.FREE_MEMORY) if free >= frames else (_MIXED, palette.USED_MEMORY)


_COLUMNS = (
    Column("free frames"),
    Column("physical"),
    Column("count", right=True),
    Column("size", right=True),
)


def _intervals(
    frames: FrameAllocator, previous: FrameAllocator | None, limit: int | None, width: int
) -> RenderableType:
    known = set(previous.free) if previous else None
    shown = frames.free if limit is None else frames.free[:limit]
    rows = [
        Row(
            (
                marked(Text(f"{i.start:#x}..{i.end:#x}"), known is not None and i not in known),
                address(i.start << _PAGE_SHIFT),
                Text(f"{i.frames:,}"),
                styled(size(i.frames << _PAGE_SHIFT), palette.QUIET),
            )
        )
        for i in shown
    ]
    table = listing(_COLUMNS, rows, width)
    if len(shown) == len(frames.free):
        return table
    rest = frames.free[len(shown) :]
    left = sum(i.frames for i in rest)
    return Group(table, note_line(f"and {count(len(rest), 'interval')} more, {left:,} frames free"))
