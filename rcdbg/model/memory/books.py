"""What the books of one address space say: its segments, the frames and the tables it owns."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.segments import MAX_DIFFERENCES, Difference, MapKind, Segment
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import base_name, elements, pair, variant_name
from rcdbg.model.values.contents import contents
from rcdbg.model.values.parts import has, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.pte import flags_text
from rcdbg.riscv.registers import MASK64
from rcdbg.riscv.table_listing import Table

MAX_SEGMENTS = 4096
"""Segments of one process that are compared."""


def segments(
    kernel: Kernel, space: Value, problems: list[Problem]
) -> tuple[tuple[Segment, ...], bool]:
    """The segments in the order of the books, and whether they are all there.

    None of them, without a problem, where the description names no such books.
    """
    found: list[Segment] = []
    names = kernel.description.address_space
    if not names.areas:
        return (), False
    try:
        for item in _items(part(space, names.areas)):
            if len(found) == MAX_SEGMENTS:
                problems.append(Problem(item.path, "more segments than can be compared"))
                return tuple(found), False
            found.append(_segment(kernel, item))
    except DecodeError as error:
        problems.append(error.problem)
        return tuple(found), False
    return tuple(found), True


def _items(areas: Value) -> Iterator[Value]:
    """The areas of a collection, or of a map from where they begin; raises DecodeError."""
    held = contents(areas)
    return elements(areas) if held is None else (item for _, item in held.walk())


def _segment(kernel: Kernel, item: Value) -> Segment:
    names = kernel.description.area
    start = _address(kernel, part(item, names.start))
    end = _address(kernel, part(item, names.end), is_end=True)
    rights = flags_text(part(item, names.rights).scalar())[:4] if names.rights else ""
    variant = variant_name(part(item, names.kind)) if has(item, names.kind) else ""
    return Segment(start, end, variant, rights, _kind(kernel, variant))


def _kind(kernel: Kernel, variant: str) -> MapKind:
    names = kernel.description.area
    if variant in names.linear:
        return "linear"
    if variant in names.identical:
        return "identical"
    return "framed" if variant in names.framed else "other"


def _address(kernel: Kernel, value: Value, *, is_end: bool = False) -> int:
    """An address, or the address of the page with that number, or behind the one before it."""
    found = value.scalar()
    if base_name(value.type) in kernel.description.units.pages:
        if is_end and found > 0:  # else the end of a half of the address space were in the other
            return kernel.memory.satp.tables.extended(found - 1 << PAGE_SHIFT & MASK64) + PAGE_SIZE
        return kernel.memory.satp.tables.extended(found << PAGE_SHIFT & MASK64)
    return found


def owned_pages(kernel: Kernel, space: Value) -> dict[int, int] | None:
    """The pages with a frame of their own: virtual address to frame number; raises DecodeError.

    They are in a collection of the address space, or in one of each segment. None where the
    description names neither.
    """
    names, area = kernel.description.address_space, kernel.description.area
    if names.owned:
        return _owned_in(kernel, part(space, names.owned))
    if not area.owned or not names.areas:
        return None
    found: dict[int, int] = {}
    for item in islice(_items(part(space, names.areas)), MAX_SEGMENTS):
        if has(item, area.owned):
            found |= _owned_in(kernel, part(item, area.owned))
    return found


def _owned_in(kernel: Kernel, books: Value) -> dict[int, int]:
    """A map from pages to frames, or a list of such pairs; raises DecodeError."""
    held = contents(books)
    if held is None:
        raise DecodeError(books.path, f"{books.type.name} is no collection that rcdbg knows")
    found: dict[int, int] = {}
    extended = kernel.memory.satp.tables.extended
    for key, item in held.walk():
        page, frame = (key, item) if key is not None else pair(item, "pair of page and frame")
        found[extended(page.scalar() << PAGE_SHIFT & MASK64)] = frame.scalar()
    return found


def table_differences(
    kernel: Kernel, space: Value, tables: Sequence[Table], problems: list[Problem]
) -> Iterator[Difference]:
    """Page tables that the address space does not own, and own ones that nobody reaches."""
    names = kernel.description.address_space
    if not names.tables:
        return
    try:
        books = part(space, names.tables)
        owned = {tracker.scalar() for tracker in elements(books)}
    except DecodeError as error:
        problems.append(error.problem)
        return
    reached = {table.address >> PAGE_SHIFT: table for table in tables}
    foreign, lost = sorted(reached.keys() - owned), sorted(owned - reached.keys())
    for ppn in foreign[:MAX_DIFFERENCES]:
        table = reached[ppn]
        why = f"its level {table.level} table in frame {ppn:#x} is not among the mapping's own"
        yield Difference("foreign-table", table.va, 0, why)
    for ppn in lost[:MAX_DIFFERENCES]:
        why = f"the mapping owns a table in frame {ppn:#x} that its root does not lead to"
        yield Difference("lost-table", 0, 0, why)
    left = len(foreign[MAX_DIFFERENCES:]) + len(lost[MAX_DIFFERENCES:])
    if left:
        problems.append(Problem(books.path, f"{left:,} more"))
