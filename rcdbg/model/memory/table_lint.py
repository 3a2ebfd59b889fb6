"""What no page table of a healthy kernel has, or hardly any."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from rcdbg.guest.protocol import Ram
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.page_table import Root, merge, root_in_satp, translation_mode
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.state import PAGE_SIZE, FrameAllocator
from rcdbg.riscv import pte
from rcdbg.riscv.table_listing import Table

MAX_FINDINGS = 64
"""Findings of one rule that are listed."""


@dataclass(frozen=True, slots=True)
class Oddity:
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

    findings: tuple[Oddity, ...]
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
    for found in merge(row for row in listed.rows() if row[-1] & _WX == _WX):
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

    by_rule: dict[str, list[Oddity]] = field(default_factory=dict)
    left: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, rule: str, va: int, why: str, size: int | None = None) -> None:
        """One more."""
        found = self.by_rule.setdefault(rule, [])
        if len(found) < MAX_FINDINGS:
            found.append(Oddity(rule, va, size, why))
            return
        first, count = self.left.get(rule, (va, 0))
        self.left[rule] = first, count + 1

    def all(self) -> tuple[Oddity, ...]:
        """All of them, rule by rule."""
        result: list[Oddity] = []
        for rule, found in sorted(self.by_rule.items()):
            result += found
            if rule in self.left:
                va, count = self.left[rule]
                result.append(Oddity(rule, va, None, f"{count:,} more of this kind from here on"))
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
