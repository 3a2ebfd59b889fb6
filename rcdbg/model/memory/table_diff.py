"""Two page tables compared, of one moment or of two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.mappings import ALL_RANGES
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.state import MappedRange, PageTable, Problem

MAX_CHANGES = 1024
"""Changes between two tables that are listed."""


@dataclass(frozen=True, slots=True)
class Change:
    """Virtual memory that two tables map differently; `before` or `after` None: not mapped."""

    kind: Literal["added", "removed", "moved", "rights", "page size"]
    va: int
    size: int
    before: MappedRange | None
    after: MappedRange | None


@dataclass(frozen=True, slots=True)
class TableDiff:
    """Two tables compared; `before` and `after` say which."""

    before: str
    after: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def changes(before: Sequence[MappedRange], after: Sequence[MappedRange]) -> Iterator[Change]:
    """What differs between two lists of ranges, ascending by virtual address.

    A and D bits do not count. Cost linear in the number of ranges.
    """
    pending: Change | None = None
    for va, end, old, new in _overlay(before, after):
        kind = _kind(va, old, new)
        if kind is None:
            continue
        if (
            pending is not None
            and pending.kind == kind
            and (pending.before, pending.after) == (old, new)
            and pending.va + pending.size == va
        ):
            pending = Change(kind, pending.va, end - pending.va, old, new)
            continue
        if pending is not None:
            yield pending
        pending = Change(kind, va, end - va, old, new)
    if pending is not None:
        yield pending


def _kind(
    va: int, old: MappedRange | None, new: MappedRange | None
) -> Literal["added", "removed", "moved", "rights", "page size"] | None:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if old.pa + va - old.va != new.pa + va - new.va:
        return "moved"
    if old.rights != new.rights:
        return "rights"
    return None if old.page_size == new.page_size else "page size"


def _overlay(
    before: Sequence[MappedRange], after: Sequence[MappedRange]
) -> Iterator[tuple[int, int, MappedRange | None, MappedRange | None]]:
    """Maximal stretches (start, end) over which each side has one range or none; not both none.

    Ranges that both sides have, but for A and D, are left out where nothing else is in the way.
    """
    i = j = 0
    at = 0
    while i < len(before) or j < len(after):
        old = before[i] if i < len(before) else None
        new = after[j] if j < len(after) else None
        if old is not None and new is not None and old.va >= at and old[:5] == new[:5]:
            i, j, at = i + 1, j + 1, old.va + old.size
            continue
        at = max(at, min(item.va for item in (old, new) if item is not None))
        borders = []
        here: list[MappedRange | None] = []
        for item in (old, new):
            covers = item is not None and item.va <= at
            here.append(item if covers else None)
            if item is not None:
                borders.append(item.va + item.size if covers else item.va)
        end = min(borders)
        yield at, end, here[0], here[1]
        at = end
        i += old is not None and old.va + old.size <= at
        j += new is not None and new.va + new.size <= at


def diff(before: PageTable, after: PageTable, names: tuple[str, str]) -> TableDiff:
    """Two page tables compared, of one moment or of two."""
    found: list[Change] = []
    problems = [
        Problem(f"{name}: {p.where}", p.why)
        for name, table in zip(names, (before, after), strict=True)
        for p in table.problems
    ]
    for change in changes(before.ranges, after.ranges):
        if len(found) == MAX_CHANGES:
            problems.append(Problem(f"{change.va:#x}", "more changes than can be shown"))
            break
        found.append(change)
    notes = tuple(
        f"{name}: {table.note}"
        for name, table in zip(names, (before, after), strict=True)
        if table.note
    )
    return TableDiff(*names, tuple(found), notes, tuple(problems))


def diff_roots(kernel: Kernel, before: Root | None, after: Root | None) -> TableDiff:
    """Two tables of one moment compared; None is the one in satp. Never fails."""
    tables = [read_page_table(kernel, root, limit=ALL_RANGES) for root in (before, after)]
    return diff(tables[0], tables[1], (_name(before), _name(after)))


def diff_moments(
    before: tuple[Kernel, Root | None], after: tuple[Kernel, Root | None], file: str
) -> TableDiff:
    """A table of one moment, None for the one in satp, and one of another moment compared.

    `file` names the second moment. Two kernels that are not the same are compared all the same,
    and a note says so. Never fails.
    """
    tables = [read_page_table(kernel, root, limit=ALL_RANGES) for kernel, root in (before, after)]
    found = diff(tables[0], tables[1], (_name(before[1]), f"{_name(after[1])}, in {file}"))
    if before[0].image.build_id == after[0].image.build_id:
        return found
    note = (
        f"{file} is of another kernel (another build id): an address need not mean the same in both"
    )
    return replace(found, notes=(note, *found.notes))


def _name(root: Root | None) -> str:
    return "the table in satp" if root is None else f"the table {root.origin}"
