"""The kernel heap: the free lists of a buddy system, block by block.

The allocator known here is buddy_system_allocator's Heap: an array of lists, the list at index n
holding free blocks of 2**n bytes; the first word of a free block is the address of the next one.
Since those words lie in memory that programs scribble over, no link is followed before it was
checked against the heap's own range, its order's alignment, and the blocks seen before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.types import ArrayType, BaseType, StructType, TypeId, UnionType
from rcdbg.kernels.description import UNKNOWN, Names, Roots
from rcdbg.kernels.frames import HEAPS, HeapConcept
from rcdbg.model.concepts import held
from rcdbg.model.heaps.shapes import FreeBlocks, free_blocks
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import LOCKED, NOT_YET
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import array, pointer_in
from rcdbg.model.values.parts import has, part
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value

MAX_BLOCKS = 1 << 16
"""Free blocks that are followed in all lists together."""

MAX_PROBLEMS = 16
"""Problems that are listed; more say nothing new."""

_WORD = 8
_MAX_ORDER = 64


@dataclass(frozen=True, slots=True)
class FreeList:
    """The free blocks of one order, in the order in which they will be handed out."""

    order: int
    blocks: tuple[int, ...]
    """Their virtual addresses."""
    broken: bool = False
    """Whether a link is damaged, so that there may be blocks that were not found."""

    @property
    def block_size(self) -> int:
        """Bytes of each block."""
        return 1 << self.order

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return len(self.blocks) << self.order


@dataclass(frozen=True, slots=True)
class Heap:
    """The kernel heap."""

    kind: str
    """The allocator's type."""
    start: int | None
    """The first address of the static that the heap lies in; None where it is not known."""
    end: int | None
    lists: tuple[FreeList, ...]
    """By order, ascending; those without a block are left out."""
    requested: int | None
    """Bytes that callers asked for, by the allocator's own count."""
    allocated: int | None
    """Bytes taken for that: each request is rounded up to a power of two."""
    total: int | None
    """Bytes that were given to the allocator."""
    locked: bool | None
    note: str = ""
    problems: tuple[Problem, ...] = ()
    counted_free: int | None = None
    """Bytes free by the allocator's own count, where not all of its free blocks are read."""
    holes: tuple[tuple[int, int], ...] = ()
    """Free blocks of heaps that have any sizes: address and bytes, ascending."""

    @property
    def free(self) -> int:
        """Bytes in the blocks of the free lists, or as the allocator counts them."""
        if self.counted_free is not None:
            return self.counted_free
        return sum(found.size for found in self.lists) + sum(size for _, size in self.holes)

    @property
    def blocks(self) -> int:
        """How many free blocks there are."""
        return sum(len(found.blocks) for found in self.lists) + len(self.holes)

    @property
    def largest(self) -> int:
        """Bytes of the largest allocation that would succeed now."""
        sizes = [found.block_size for found in self.lists if found.blocks]
        return max((*sizes, *(size for _, size in self.holes)), default=0)

    @property
    def waste(self) -> int | None:
        """Bytes lost to rounding up."""
        if self.requested is None or self.allocated is None:
            return None
        return self.allocated - self.requested


@once_a_moment
def read_heap(kernel: Kernel) -> Heap:
    """The heap as the kernel's static has it; never fails."""
    names = kernel.description.heap.type
    if kernel.description.family == UNKNOWN.family:
        names = names or HEAPS
    if not names:
        return _nothing(kernel.not_described)
    if kernel.image.has_debug_info and not _has_type(kernel, names):
        names = HEAPS  # a student's kernel may have that of another crate
    if kernel.image.has_debug_info and not _has_type(kernel, names):
        names = kernel.description.heap.type or names
        return _nothing(f"no type of this kernel is called {' or '.join(names)}")
    try:
        found = held(kernel, names, Roots(), "heap")
        if found.value is None:
            return _nothing(NOT_YET)
        return _read(kernel, found.value, found.locked)
    except DecodeError as error:
        return _nothing("", error.problem)


def _has_type(kernel: Kernel, names: Names) -> bool:
    """Whether an allocator that could be read is a part of the kernel at all."""
    types = kernel.image.types
    return any(types.types_named(name) for name in names)


def _nothing(note: str, *problems: Problem) -> Heap:
    return Heap("", None, None, (), None, None, None, None, note, problems)


def _read(kernel: Kernel, owner: Value, locked: bool | None) -> Heap:
    problems: list[Problem] = []
    kind = owner.type.name
    names = kernel.description.heap
    other = None if owner.has("free_list") else free_blocks(owner)
    if other is not None:
        return _of_another_make(owner, other, locked)
    counts = has(owner, names.free) or has(owner, names.used)
    if not owner.has("free_list") and has(owner, names.total) and counts:
        return _counted(names, owner, locked)

    def number(name: str) -> int | None:
        try:
            return owner[name].scalar()
        except DecodeError as error:
            problems.append(error.problem)
            return None

    requested, allocated, total = number("user"), number("allocated"), number("total")
    heads: list[tuple[Value, int]] = []
    try:
        for place in array(owner["free_list"]):
            heads.append((place, pointer_in(place).scalar()))
    except DecodeError as error:
        problems.append(error.problem)
    if total == 0 and not any(head for _, head in heads):
        note = "no memory was given to it yet"
        return Heap(kind, None, None, (), requested, allocated, 0, locked, note, tuple(problems))
    area = _area(kernel, [head for _, head in heads if head], total)
    if area is None:
        problems.append(Problem(owner.path, "the static that it lies in was not found"))
    walk = _Walk(area, problems)
    lists = tuple(
        found
        for order, (place, head) in enumerate(heads[:_MAX_ORDER])
        if (found := walk.follow(place, order, head)).blocks or found.broken
    )
    walk.check_overlaps()
    start, end = area or (None, None)
    note = LOCKED if locked else ""
    heap = Heap(kind, start, end, lists, requested, allocated, total, locked, note)
    if not locked:
        problems += _contradictions(heap, owner.path)
    return Heap(
        kind, start, end, lists, requested, allocated, total, locked, note, _first(problems)
    )


def _of_another_make(owner: Value, found: FreeBlocks, locked: bool | None) -> Heap:
    """A heap with free blocks of any size; while it is locked, its books may contradict."""
    kind, notes = owner.type.name.split("<", 1)[0], ([LOCKED] if locked else []) + found.notes
    counted = None
    if not found.complete and found.total is not None and found.used is not None:
        counted = found.total - found.used
    return Heap(
        kind,
        found.start,
        found.end,
        (),
        None,
        found.used,
        found.total,
        locked,
        "; ".join(notes),
        _first([] if locked else found.problems),
        counted,
        tuple(sorted(found.blocks)),
    )


def _counted(names: HeapConcept, owner: Value, locked: bool | None) -> Heap:
    """An allocator that counts what it has and what is free; raises DecodeError.

    Its free blocks are in shapes that are not read here.
    """
    total = part(owner, names.total).scalar()
    if has(owner, names.free):
        free = part(owner, names.free).scalar()
    else:
        free = total - part(owner, names.used).scalar()
    problems: tuple[Problem, ...] = ()
    if not 0 <= free <= total:
        problems = (Problem(owner.path, f"{free:,} bytes of {total:,} are free"),)
    note = LOCKED if locked else "as the allocator counts: its free blocks are not listed"
    kind = owner.type.name.split("<", 1)[0]
    used = None if problems else total - free
    return Heap(kind, None, None, (), None, used, total, locked, note, problems, free)


def _first(problems: list[Problem]) -> tuple[Problem, ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    more = len(problems) - MAX_PROBLEMS
    return (*problems[:MAX_PROBLEMS], Problem("heap", f"{more:,} problems more"))


def _area(kernel: Kernel, heads: list[int], total: int | None) -> tuple[int, int] | None:
    """The array of bytes, among all statics, that the heap lies in: most free lists start there.

    Where none does, it is the one whose size is nearest to what the allocator was given.
    """
    best: tuple[int, int, int, int] | None = None
    for static in kernel.image.types.statics():
        size = _byte_array_size(kernel, static.type)
        if size < max(_WORD, total or 0):
            continue
        inside = sum(static.address <= head < static.address + size for head in heads)
        rank = (inside, -abs(size - (total or 0)), static.address, static.address + size)
        if (inside or total) and (best is None or rank > best):
            best = rank
    return best[2:] if best else None


def _byte_array_size(kernel: Kernel, type_id: TypeId) -> int:
    """Bytes of an array of bytes, in whatever shells; 0 for another type."""
    for _ in range(MAX_DEPTH):
        kind = kernel.image.types.type(type_id)
        if isinstance(kind, ArrayType):
            element = kernel.image.types.type(kind.element)
            return kind.size if isinstance(element, BaseType) and element.size == 1 else 0
        if not isinstance(kind, StructType | UnionType):
            return 0
        inner = [m.type for m in kind.members if kernel.image.types.type(m.type).size]
        if len(inner) != 1:
            return 0
        type_id = inner[0]
    return 0


class _Walk:
    """One walk through all lists: the range they must stay in, and the blocks seen so far."""

    def __init__(self, area: tuple[int, int] | None, problems: list[Problem]) -> None:
        self._area = area
        self._problems = problems
        self._seen: dict[int, int] = {}
        """Order by address."""

    def follow(self, place: Value, order: int, head: int) -> FreeList:
        """The blocks of one list up to its end or to the first link that makes no sense."""
        blocks: list[int] = []
        at, came_from = head, "the list's head"
        while at:
            where = f"{place.path}, block {len(blocks)}"
            if why := self._refusal(at, order, came_from):
                self._problems.append(Problem(where, why))
                return FreeList(order, tuple(blocks), broken=True)
            self._seen[at] = order
            blocks.append(at)
            try:
                at, came_from = place.word(at, _WORD), f"the block at {at:#x}"
            except DecodeError as error:
                why = f"the block at {at:#x} cannot be read: {error.problem.why}"
                self._problems.append(Problem(where, why))
                return FreeList(order, tuple(blocks), broken=True)
        return FreeList(order, tuple(blocks))

    def _refusal(self, at: int, order: int, came_from: str) -> str | None:
        """Why a link to `at` is broken, or None."""
        link = f"{came_from} leads to {at:#x}"
        if at in self._seen:
            known = self._seen[at]
            if known == order:
                return f"{link}, which is in the list already: a cycle, or freed twice"
            return f"{link}, which is in the list of {1 << known}-byte blocks too"
        if self._area and not self._area[0] <= at <= at + (1 << order) <= self._area[1]:
            return f"{link}: no block of {1 << order:#x} bytes of this heap is there"
        if at % max(_WORD, 1 << order):
            return f"{link}, which is no multiple of the block size {1 << order:#x}"
        if len(self._seen) >= MAX_BLOCKS:
            return f"more than {MAX_BLOCKS} free blocks: the rest is left out"
        return None

    def check_overlaps(self) -> None:
        """Report free blocks that lie in one another."""
        end, holder = 0, 0
        for at, order in sorted(self._seen.items()):
            if at < end:
                why = f"the free block of {1 << order} bytes at {at:#x} lies in the one at "
                self._problems.append(Problem("heap", f"{why}{holder:#x}"))
            if at + (1 << order) > end:
                end, holder = at + (1 << order), at


def _contradictions(heap: Heap, path: str) -> Iterator[Problem]:
    """What the allocator's own counts say that cannot be."""
    requested, allocated, total = heap.requested, heap.allocated, heap.total
    if requested is None or allocated is None or total is None:
        return
    if not requested <= allocated <= total:
        why = f"{requested} bytes requested, {allocated} allocated, {total} in all"
        yield Problem(path, f"its counts contradict each other: {why}")
        return
    if heap.start is not None and heap.end is not None and total > heap.end - heap.start:
        yield Problem(path, f"it counts {total} bytes, more than its memory has")
        return
    missing = total - allocated - heap.free
    if missing and not any(found.broken for found in heap.lists):
        what = "are neither allocated nor free" if missing > 0 else "are both allocated and free"
        yield Problem(path, f"{abs(missing)} bytes {what}: a list is cut short, or a block lost")
