"""The address spaces: each segment beside what the page table says of it."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.memory.memory_set import MemorySet, MemorySets
from rcdbg.model.memory.segments import Difference, Segment
from rcdbg.views import palette
from rcdbg.views.common import address, bound, count, guest, note_line, size, styled
from rcdbg.views.layout import Column, Fitted, Row, listing, problem_lines
from rcdbg.views.memory.page_table import rights

_COLUMNS = (
    Column("segment"),
    Column("size", right=True),
    Column("rights"),
    Column("mapped"),
    Column("page table"),
)


def view(found: MemorySets) -> RenderableType:
    """Every process's segments, and every difference between them and the page table."""
    parts: list[RenderableType] = [note_line(found.note)] if found.note else []
    for item in found.sets:
        parts += _set(item)
    return Group(*parts, *problem_lines(found.problems))


def _set(item: MemorySet) -> list[RenderableType]:
    if item.process is None:
        head = styled("no process's: ", palette.HEADING)
        head.append_text(guest(item.name, palette.SYMBOL))
    else:
        head = styled(f"process {item.number} ", palette.HEADING)
        head.append_text(guest(item.name, palette.SYMBOL)).append(" at ")
        head.append_text(address(item.process))
    if item.is_user is not None:
        head.append(", user" if item.is_user else ", kernel")
    if item.threads:
        names = ", ".join(map(str, item.threads[:16])) + ", ..." * (len(item.threads) > 16)
        head.append(f", thread{'s' * (len(item.threads) != 1)} {names}")
    facts = Text("  root table ")
    facts.append_text(Text("not known") if item.root_ppn is None else address(item.root_ppn << 12))
    facts.append(" (in satp)" if item.active else " (not in satp)", palette.QUIET)
    if item.segments or not item.note:
        facts.append(f", {count(len(item.segments), 'segment')}")
    if item.owned_pages is not None:
        facts.append(f", {count(item.owned_pages, 'page')} with frames of their own")
    parts: list[RenderableType] = [head, facts]
    if item.note:
        parts.append(note_line(item.note))
    if item.segments:
        rows = [_row(segment, item) for segment in sorted(item.segments, key=lambda s: s.start)]
        parts.append(Fitted(lambda width: listing(_COLUMNS, rows, width)))
    for stray in item.unexplained:
        line = styled("! ", palette.PROBLEM).append(f"{stray.va:#x}..")
        line.append(f"{bound(stray.va + stray.size)} → {stray.pa:#x} ").append_text(
            rights(stray.rights)
        )
        parts.append(line.append(": mapped, but in no segment"))
    parts += [_difference(difference) for difference in item.books]
    compared = item.segments or not item.note
    if item.root_ppn is not None and compared and not item.differences and not item.problems:
        parts.append(styled("✓ the page table maps exactly the segments", palette.GOOD))
    return [*parts, *problem_lines(item.problems)]


def _row(segment: Segment, item: MemorySet) -> Row:
    if item.root_ppn is None:
        verdict = styled("not known", palette.QUIET)
    elif segment.differences:
        verdict = styled(count(len(segment.differences), "difference"), palette.PROBLEM)
        if segment.more:
            verdict.append(" and more")
    else:
        verdict = styled("as it should be", palette.GOOD)
    below = tuple(_difference(difference) for difference in segment.differences)
    return Row(
        (
            Text(f"{segment.start:#x}..{bound(segment.end)}"),
            Text(size(segment.size)),
            rights(segment.rights) if segment.rights else Text("not known", palette.NOTE),
            guest(segment.map_type),
            verdict,
        ),
        below,
    )


def _difference(item: Difference) -> Text:
    line = styled("  ! ", palette.PROBLEM).append(f"{item.kind} ", palette.HEADING)
    line.append(f"{item.va:#x}")
    if item.size:
        line.append(f"..{bound(item.va + item.size)}")
    return line.append(": ").append_text(guest(item.why))
