"""Questions about whole page tables: filters, physical to virtual, aliases, lint, differences."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import islice
from operator import itemgetter
from typing import Literal

from rcdbg.guest.protocol import Ram
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.page_table import (
    Root,
    merge,
    read_page_table,
    root_in_satp,
    translation_mode,
)
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.state import PAGE_SIZE, FrameAllocator, MappedRange, PageTable, Problem
from rcdbg.riscv import pte
from rcdbg.riscv.table_listing import Table

ALL_RANGES = 1 << 18
"""Ranges of one table that are looked at by what needs them all."""
MAX_ALIASES = 256
"""Aliases that are listed."""
MAX_SHOWN = 8
"""Mappings of one alias that are listed."""
MAX_FINDINGS = 64
"""Findings of one rule that are listed."""
MAX_CHANGES = 1024
"""Changes between two tables that are listed."""


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
    table = read_page_table(kernel, root, wanted.wants)
    ranges = table.ranges
    if wanted.by_physical:
        ranges = tuple(sorted(ranges, key=lambda r: (r.pa, r.va)))
    origin = ", ".join(part for part in (table.origin, wanted.words) if part)
    return PageTable(
        table.mode, table.root_ppn, ranges, table.note, table.problems, origin, table.complete
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


@dataclass(frozen=True, slots=True)
class Alias:
    """Physical memory that is mapped more than once."""

    pa: int
    size: int
    mappings: tuple[Mapped, ...]
    """At the most MAX_SHOWN of them."""
    count: int
    different_rights: bool
    """Whether the mappings, also those that are not listed, do not all give the same rights."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """All memory of a table that is mapped more than once, ascending by physical address."""

    aliases: tuple[Alias, ...]
    origin: str = ""
    note: str = ""
    problems: tuple[Problem, ...] = ()


def aliases(ranges: Iterable[MappedRange]) -> Iterator[Alias]:
    """The physical intervals that two or more of the ranges map, ascending.

    Between two neighbouring borders of ranges the mappings are the same; O(n log n), and the sum
    of MAX_SHOWN mappings for each alias.
    """
    by_place = sorted(ranges, key=itemgetter(1))  # pa
    ends: list[tuple[int, int]] = []
    active: dict[int, MappedRange] = {}
    rights: dict[str, int] = {}
    at = opened = 0
    while opened < len(by_place) or len(active) > 1:
        if not active:
            # Most ranges are alone: no need to keep accounts of them.
            while opened + 1 < len(by_place):
                item = by_place[opened]
                if item.pa + item.size > by_place[opened + 1].pa:
                    break
                opened += 1
            at = by_place[opened].pa
        place = by_place[opened].pa if opened < len(by_place) else ends[0][0]
        closes = bool(ends) and ends[0][0] <= place
        place = ends[0][0] if closes else place
        if len(active) > 1 and place > at:
            shown = islice(active.values(), MAX_SHOWN)
            mappings = tuple(Mapped(r.va + at - r.pa, r.rights, r.page_size) for r in shown)
            yield Alias(at, place - at, mappings, len(active), len(rights) > 1)
        at = place
        if closes:
            key = active.pop(heappop(ends)[1]).rights
            rights[key] -= 1
            if not rights[key]:
                del rights[key]
        else:
            item = active[opened] = by_place[opened]
            heappush(ends, (item.pa + item.size, opened))
            rights[item.rights] = rights.get(item.rights, 0) + 1
            opened += 1


def read_aliases(kernel: Kernel, root: Root | None = None) -> Aliases:
    """What a table maps more than once; never fails."""
    table = read_page_table(kernel, root, limit=ALL_RANGES)
    problems = table.problems
    found: list[Alias] = []
    for alias in aliases(table.ranges):
        if len(found) == MAX_ALIASES:
            more = Problem(f"{alias.pa:#x}", "more aliases than can be shown")
            problems = (*problems, more)
            break
        found.append(alias)
    return Aliases(tuple(found), table.origin, table.note, problems)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a page table that no healthy kernel has, or hardly any."""

    rule: str
    """W+X, reserved, misaligned, level, self-map, shared-table, table-outside-ram,
    table-in-free-frame, limit (the listing was cut off)."""
    va: int
    size: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Lint:
    """What is odd about a page table; `skipped` says which rules could not be applied, and why."""

    findings: tuple[Finding, ...]
    tables: int
    """Page tables that were looked at."""
    origin: str = ""
    note: str = ""
    skipped: tuple[str, ...] = ()


def lint(kernel: Kernel, root: Root | None = None) -> Lint:
    """Every oddity of a page table, by rule; never fails."""
    where = root or root_in_satp(kernel)
    _, note = translation_mode(kernel, root)
    if note:
        return Lint((), 0, where.origin, note)
    listed = listing(kernel, where.satp)
    tables = listed.finish().tables
    findings = _Findings()
    unreadable: set[tuple[int, int]] = set()
    for item in listed.bad:
        if item.kind == "unreadable":  # those tables are told of below
            unreadable.add((item.va, item.level))
        else:
            findings.add(item.kind, item.va, item.why)
    for found in merge(run for run in listed if run.bits & _WX == _WX):
        why = "writable and executable: what is written there can be run"
        findings.add("W+X", found.va, why, found.size)
    _tables(tables, unreadable, kernel.target.ram, findings)
    skipped = []
    frames = read_frames(kernel)
    if frames.managed is None:
        why = frames.note or "; ".join(p.why for p in frames.problems)
        skipped.append(f"table-in-free-frame: the frame allocator is not known: {why}")
    else:
        _in_free_frames(tables, frames, findings)
    if kernel.target.ram is None:
        skipped.append(
            "table-outside-ram: only that a table cannot be read: RAM's extent is not known"
        )
    return Lint(findings.all(), len(tables), where.origin, "", tuple(skipped))


_WX = pte.W | pte.X


@dataclass(slots=True)
class _Findings:
    """At the most MAX_FINDINGS of each rule, and how many more there are, and from where on."""

    by_rule: dict[str, list[Finding]] = field(default_factory=dict)
    left: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, rule: str, va: int, why: str, size: int | None = None) -> None:
        """One more."""
        found = self.by_rule.setdefault(rule, [])
        if len(found) < MAX_FINDINGS:
            found.append(Finding(rule, va, size, why))
            return
        first, count = self.left.get(rule, (va, 0))
        self.left[rule] = first, count + 1

    def all(self) -> tuple[Finding, ...]:
        """All of them, rule by rule."""
        result: list[Finding] = []
        for rule, found in sorted(self.by_rule.items()):
            result += found
            if rule in self.left:
                va, count = self.left[rule]
                result.append(Finding(rule, va, None, f"{count:,} more of this kind from here on"))
        return tuple(result)


def _tables(
    tables: Sequence[Table],
    unreadable: set[tuple[int, int]],
    ram: Ram | None,
    findings: _Findings,
) -> None:
    first: dict[int, Table] = {}
    for table in tables:
        earlier = first.setdefault(table.address, table)
        if earlier is not table:
            why = (
                f"the table at {table.address:#x}, here as level {table.level}, is also the level "
                f"{earlier.level} table for {earlier.va:#x}"
            )
            findings.add("shared-table", table.va, why)
        elif (table.va, table.level) in unreadable or (
            ram is not None and table.address not in ram
        ):
            why = f"the level {table.level} table would be at {table.address:#x}: no RAM there"
            findings.add("table-outside-ram", table.va, why)


def _in_free_frames(tables: Sequence[Table], frames: FrameAllocator, findings: _Findings) -> None:
    starts = [interval.start for interval in frames.free]
    for address, table in {t.address: t for t in reversed(tables)}.items():
        ppn = address // PAGE_SIZE
        place = bisect_right(starts, ppn) - 1
        if place >= 0 and ppn < frames.free[place].end:
            why = (
                f"the level {table.level} table at {address:#x} lies in frame {ppn:#x}, which the "
                "allocator calls free"
            )
            findings.add("table-in-free-frame", table.va, why)


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
