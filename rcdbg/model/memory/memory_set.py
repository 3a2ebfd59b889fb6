"""The address spaces: what the books of each process say beside what its page table does.

What a kernel of another make lacks of the books is left out and said.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.books import owned_pages, segments, table_differences
from rcdbg.model.memory.frames import LOCKED
from rcdbg.model.memory.mappings import ALL_RANGES
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.memory.processes import FoundProcess, find_processes, has_address_spaces, numbered
from rcdbg.model.memory.segments import (
    Difference,
    Segment,
    compare,
    linear_offset,
    strays,
    unexplained,
)
from rcdbg.model.memory.space import kernel_memory, own_spaces, root_in, space_of
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import MappedRange, Problem
from rcdbg.model.values.parts import number
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import PAGE_SIZE

_T = TypeVar("_T")

_NO_SEGMENTS = "what the kernel says of its segments is not known"


@dataclass(frozen=True, slots=True)
class MemorySet:
    """The address space of one process, or of the kernel alone."""

    name: str
    """How it was found: the static's path, or the threads that are in it."""
    process: int | None
    """Address of the Process struct; None for one that belongs to no process."""
    number: int | None
    """What `--process` takes: the same at every stop, as long as the same processes are there.

    None for one that belongs to none."""
    is_user: bool | None
    threads: tuple[int, ...]
    """Ids of its threads."""
    root_ppn: int | None
    active: bool
    """Whether satp names its root table."""
    segments: tuple[Segment, ...]
    unexplained: tuple[MappedRange, ...]
    """What the page table maps and no segment covers."""
    owned_pages: int | None
    """Pages with a frame of their own."""
    books: tuple[Difference, ...] = ()
    """Differences that belong to no segment: owned pages outside of all, tables not in the list."""
    locked: bool | None = None
    note: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def differences(self) -> int:
        """How many differences are listed, unexplained ranges included."""
        listed = sum(len(s.differences) for s in self.segments)
        return listed + len(self.books) + len(self.unexplained)


@dataclass(frozen=True, slots=True)
class MemorySets:
    """The address spaces of all processes that were found, by number."""

    sets: tuple[MemorySet, ...]
    note: str = ""
    problems: tuple[Problem, ...] = ()


@once_a_moment
def read_memory_sets(kernel: Kernel) -> MemorySets:
    """The address spaces of all processes, compared with their page tables; never fails."""
    problems: list[Problem] = []
    try:
        found, note = find_processes(kernel, problems)
    except DecodeError as error:
        return MemorySets((), "", (error.problem,))
    sets = tuple(_read(kernel, item, number) for number, item in numbered(kernel, found))
    return MemorySets((*_without_process(kernel, problems), *sets), note, tuple(problems))


def _without_process(kernel: Kernel, problems: list[Problem]) -> list[MemorySet]:
    """The address spaces that belong to no process, such as the kernel's own."""
    found: list[MemorySet] = []
    if not has_address_spaces(kernel):
        return found
    try:
        for space in own_spaces(kernel):
            own: list[Problem] = []
            ppn, books = None, _Books()
            try:
                ppn = root_in(kernel, space)
                books = _compared(kernel, space, ppn, own)
            except DecodeError as error:
                own.append(error.problem)
            found.append(
                MemorySet(
                    space.path,
                    None,
                    None,
                    False,
                    (),
                    ppn,
                    ppn is not None and kernel.memory.satp.root == ppn,
                    books.segments,
                    books.unexplained,
                    books.owned_pages,
                    books.differences,
                    None,
                    books.note,
                    tuple(own),
                )
            )
    except DecodeError as error:
        problems.append(error.problem)
    return found


@dataclass(frozen=True, slots=True)
class _Books:
    """What the address space of a process says, and what of it disagrees with its page table."""

    segments: tuple[Segment, ...] = ()
    unexplained: tuple[MappedRange, ...] = ()
    owned_pages: int | None = None
    differences: tuple[Difference, ...] = ()
    note: str = ""


def _read(kernel: Kernel, found: FoundProcess, number: int) -> MemorySet:
    problems: list[Problem] = []

    def attempt(decode: Callable[[], _T]) -> _T | None:
        try:
            return decode()
        except DecodeError as error:
            problems.append(error.problem)
            return None

    user = attempt(lambda: _is_user(kernel, found.value))
    located = attempt(lambda: space_of(kernel, found.value))
    space = None if located is None else located.value
    ppn, books = None, _Books()
    if space is not None:
        ppn = attempt(lambda: root_in(kernel, space))
        books = _compared(kernel, space, ppn, problems)
    locked = None if located is None else located.locked
    return MemorySet(
        found.name,
        found.value.address,
        number,
        user,
        found.threads,
        ppn,
        ppn is not None and kernel.memory.satp.root == ppn,
        books.segments,
        books.unexplained,
        books.owned_pages,
        books.differences,
        locked,
        books.note or (LOCKED if locked else ""),
        tuple(problems),
    )


def _is_user(kernel: Kernel, process: Value) -> bool | None:
    names = kernel.description.process
    return bool(number(process, names.is_user)) if names.is_user else names.all_user or None


def _shared(kernel: Kernel, ppn: int) -> set[tuple[int, int, int]]:
    """Ranges that a kernel with a table of its own maps beside all segments: virtual and physical
    address, and pages.

    That is the page of a trap's entry; and in tables of processes what the kernel maps there too.
    """
    found: set[tuple[int, int, int]] = set()
    if not kernel.description.address_space.list:
        return found
    entry = kernel.first_symbol(kernel.description.trap.entry)
    physical = None if entry is None else kernel.image.physical(entry)
    satp = kernel_memory(kernel).satp
    for item in read_page_table(kernel, Root(satp, ""), limit=ALL_RANGES).ranges:
        is_entry = physical is not None and (item.pa, item.pages) == (physical & -PAGE_SIZE, 1)
        if is_entry or satp.root != ppn:
            found.add((item.va, item.pa, item.pages))
    return found


def _compared(kernel: Kernel, space: Value, ppn: int | None, problems: list[Problem]) -> _Books:
    """The books of an address space, compared with the page table at that root, if it has one."""
    stated, complete = segments(kernel, space, problems)
    pairs: dict[int, int] | None = None
    try:
        pairs = owned_pages(kernel, space)
    except DecodeError as error:
        problems.append(error.problem)
    owned = None if pairs is None else len(pairs)
    if not kernel.description.address_space.areas:
        return _Books(owned_pages=owned, note=_NO_SEGMENTS)
    if ppn is None:
        return _Books(stated, owned_pages=owned)
    satp = kernel.memory.satp.other(ppn)
    table = read_page_table(kernel, Root(satp, ""), limit=ALL_RANGES)
    problems += table.problems
    if not table.complete:
        note = "the page table is too large to compare"
        return _Books(stated, owned_pages=owned, note=note)
    compared = compare(stated, table.ranges, pairs, linear_offset(kernel, stated, table.ranges))
    if kernel.description.area.owned:  # there an area that has not grown yet is as it should be
        compared = tuple(
            replace(s, differences=(), more=False) if s.start == s.end else s for s in compared
        )
    rest: tuple[MappedRange, ...] = ()
    differences: list[Difference] = []
    if complete:
        shared = _shared(kernel, ppn)
        left = unexplained(stated, table.ranges, problems)
        rest = tuple(r for r in left if (r.va, r.pa, r.pages) not in shared)
        differences += strays(stated, pairs or {})
    differences += table_differences(kernel, space, listing(kernel, satp).finish().tables, problems)
    return _Books(compared, rest, owned, tuple(differences))
