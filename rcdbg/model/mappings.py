"""Questions about whole page tables: filters, physical to virtual, aliases, lint, differences."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.errors import MemoryReadError
from rcdbg.model.frames import read_frames
from rcdbg.model.kernel import Kernel
from rcdbg.model.page_table import Root, merge, read_page_table, satp_root, translation_mode
from rcdbg.model.state import PAGE_SIZE, FrameAllocator, MappedRange, PageTable, Problem
from rcdbg.riscv import sv39

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

    Between two neighbouring borders of ranges the mappings are the same; O(n log n) and the sum
    of MAX_SHOWN mappings for each alias.
    """
    every = list(ranges)
    borders: list[tuple[int, int, int]] = []
    for number, item in enumerate(every):
        borders.append((item.pa, 1, number))
        borders.append((item.pa + item.size, 0, number))
    borders.sort()
    active: dict[int, None] = {}
    rights: dict[str, int] = {}
    at = 0
    for place, opens, number in borders:
        if len(active) > 1 and place > at:
            shown = [every[n] for n, _ in zip(active, range(MAX_SHOWN), strict=False)]
            mappings = tuple(Mapped(r.va + at - r.pa, r.rights, r.page_size) for r in shown)
            yield Alias(at, place - at, mappings, len(active), len(rights) > 1)
        at = place
        key = every[number].rights
        if opens:
            active[number] = None
            rights[key] = rights.get(key, 0) + 1
        else:
            del active[number]
            rights[key] -= 1
            if not rights[key]:
                del rights[key]


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
    """W+X, reserved, misaligned, self-map, shared-table, table-outside-ram, table-in-free-frame."""
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
    where = root or satp_root(kernel)
    _, note = translation_mode(kernel, root)
    if note:
        return Lint((), 0, where.origin, note)
    tables: list[sv39.Table] = []
    suspects: list[sv39.Run] = []
    findings: list[Finding] = []
    for item in sv39.runs(kernel.target.read_phys, where.ppn, tables):
        if isinstance(item, sv39.Run):
            if item.bits & sv39.W and item.bits & sv39.X:
                suspects.append(item)
        elif item.kind != "unreadable":  # those tables are told of below
            findings.append(Finding(item.kind, item.va, None, item.why))
    findings += _writable_and_executable(suspects)
    findings += _tables(tables, kernel)
    skipped = []
    frames = read_frames(kernel)
    if frames.managed is None:
        why = frames.note or "; ".join(p.why for p in frames.problems)
        skipped.append(f"table-in-free-frame: the frame allocator is not known: {why}")
    else:
        findings += _in_free_frames(tables, frames)
    if kernel.target.ram is None:
        skipped.append(
            "table-outside-ram: only that a table cannot be read: RAM's extent is not known"
        )
    return Lint(_bounded(findings), len(tables), where.origin, "", tuple(skipped))


def _bounded(findings: list[Finding]) -> tuple[Finding, ...]:
    """At the most MAX_FINDINGS of each rule, and how many more there are."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    result: list[Finding] = []
    for rule, found in sorted(by_rule.items()):
        result += found[:MAX_FINDINGS]
        if len(found) > MAX_FINDINGS:
            left = found[MAX_FINDINGS]
            more = f"{len(found) - MAX_FINDINGS:,} more of this kind from here on"
            result.append(Finding(rule, left.va, None, more))
    return tuple(result)


def _writable_and_executable(runs: Iterable[sv39.Run]) -> Iterator[Finding]:
    for item in merge(runs):
        why = "writable and executable: what is written there can be run"
        yield Finding("W+X", item.va, item.size, why)


def _tables(tables: Sequence[sv39.Table], kernel: Kernel) -> Iterator[Finding]:
    ram = kernel.target.ram
    first: dict[int, sv39.Table] = {}
    for table in tables:
        earlier = first.setdefault(table.address, table)
        if earlier is not table:
            why = (
                f"the table at {table.address:#x}, here as level {table.level}, is also the level "
                f"{earlier.level} table for {earlier.va:#x}"
            )
            yield Finding("shared-table", table.va, None, why)
        elif not _readable(table, kernel) or (ram is not None and table.address not in ram):
            why = f"the level {table.level} table would be at {table.address:#x}: no RAM there"
            yield Finding("table-outside-ram", table.va, None, why)


def _readable(table: sv39.Table, kernel: Kernel) -> bool:
    try:
        kernel.target.read_phys(table.address, PAGE_SIZE)
    except MemoryReadError:
        return False
    return True


def _in_free_frames(tables: Sequence[sv39.Table], frames: FrameAllocator) -> Iterator[Finding]:
    starts = [interval.start for interval in frames.free]
    for address, table in {t.address: t for t in reversed(tables)}.items():
        ppn = address // PAGE_SIZE
        place = bisect_right(starts, ppn) - 1
        if place >= 0 and ppn < frames.free[place].end:
            why = (
                f"the level {table.level} table at {address:#x} lies in frame {ppn:#x}, which the "
                "allocator calls free"
            )
            yield Finding("table-in-free-frame", table.va, None, why)


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
    """Maximal stretches (start, end) over which each side has one range or none; not both none."""
    i = j = 0
    at = 0
    while i < len(before) or j < len(after):
        old = before[i] if i < len(before) else None
        new = after[j] if j < len(after) else None
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
