"""Everything that a page table maps, in any scheme, whatever its content.

Everything is bounded by the format itself and by the constants here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from rcdbg.errors import MemoryReadError
from rcdbg.riscv.extensions import extensions
from rcdbg.riscv.pages import ENTRIES, INDEX_BITS, PAGE_SHIFT, PAGE_SIZE, page_size
from rcdbg.riscv.paging import ReadPhysical, Satp
from rcdbg.riscv.pte import (
    FLAGS,
    NOT_KNOWN,
    PBMT,
    PPN_FIELD,
    PPN_SHIFT,
    RESERVED_HIGH,
    Extensions,
    N,
    Pte,
    R,
    V,
)

MAX_TABLES = 1 << 14
"""Tables that one listing visits at the most: enough to map 32 GiB in 4 KiB pages."""

MAX_RUNS = 1 << 18
"""Runs that one listing gives at the most: 1 GiB of pages without two that follow each other."""

MAX_BAD = 1 << 15
"""Entries that mean nothing, of one listing: 64 tables of nothing else are no page table."""

MAX_SHARED = 64
"""How often one listing visits the same table at the same level: a healthy kernel does it twice,
for what it sees at two addresses; a broken one has 512 entries for it, in each of 512 tables."""

LIMIT = "limit"
"""The kind of a Bad that says that something was left out."""

_TABLE = struct.Struct("<512Q")
_ONE_EACH = sum(1 << 64 * slot for slot in range(ENTRIES))
_COUNT_UP = sum(slot << 64 * slot for slot in range(ENTRIES))
"""Tables, as one number, with 1, 1, 1, ... and with 0, 1, 2, ... in their entries."""
_STEPS = tuple(1 << PPN_SHIFT + INDEX_BITS * level for level in range(5))
"""By level: from one entry to the next one of adjacent pages, in the bits of an entry."""
_MISPLACED = tuple(RESERVED_HIGH | step - _STEPS[0] for step in _STEPS)
"""By level: the bits that a leaf has to have clear."""
_ADJACENT = tuple(step * _COUNT_UP for step in _STEPS)
"""By level: what a table of adjacent pages adds to one with its first entry everywhere."""
_NO_FRAME = PAGE_SHIFT - PPN_SHIFT
"""How far a frame number in an entry is from its place in a physical address."""

Row = tuple[int, int, int, int, int]
"""A Run without its names: as the many that are kept, for a plain tuple takes half the time."""


class LeafRun(NamedTuple):
    """Pages that follow each other in both address spaces and share all flags and their size."""

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
    """reserved, misaligned, level, self-map (a table below itself), unreadable, limit."""


class Table(NamedTuple):
    """A page table that a listing came to, at physical `address`, for addresses from `va` on."""

    address: int
    level: int
    va: int


class Listing:
    """What the table that satp names maps, found as far as somebody asks, and kept from then on.

    Iterating gives its Runs, lowest bits of the address space first, as often as it is asked for,
    and `rows` the same as plain tuples; `tables` and `bad` have what was met on the way.

    It ends on any content: no table is visited below itself, nor more than MAX_SHARED times, and
    MAX_TABLES, MAX_RUNS and MAX_BAD bound the whole; what is left out then is a Bad. Without
    translation it is empty.
    """

    def __init__(self, read: ReadPhysical, satp: Satp) -> None:
        self._read, self._satp = read, satp
        self._begin()

    def _begin(self) -> None:
        self.tables: list[Table] = []
        """Each time that one was visited, the root first; also those that cannot be read."""
        self.bad: list[Bad] = []
        self._found: list[list[Row]] = []
        self._source = _pieces(self._read, self._satp, self.tables, self.bad)

    def __iter__(self) -> Iterator[LeafRun]:
        return map(LeafRun._make, self.rows())

    def rows(self) -> Iterator[Row]:
        """The runs, each as (va, pa, pages, level, bits)."""
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[list[Row]]:
        at = 0
        while True:
            if at == len(self._found):
                try:
                    self._found.append(next(self._source))
                except StopIteration:
                    return
                except BaseException:
                    self._begin()  # a machine that is gone, or Ctrl-C: what is there is not all
                    raise
            yield self._found[at]
            at += 1

    def finish(self) -> "Listing":
        """The same, walked to its end."""
        for _ in self._pieces():
            pass
        return self

    @property
    def kept(self) -> int:
        """How many runs are in memory."""
        return sum(map(len, self._found))


def _pieces(
    read: ReadPhysical, satp: Satp, tables: list[Table], bad: list[Bad]
) -> Iterator[list[Row]]:
    """The runs in as many pieces as it is convenient to find them in."""
    if satp.translates:
        yield from _Lister(read, satp, tables, bad).table(satp.ppn << PAGE_SHIFT, 0, ())


class _Lister:
    """One listing of a table: where it goes, and how much may still be visited."""

    def __init__(self, read: ReadPhysical, satp: Satp, tables: list[Table], bad: list[Bad]) -> None:
        self._read = read
        self._scheme = satp.tables
        self._extended = self._scheme.extended
        self._root_level = self._scheme.root_level
        self._visited = tables
        self._bad = bad
        self._tables_left = MAX_TABLES
        self._runs_left = MAX_RUNS
        self._bad_left = MAX_BAD
        self._visits: dict[tuple[int, int], int] = {}
        self._ended = False

    def table(self, address: int, base: int, above: tuple[int, ...]) -> Iterator[list[Row]]:
        """What the table at that physical address maps from `base` on, below the tables `above`."""
        level = self._root_level - len(above)
        page = self._page(address, level, base, above)
        if page is None:
            return
        whole = self._whole(page, level, base)
        if whole is not None:
            yield [whole]
            return
        found: list[Row] = []
        for below, va in self._pointers(_TABLE.unpack(page), level, base, found):
            if found:
                yield found.copy()
                found.clear()
            yield from self.table(below, va, (*above, address))
        if found:
            yield found

    def _page(self, address: int, level: int, base: int, above: tuple[int, ...]) -> bytes | None:
        """The table's content; None, and why, if it is not to be looked at."""
        if address in above:
            self._bad_left -= 1
            self._say(base, level, f"the table at {address:#x} contains itself", "self-map")
            return None
        if self._tables_left <= 0 or self._bad_left <= 0:
            self._end(base, level)
            return None
        visits = self._visits[address, level] = self._visits.get((address, level), 0) + 1
        if visits > MAX_SHARED:
            if visits == MAX_SHARED + 1:
                why = f"the table at {address:#x} is used more than {MAX_SHARED} times"
                self._say(base, level, f"{why}: from here on it is left out", LIMIT)
            return None
        self._tables_left -= 1
        self._visited.append(Table(address, level, self._extended(base)))
        try:
            return self._read(address, PAGE_SIZE)
        except MemoryReadError as error:
            why = f"the table at {address:#x} cannot be read: {error.why}"
            self._say(base, level, why, "unreadable")
            return None

    @cached_property
    def _extensions(self) -> Extensions:
        return extensions(self._read)

    def _say(self, base: int, level: int, why: str, kind: str) -> None:
        self._bad.append(Bad(self._extended(base), level, why, kind))

    def _end(self, base: int, level: int) -> None:
        """Say once that the rest is left out."""
        if not self._ended:
            self._ended = True
            why = (
                f"more than {MAX_TABLES} tables, {MAX_RUNS} mappings or {MAX_BAD} entries that "
                "mean nothing: the rest is left out"
            )
            self._say(base, level, why, LIMIT)

    def _whole(self, page: bytes, level: int, base: int) -> Row | None:
        """The run that the whole table is, found without a look at each entry; else None.

        So are most tables of a kernel's map of all memory.
        """
        head, last = int.from_bytes(page[:8], "little"), int.from_bytes(page[-8:], "little")
        if (
            head & (V | R) != V | R
            or last != head + _STEPS[level] * (ENTRIES - 1)
            or (head | last) & _MISPLACED[level]
            or level == self._root_level
            or self._runs_left <= ENTRIES
            or int.from_bytes(page, "little") != head * _ONE_EACH + _ADJACENT[level]
        ):
            return None
        self._runs_left -= 1
        return self._row(head, base, ENTRIES, level)

    def _row(self, bits: int, va: int, pages: int, level: int) -> Row:
        pa = (bits & PPN_FIELD) << _NO_FRAME
        return self._extended(va), pa, pages, level, bits & FLAGS

    def _pointers(
        self, entries: tuple[int, ...], level: int, base: int, found: list[Row]
    ) -> Iterator[tuple[int, int]]:
        """The tables below, each with its first address; the runs before each are in `found`."""
        shift, step, misplaced = PAGE_SHIFT + INDEX_BITS * level, _STEPS[level], _MISPLACED[level]
        sign, upper = 1 << self._scheme.bits - 1, self._scheme.upper_half
        first, count, expected = 0, 0, -1
        # The two halves of the root are not neighbours: between them no address is canonical.
        border = ENTRIES // 2 if level == self._root_level else -1
        for slot, bits in enumerate(entries):
            if bits == expected and slot != border and not bits >> 54:
                count += 1
                expected += step
                continue
            if count:
                # As `_row` does, which would take longer to call.
                leaf, va = entries[first], base | first << shift
                va = va | upper if va & sign else va
                pa = (leaf & PPN_FIELD) << _NO_FRAME
                found.append((va, pa, count, level, leaf & FLAGS))
                count, expected = 0, -1
            if not bits & V:
                continue
            self._runs_left -= 1
            if self._runs_left <= 0 or self._bad_left <= 0 or self._ended:
                self._end(base | slot << shift, level)
                return
            if bits & R and not bits & misplaced:  # as nearly all: a leaf without a fault
                first, count, expected = slot, 1, bits + step
                continue
            pte = Pte(bits)
            extended = bits & (N | PBMT)
            if why_reserved := pte.reserved(level, self._extensions if extended else NOT_KNOWN):
                self._bad_left -= 1
                why = f"entry {bits:#x}: {why_reserved}"
                self._say(base | slot << shift, level, why, pte.rule(level, why_reserved))
            elif extended:
                va = base | slot << shift
                found.append(self._row(pte.plain(va, level), va, 1, level))
            elif pte.leaf:
                first, count, expected = slot, 1, bits + step
            else:
                yield pte.address, base | slot << shift
        if count:
            found.append(self._row(entries[first], base | first << shift, count, level))
