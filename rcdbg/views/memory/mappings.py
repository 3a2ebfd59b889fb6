"""Answers about whole page tables: physical to virtual, aliases, lint, differences."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.memory.mappings import Mapped, Reverse
from rcdbg.model.memory.table_aliases import Aliases
from rcdbg.model.memory.table_diff import Change, TableDiff
from rcdbg.model.memory.table_lint import Lint, Oddity
from rcdbg.model.state import PAGE_SIZE, MappedRange
from rcdbg.views import palette
from rcdbg.views.common import address, count, guest, note_line, short_size, size, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, listing, problem_lines
from rcdbg.views.memory.page_table import rights

_LINT_COLUMNS = (Column("rule"), Column("at"), Column("size", right=True), Column("why"))
_DIFF_COLUMNS = (
    Column("change"),
    Column("virtual"),
    Column("size", right=True),
    Column("before", "before"),
    Column("after", "after"),
)


def reverse(found: Reverse) -> RenderableType:
    """Every virtual address of a physical one."""
    head = styled("physical ", palette.LABEL)
    head.append(f"{found.physical:#x}", palette.HEADING)
    number = len(found.mappings)
    head.append(f", at {number:,} virtual address" + "es" * (number != 1))
    return Group(
        *_head(head, found.origin, found.note),
        *(Text("  ").append_text(_mapped(item)) for item in found.mappings),
        *problem_lines(found.problems),
    )


def aliases(found: Aliases) -> RenderableType:
    """What is mapped more than once; different rights are called out."""
    rows: list[RenderableType] = []
    for alias in found.aliases:
        line = Text(f"{alias.pa:#x}..{alias.pa + alias.size:#x}  {size(alias.size)}, ")
        line.append(count(alias.count, "time"))
        if alias.different_rights:
            line.append("  different rights", palette.WARNING)
        cells = [_mapped(item) for item in alias.mappings]
        if alias.count > len(alias.mappings):
            cells.append(styled(f"and {alias.count - len(alias.mappings):,} more", palette.QUIET))
        rows.append(line)
        rows.append(_flowing(cells))
    different = sum(alias.different_rights for alias in found.aliases)
    head = Text(f"{len(found.aliases):,} stretches of physical memory are mapped more than once")
    head.append(f", {different:,} of them with different rights")
    return Group(*_head(head, found.origin, found.note), *rows, *problem_lines(found.problems))


def lint(found: Lint) -> RenderableType:
    """Findings by rule, and what was not looked at."""
    head = Text(f"{count(found.tables, 'page table')}, {count(len(found.findings), 'finding')}")
    parts = _head(head, found.origin, found.note)
    if found.findings:
        rows = [_finding(item) for item in found.findings]
        parts.append(Fitted(lambda width: listing(_LINT_COLUMNS, rows, width)))
    elif not found.note:
        parts.append(styled("✓ nothing odd", palette.GOOD))
    parts += [note_line(f"not applied: {item}") for item in found.skipped]
    return Group(*parts)


def diff(found: TableDiff) -> RenderableType:
    """What differs between two tables."""
    head = guest(found.before, palette.HEADING) + Text(" against ")
    head += guest(found.after, palette.HEADING)
    head.append(f": {count(len(found.changes), 'change')}" if found.changes else ": the same")
    parts: list[RenderableType] = [head, *(note_line(note) for note in found.notes)]
    if found.changes:
        rows = [_change(item) for item in found.changes]
        parts.append(Fitted(lambda width: listing(_DIFF_COLUMNS, rows, width)))
    return Group(*parts, *problem_lines(found.problems))


def _head(head: Text, origin: str, note: str) -> list[RenderableType]:
    parts: list[RenderableType] = [head]
    if origin:
        head.append(", the table ").append_text(guest(origin))
    if note:
        parts.append(note_line(note))
    return parts


def _flowing(cells: list[Text]) -> RenderableType:
    return Fitted(lambda width: Text("    ").append_text(flow(cells, max(8, width - 4), indent=4)))


def _mapped(item: Mapped) -> Text:
    text = Text(f"{item.va:#x} ").append_text(rights(item.rights))
    if item.page_size != PAGE_SIZE:
        text.append(f" ({short_size(item.page_size)} page)", palette.QUIET)
    return text


def _finding(item: Oddity) -> Row:
    return Row(
        (
            styled(item.rule, palette.WARNING),
            Text(f"{item.va:#x}"),
            Text("" if item.size is None else size(item.size)),
            guest(item.why),
        )
    )


def _change(item: Change) -> Row:
    style = {"added": palette.GOOD, "removed": palette.PROBLEM}.get(item.kind, palette.CHANGED)
    return Row(
        (
            styled(item.kind, style),
            Text(f"{item.va:#x}"),
            Text(size(item.size)),
            _side(item.before, item.va),
            _side(item.after, item.va),
        )
    )


def _side(item: MappedRange | None, va: int) -> Text:
    if item is None:
        return styled("-", palette.QUIET)
    text = address(item.pa + va - item.va).append(" ").append_text(rights(item.rights))
    if item.page_size != PAGE_SIZE:
        text.append(f" {short_size(item.page_size)}", palette.QUIET)
    return text
