"""Questions about the mappings of a whole page table: filters, and physical to virtual."""

from dataclasses import dataclass, replace

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.page_table import MAX_RANGES, Root, read_page_table
from rcdbg.model.state import MappedRange, PageTable, Problem

ALL_RANGES = 1 << 18
"""Ranges of one table that are looked at by what needs them all."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which ranges of a table are wanted; what is not asked for lets everything through."""

    writable: bool = False
    executable: bool = False
    user: bool = False
    start: int | None = None
    """Ranges that reach above this virtual address, ..."""
    end: int | None = None
    """... and begin below that one."""
    by_physical: bool = False
    """Sorted by physical address."""

    def wants(self, item: MappedRange) -> bool:
        """Whether the range passes."""
        return (
            (not self.writable or "w" in item.rights)
            and (not self.executable or "x" in item.rights)
            and (not self.user or "u" in item.rights)
            and (self.start is None or item.va + item.size > self.start)
            and (self.end is None or item.va < self.end)
        )

    @property
    def words(self) -> str:
        """What it leaves in words; empty if that is everything."""
        parts = [name for name in ("writable", "executable", "user") if getattr(self, name)]
        if self.start is not None:
            parts.append(f"from {self.start:#x}")
        if self.end is not None:
            parts.append(f"to {self.end:#x}")
        if self.by_physical:
            parts.append("by physical address")
        return ", ".join(parts)


def filtered(kernel: Kernel, wanted: Filter, root: Root | None = None) -> PageTable:
    """The table with only the ranges that are wanted; never fails."""
    if not wanted.by_physical:
        table = read_page_table(kernel, root, wanted.wants)
    else:
        # Those that come first in memory may be the last ones of the table.
        table = read_page_table(kernel, root, wanted.wants, limit=ALL_RANGES)
        table = _first(replace(table, ranges=tuple(sorted(table.ranges, key=_by_physical))))
    origin = ", ".join(part for part in (table.origin, wanted.words) if part)
    return replace(table, origin=origin)


def _by_physical(item: MappedRange) -> tuple[int, int]:
    return item.pa, item.va


def _first(table: PageTable) -> PageTable:
    """The same with no more ranges than are shown."""
    rest = table.ranges[MAX_RANGES:]
    if not rest:
        return table
    problem = Problem(f"{rest[0].pa:#x}", "more ranges than can be shown")
    return replace(
        table,
        ranges=table.ranges[:MAX_RANGES],
        problems=(*table.problems, problem),
        complete=False,
        left_out=(len(rest), sum(item.size for item in rest)),
    )


@dataclass(frozen=True, slots=True)
class Mapped:
    """A virtual address with the rights that it gives."""

    va: int
    rights: str
    page_size: int


@dataclass(frozen=True, slots=True)
class Reverse:
    """A physical address and every virtual one that leads to it."""

    physical: int
    mappings: tuple[Mapped, ...]
    origin: str = ""
    note: str = ""
    problems: tuple[Problem, ...] = ()


def virtuals(kernel: Kernel, physical: int, root: Root | None = None) -> Reverse:
    """The virtual addresses that lead to `physical`, ascending; never fails."""
    table = read_page_table(
        kernel, root, lambda r: r.pa <= physical < r.pa + r.size, limit=ALL_RANGES
    )
    found = tuple(
        Mapped(r.va + physical - r.pa & (1 << 64) - 1, r.rights, r.page_size) for r in table.ranges
    )
    return Reverse(physical, found, table.origin, table.note, table.problems)
