"""Sv39: page table entries, the walk, and the listing of a whole table.

Privileged spec sections 4.3 (Sv32, for the walk's algorithm in 4.3.2) and 4.4 (Sv39).
Tables are read through `read(physical address, size) -> bytes`, which raises MemoryReadError
where there is no memory; everything else is bounded by the format itself and by MAX_TABLES.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rcdbg.errors import MemoryReadError

ReadPhysical = Callable[[int, int], bytes]

PAGE_SIZE = 4096
PAGE_SHIFT = 12
ENTRIES = 512
LEVELS = 3
MODE_BARE = 0
MODE_SV39 = 8

MISALIGNED = "misaligned"
"""The rule that a superpage breaks whose frame number is no multiple of its size."""

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
RIGHTS = R | W | X | U | G
_PPN_MASK = (1 << 44) - 1
_RESERVED = 0x7F << 54
_PPN_FIELD = _PPN_MASK << 10
_SIGN = 1 << 38
_UPPER = 0xFFFF_FF80_0000_0000
_RESERVED_HIGH = 0x3FF << 54
_TABLE = struct.Struct("<512Q")
_ONE_EACH = sum(1 << 64 * slot for slot in range(ENTRIES))
_COUNT_UP = sum(slot << 64 * slot for slot in range(ENTRIES))
"""Tables, as one number, with 1, 1, 1, ... and with 0, 1, 2, ... in their entries."""
_new = tuple.__new__
"""Makes a NamedTuple in half the time of its own constructor."""

MAX_TABLES = 1 << 14
"""Tables that one listing visits at the most: enough to map 32 GiB in 4 KiB pages."""

MAX_RUNS = 1 << 18
"""Runs that one listing gives at the most: 1 GiB of pages without two that follow each other."""

MAX_BAD = 1 << 15
"""Entries that mean nothing, of one listing: 64 tables of nothing else are no page table."""

MAX_SHARED = 64
"""How often one listing visits the same table at the same level: a healthy kernel does it twice,
for what it sees at two addresses; a broken one has 512 entries for it, in each of 512 tables."""


@dataclass(frozen=True, slots=True)
class Pte:
    """A page table entry."""

    bits: int

    @property
    def valid(self) -> bool:
        """V is set; the other bits mean nothing otherwise."""
        return bool(self.bits & V)

    @property
    def leaf(self) -> bool:
        """Valid, and maps memory instead of pointing to the next table."""
        return bool(self.bits & V and self.bits & (R | W | X))

    @property
    def ppn(self) -> int:
        """The physical page number in it."""
        return self.bits >> 10 & _PPN_MASK

    @property
    def address(self) -> int:
        """The physical address that it points to."""
        return self.ppn << PAGE_SHIFT

    @property
    def rsw(self) -> int:
        """The two bits that are left to the kernel."""
        return self.bits >> 8 & 3

    @property
    def flags(self) -> str:
        """The seven bits from R to D as text, `-` for each that is clear: `rwxugad`."""
        return flags_text(self.bits)

    def reserved(self, level: int) -> str | None:
        """Why hardware must refuse this entry at `level` although V is set, or None."""
        bits = self.bits
        if not bits & V:
            return None
        if bits & W and not bits & R:
            return "W without R is reserved"
        if bits & _RESERVED:
            return "reserved bits 60..54 are set"
        if bits & (1 << 63):
            return "N is set, which needs Svnapot"
        if bits & (3 << 61):
            return "PBMT is set, which needs Svpbmt"
        if not self.leaf:
            if bits & (A | D | U):
                return "A, D or U in a pointer to a table is reserved"
            return "a pointer to a table at level 0" if level == 0 else None
        if level and self.ppn & ((1 << 9 * level) - 1):
            return f"misaligned superpage: {page_size(level) >> 20} MiB pages start at multiples"
        return None


def flags_text(bits: int) -> str:
    """R W X U G A D of an entry as seven characters, `-` where clear."""
    return _FLAGS[bits >> 1 & 0x7F]


_FLAGS = tuple(
    "".join(letter if bits >> place & 1 else "-" for place, letter in enumerate("rwxugad"))
    for bits in range(1 << 7)
)


def page_size(level: int) -> int:
    """Bytes that a leaf at `level` maps: 4 KiB, 2 MiB, 1 GiB for 0, 1, 2."""
    return PAGE_SIZE << 9 * level


def index(va: int, level: int) -> int:
    """The entry that translates `va` in a table of `level`."""
    return va >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1)


def canonical(va: int) -> bool:
    """Whether bits 63..39 all equal bit 38, as Sv39 demands."""
    return va >> 38 in (0, (1 << 26) - 1)


def sign_extend(va: int) -> int:
    """The canonical 64-bit address of a 39-bit one."""
    return va | _UPPER if va & _SIGN else va


@dataclass(frozen=True, slots=True)
class Step:
    """One table visited by a walk."""

    level: int
    index: int
    pte_address: int
    pte: Pte


@dataclass(frozen=True, slots=True)
class Walk:
    """The way from a virtual address to a physical one, or to where it ends.

    `physical` is None when there is none; `fault` then says why in words.
    """

    va: int
    steps: tuple[Step, ...]
    physical: int | None
    fault: str | None
    rule: str = ""
    """The rule that ends it, by a short stable name: canonical, unreadable, V, reserved, level
    (a pointer at level 0), misaligned; empty without a fault."""

    @property
    def last_leaf(self) -> Step | None:
        """The step whose entry is a leaf that hardware decodes, misaligned ones too, or None."""
        if self.physical is None and self.rule != MISALIGNED:
            return None
        return self.steps[-1] if self.steps else None

    @property
    def leaf(self) -> Step | None:
        """The step that maps the address, or None."""
        return self.steps[-1] if self.physical is not None and self.steps else None


def walk(read: ReadPhysical, root_ppn: int, va: int) -> Walk:
    """Translate `va` by the table at `root_ppn`, as far as an entry's encoding decides it.

    Rights are not applied: what an access may do is another question.
    """
    if not canonical(va):
        why = "not canonical: bits 63..39 must all equal bit 38"
        return Walk(va, (), None, why, "canonical")
    steps: list[Step] = []
    table = root_ppn << PAGE_SHIFT
    for level in reversed(range(LEVELS)):
        slot = index(va, level)
        address = table + slot * 8
        try:
            pte = Pte(int.from_bytes(read(address, 8), "little"))
        except MemoryReadError as error:
            why = f"the level {level} table at {table:#x} cannot be read: {error.why}"
            return Walk(va, tuple(steps), None, why, "unreadable")
        steps.append(Step(level, slot, address, pte))
        if not pte.valid:
            return Walk(va, tuple(steps), None, f"the level {level} entry is not valid", "V")
        if why_reserved := pte.reserved(level):
            why = f"the level {level} entry: {why_reserved}"
            return Walk(va, tuple(steps), None, why, _rule(pte, level, why_reserved))
        if pte.leaf:
            physical = pte.address | va & (page_size(level) - 1)
            return Walk(va, tuple(steps), physical, None)
        table = pte.address
    raise AssertionError("a level 0 pointer is reserved")


def _rule(pte: Pte, level: int, why_reserved: str) -> str:
    if pte.leaf and why_reserved.startswith(MISALIGNED):
        return MISALIGNED
    return "level" if level == 0 and not pte.leaf and not pte.bits & (A | D | U) else "reserved"


class Run(NamedTuple):
    """Pages that follow each other in both address spaces and share all flags and their size.

    A tuple, since a table of scattered frames has as many of them as pages.
    """

    va: int
    pa: int
    pages: int
    level: int
    bits: int
    """The ten low bits of each entry."""

    @property
    def size(self) -> int:
        """Bytes mapped."""
        return self.pages * page_size(self.level)


@dataclass(frozen=True, slots=True)
class Bad:
    """A part of a table that maps nothing although it looks as if it should."""

    va: int
    level: int
    why: str
    kind: str = "reserved"
    """reserved, misaligned, self-map (a table below itself), unreadable, limit."""


@dataclass(frozen=True, slots=True)
class Table:
    """A page table that a listing came to, at physical `address`, for addresses from `va` on."""

    address: int
    level: int
    va: int


def runs(
    read: ReadPhysical, root_ppn: int, tables: list[Table] | None = None
) -> Iterator[Run | Bad]:
    """Everything that the table at `root_ppn` maps, lowest bits of the address space first.

    Ends on any content: no table is visited below itself, nor more than MAX_SHARED times, and
    MAX_TABLES, MAX_RUNS and MAX_BAD bound the whole; what is left out then is a Bad. Every table
    that is visited is appended to `tables`, also one that cannot be read.
    """
    listing = _Listing(read, tables)
    yield from listing.table(root_ppn << PAGE_SHIFT, LEVELS - 1, 0, ())


class _Listing:
    """One listing of a table: the reader, and how much may still be visited."""

    def __init__(self, read: ReadPhysical, visited: list[Table] | None) -> None:
        self._read = read
        self._visited = visited
        self._tables = MAX_TABLES
        self._runs = MAX_RUNS
        self._bad = MAX_BAD
        self._visits: dict[tuple[int, int], int] = {}
        self._ended = False

    def _exhausted(self, base: int, level: int) -> Iterator[Bad]:
        """Say once that the rest is left out."""
        if not self._ended:
            self._ended = True
            why = (
                f"more than {MAX_TABLES} tables, {MAX_RUNS} mappings or {MAX_BAD} entries that "
                "mean nothing: the rest is left out"
            )
            yield Bad(sign_extend(base), level, why, "limit")

    def table(
        self, table: int, level: int, base: int, above: tuple[int, ...]
    ) -> Iterator[Run | Bad]:
        """What the table at physical address `table` maps from `base` on."""
        if table in above:
            self._bad -= 1
            why = f"the table at {table:#x} contains itself"
            yield Bad(sign_extend(base), level, why, "self-map")
            return
        if self._tables <= 0 or self._bad <= 0:
            yield from self._exhausted(base, level)
            return
        visits = self._visits[table, level] = self._visits.get((table, level), 0) + 1
        if visits > MAX_SHARED:
            if visits == MAX_SHARED + 1:
                why = f"the table at {table:#x} is used more than {MAX_SHARED} times: from here on"
                yield Bad(sign_extend(base), level, f"{why} it is left out", "limit")
            return
        self._tables -= 1
        if self._visited is not None:
            self._visited.append(Table(table, level, sign_extend(base)))
        try:
            page = self._read(table, PAGE_SIZE)
            entries = _TABLE.unpack(page)
        except MemoryReadError as error:
            why = f"the table at {table:#x} cannot be read: {error.why}"
            yield Bad(sign_extend(base), level, why, "unreadable")
            return
        shift = PAGE_SHIFT + 9 * level
        step = 1 << (10 + 9 * level)  # from one entry to the next in PTE bits, for adjacent pages
        misplaced = _RESERVED_HIGH | step - (1 << 10)
        head, last = entries[0], entries[-1]
        if (
            level < LEVELS - 1
            and head & (V | R) == V | R
            and last == head + step * (ENTRIES - 1)
            and not (head | last) & misplaced
            and self._runs > ENTRIES
            and int.from_bytes(page, "little") == head * _ONE_EACH + step * _COUNT_UP
        ):
            # As most tables of a kernel's map of all memory: one run, without a look at each entry.
            self._runs -= 1
            pa = (head & _PPN_FIELD) << 2
            yield _new(Run, (sign_extend(base), pa, ENTRIES, level, head & 0x3FF))
            return
        first, count, expected = 0, 0, -1
        # The two halves of the root are not neighbours: between them no address is canonical.
        border = ENTRIES // 2 if level == LEVELS - 1 else -1
        for slot, bits in enumerate(entries):
            if bits == expected and slot != border and not bits >> 54:
                count += 1
                expected += step
                continue
            if count:
                found = entries[first]
                va = base | first << shift
                pa = (found & _PPN_FIELD) << 2
                upper = va | _UPPER if va & _SIGN else va
                yield _new(Run, (upper, pa, count, level, found & 0x3FF))
                count, expected = 0, -1
            if not bits & V:
                continue
            va = base | slot << shift
            self._runs -= 1
            if self._runs <= 0 or self._bad <= 0 or self._ended:
                yield from self._exhausted(va, level)
                return
            if bits & R and not bits & misplaced:  # as nearly all: a leaf without a fault
                first, count, expected = slot, 1, bits + step
                continue
            pte = Pte(bits)
            if why_reserved := pte.reserved(level):
                self._bad -= 1
                why = f"entry {bits:#x}: {why_reserved}"
                yield Bad(sign_extend(va), level, why, _rule(pte, level, why_reserved))
            elif pte.leaf:
                first, count, expected = slot, 1, bits + step
            else:
                yield from self.table(pte.address, level - 1, va, (*above, table))
        if count:
            found = entries[first]
            pa = (found & _PPN_FIELD) << 2
            yield Run(sign_extend(base | first << shift), pa, count, level, found & 0x3FF)
