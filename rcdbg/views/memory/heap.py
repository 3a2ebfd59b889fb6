"""The kernel heap: how full, what it could still give, and its free blocks by order."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.memory.heap import FreeList, Heap
from rcdbg.views import palette
from rcdbg.views.common import address, count, guest, note_line, size, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, listing, problem_lines

BLOCKS_SHOWN = 8
"""Blocks of one order that are listed unless more are asked for."""

_COLUMNS = (
    Column("order", "order", right=True),
    Column("block", right=True),
    Column("free", right=True),
    Column("bytes", right=True),
    Column("blocks at, next to be handed out first"),
)

_SIZES = (
    Column("block", right=True),
    Column("free", right=True),
    Column("blocks at"),
)
SIZES_SHOWN = 16
"""Sizes that are listed unless more are asked for."""


def view(heap: Heap, *, limit: int | None = BLOCKS_SHOWN) -> RenderableType:
    """Counts, the largest allocation that would succeed, and each order's first `limit` blocks."""
    parts: list[RenderableType] = []
    if heap.kind:
        parts.append(Fitted(lambda width: _head(heap, width)))
    if heap.note:
        parts.append(note_line(heap.note))
    if heap.total or heap.holes:
        parts.append(Fitted(lambda width: _counts(heap, width)))
        parts += [_largest(heap)] if heap.counted_free is None else []
    if heap.holes:
        sizes = _by_size(heap, limit)
        parts.append(Fitted(lambda width: listing(_SIZES, sizes, width)))
    if heap.lists:
        rows = [_row(found, limit) for found in heap.lists]
        parts.append(Fitted(lambda width: listing(_COLUMNS, rows, width)))
    return Group(*parts, *problem_lines(heap.problems))


def _head(heap: Heap, width: int) -> Text:
    cells = [guest(heap.kind, palette.SYMBOL)]
    if heap.total:
        cells.append(Text(size(heap.total)))
    if heap.start is not None and heap.end is not None:
        cells.append(address(heap.start) + Text("..") + address(heap.end))
    if heap.locked:
        cells.append(styled("locked now", palette.WARNING))
    return flow(cells, width)


def _counts(heap: Heap, width: int) -> Text:
    cells = []
    if heap.requested is not None:
        cells.append(Text(f"{heap.requested:,} bytes requested"))
    if heap.allocated is not None:
        cells.append(Text(f"{heap.allocated:,} allocated"))
    if heap.waste is not None and heap.allocated and 0 <= heap.waste <= heap.allocated:
        share = 100 * heap.waste / heap.allocated
        cells.append(styled(f"{heap.waste:,} lost to rounding ({share:.1f} %)", palette.QUIET))
    cells.append(styled(f"{heap.free:,} free", palette.GOOD))
    if heap.counted_free is None:
        cells.append(styled(f"in {count(heap.blocks, 'block')}", palette.QUIET))
    return flow(cells, width)


def _largest(heap: Heap) -> Text:
    if not heap.largest or not heap.free:
        return styled("no allocation would succeed: no block is free", palette.PROBLEM)
    what = "largest free block: " if heap.holes else "largest allocation that would succeed: "
    text = Text(what)
    text.append(size(heap.largest), palette.HEADING)
    share = 100 * heap.largest / heap.free
    return text.append(f"  {share:.0f} % of what is free", palette.QUIET)


def _by_size(heap: Heap, limit: int | None) -> list[Row]:
    """The free blocks of any size, those of the same size together, the largest first."""
    by_size: dict[int, list[int]] = {}
    for block, length in heap.holes:
        by_size.setdefault(length, []).append(block)
    every = sorted(by_size, reverse=True)
    rows = []
    for length in every if limit is None else every[:SIZES_SHOWN]:
        blocks = by_size[length]
        shown = blocks if limit is None else blocks[:limit]
        cells = Text(" ").join(address(block) for block in shown)
        if left := len(blocks) - len(shown):
            cells.append(f" and {left:,} more", palette.NOTE)
        rows.append(Row((Text(size(length)), Text(f"{len(blocks):,}"), cells)))
    if len(every) > len(rows):
        more = styled(f"{len(every) - len(rows):,} sizes more", palette.NOTE)
        rows.append(Row((Text(""), Text(""), more)))
    return rows


def _row(found: FreeList, limit: int | None) -> Row:
    shown = found.blocks if limit is None else found.blocks[:limit]
    blocks = Text(" ").join(address(block) for block in shown)
    if left := len(found.blocks) - len(shown):
        blocks.append(f" and {left:,} more", palette.NOTE)
    if found.broken:
        blocks.append(" ! broken here", palette.PROBLEM)
    return Row(
        (
            Text(str(found.order)),
            Text(size(found.block_size)),
            Text(f"{len(found.blocks):,}"),
            styled(size(found.size), palette.QUIET),
            blocks,
        )
    )
