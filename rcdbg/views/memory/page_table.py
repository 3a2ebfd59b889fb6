"""A whole page table as merged ranges."""

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.model.state import PAGE_SIZE, MappedRange, PageTable
from rcdbg.views import palette
from rcdbg.views.common import (
    MARK,
    address,
    bound,
    count,
    guest,
    marked,
    note_line,
    short_size,
    size,
    styled,
)
from rcdbg.views.layout import Column, Fitted, Row, listing, problem_lines

_RIGHTS_STYLES = {
    "r": palette.READABLE,
    "w": palette.WRITABLE,
    "x": palette.EXECUTABLE,
    "u": palette.USER,
    "g": palette.QUIET,
}
_FULL, _MEDIUM, _NARROW = 104, 84, 64
_COLUMNS = (
    Column("virtual"),
    Column("physical", "→"),
    Column("size", right=True),
    Column("rights"),
    Column("page", "pages of", right=True),
    Column("A", "A", right=True),
    Column("D", "D", right=True),
    Column("what"),
)
_NARROW_COLUMNS = (*_COLUMNS[:2], Column("size", right=True), Column("rwxug"), Column("ad"))


def view(table: PageTable, previous: PageTable | None = None) -> RenderableType:
    """What is mapped where, with which rights; `previous` marks ranges that are new.

    A and D say of how many pages the accessed and dirty bits are set; in a small panel, `A` of all,
    `a` of some.
    """
    parts: list[RenderableType] = [_head(table)]
    if table.note:
        parts.append(note_line(table.note))
    if table.ranges:
        parts.append(Fitted(lambda width: _ranges(table, previous, width)))
    parts += problem_lines(table.problems)
    if previous is not None and (gone := _gone(table, previous)):
        parts.append(gone)
    return Group(*parts)


def letters(text: str) -> Text:
    """`rwxug` and what follows, each right in its colour."""
    result = Text()
    for letter in text:
        result.append(letter, _RIGHTS_STYLES.get(letter, palette.QUIET))
    return result


def rights(text: str) -> Text:
    """The same; W and X at once is called out."""
    return letters(text).append(" W+X" if _both(text) else "", palette.WARNING)


def _both(text: str) -> bool:
    return "w" in text and "x" in text


def _head(table: PageTable) -> Text:
    if table.mode == "bare":
        return Text("bare: no translation, virtual addresses are physical")
    mapped = sum(item.size for item in table.ranges)
    head = guest(table.mode, palette.HEADING)
    head.append(", root ")
    head.append_text(address(table.root_ppn << 12))
    head.append(", ")
    if table.complete:
        head.append(f"{count(len(table.ranges), 'range')}, {size(mapped)}")
    else:
        # Of a listing that was cut, this is the line that is read.
        least = "" if table.walked else "at least "
        more, more_bytes = table.left_out
        every = count(len(table.ranges) + more, "range")
        shown = f"the first {len(table.ranges):,} of " if more else ""
        text = f"{shown}{least}{every}, {least}{size(mapped + more_bytes)} in all"
        head.append(text, palette.WARNING)
        if not table.walked:
            head.append(": the table was not walked to its end", palette.WARNING)
    if table.origin:
        head.append(": ").append_text(guest(table.origin))
    return head


def _identity(item: MappedRange) -> tuple[int, int, int, int, str]:
    return item.va, item.pa, item.pages, item.page_size, item.rights


def _ranges(table: PageTable, previous: PageTable | None, width: int) -> RenderableType:
    known = {_identity(item) for item in previous.ranges} if previous else None
    new = [known is not None and _identity(item) not in known for item in table.ranges]
    marked_items = list(zip(table.ranges, new, strict=True))
    if width < _NARROW:
        rows = [_narrow_row(*pair) for pair in marked_items]
        # Two letters of a column that is never left out: no need to keep more room for it.
        return listing(_NARROW_COLUMNS, rows, width, least=2)
    return listing(_COLUMNS, [_row(*pair, width) for pair in marked_items], width)


def _row(item: MappedRange, new: bool, width: int) -> Row:
    return Row(
        (
            marked(_span(item, width), new),
            address(item.pa),
            Text(size(item.size)),
            rights(item.rights),
            styled(short_size(item.page_size), palette.QUIET),
            _pages(item.accessed, item.pages),
            _pages(item.dirty, item.pages),
            guest(item.section or "", palette.SYMBOL),
        )
    )


def _narrow_row(item: MappedRange, new: bool) -> Row:
    """What every range needs in one line; what only some have, below it."""
    remarks = [
        styled("W+X", palette.WARNING) if _both(item.rights) else Text(),
        guest(item.section or "", palette.SYMBOL),
        styled(f"{size(item.page_size)} pages", palette.QUIET)
        if item.page_size != PAGE_SIZE
        else Text(),
    ]
    below = Text("    ").append_text(Text("  ").join(r for r in remarks if r.plain))
    return Row(
        (
            marked(Text(f"{item.va:#x}"), new),
            address(item.pa),
            Text(short_size(item.size)),
            letters(item.rights),
            _share("a", item.accessed, item.pages).append_text(_share("d", item.dirty, item.pages)),
        ),
        (below,) if below.plain.strip() else (),
    )


def _share(letter: str, number: int, pages: int) -> Text:
    """A capital if the bit is set in all pages, a small letter if in some, `-` if in none."""
    if not number:
        return styled("-", palette.QUIET)
    return Text(letter.upper() if number == pages else letter)


def _span(item: MappedRange, width: int) -> Text:
    """First and last-plus-one address; the end is shortened, then left out, for want of room."""
    end = item.va + item.size
    text = Text(f"{item.va:#x}")
    if width >= _FULL:
        return text.append(f"..{bound(end)}")
    if width >= _MEDIUM:
        same = item.va >> 32 and item.va >> 32 == end >> 32
        return text.append(f"..…{end & 0xFFFF_FFFF:08x}" if same else f"..{bound(end)}")
    return text


def _pages(number: int, pages: int) -> Text:
    if number == pages:
        return styled("all", palette.VALUE)
    style: Style = palette.VALUE if number else palette.QUIET
    return styled(f"{number:,}" if number else "none", style)


def _gone(table: PageTable, previous: PageTable) -> Text | None:
    now = {_identity(item) for item in table.ranges}
    gone = [item for item in previous.ranges if _identity(item) not in now]
    if not gone:
        return None
    text = styled(f"{MARK} gone or changed since the last stop: ", palette.CHANGED)
    spans = [f"{item.va:#x}..{bound(item.va + item.size)} {item.rights}" for item in gone]
    return text.append(", ".join(spans))
