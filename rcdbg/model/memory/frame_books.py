"""The books of frame allocators, in the shapes that kernels have: which frames are free.

Lists of free intervals (pairs of numbers); bit sets in which a set bit is a frame that is taken: a
plain bitmap, or the leaves of a segment tree that starts at some bit; a stack: all frames from one
on, and those that came back; a chain through the free frames themselves.
"""

from bisect import bisect_right
from dataclasses import replace

from rcdbg.errors import MemoryReadError
from rcdbg.image.types import ArrayType, BaseType, StructType
from rcdbg.kernels.description import Paths
from rcdbg.kernels.frames import FramesConcept
from rcdbg.kernels.paths import Path
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.page_table import merge
from rcdbg.model.memory.space import kernel_memory
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.state import Interval, Problem
from rcdbg.model.values.containers import base_name, byte_string, elements, pair
from rcdbg.model.values.parts import find, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES, PAGE_SHIFT, PAGE_SIZE

_WORD = 8
MAX_CHAIN = 1 << 20
"""Free frames that are followed one by one: 4 GiB."""


def in_books(
    books: Value, first_bit: int, capacity: int | None, problems: list[Problem]
) -> list[Interval]:
    """What a struct with a list of intervals or with bits says; counted from the first frame.

    Raises DecodeError for a struct with neither, and for nonsense.
    """
    for field in books.fields():
        if _is_bytes(field):
            return _free_in_bits(books, byte_string(field), first_bit, capacity)
    for field in books.fields():
        if base_name(field.type) in ("Vec", "VecDeque", "LinkedList"):
            return _free_in_list(field, capacity, problems)
    raise DecodeError(books.path, f"{books.type.name} keeps its books in a way rcdbg does not know")


def _is_bytes(field: Value) -> bool:
    kind = field.type
    element = None
    if isinstance(kind, ArrayType):
        element = kind.element
    elif isinstance(kind, StructType) and base_name(kind) == "Vec":
        element = field.parameter("T")
    if element is None:
        return False
    inner = field.space.types.type(element)
    return isinstance(inner, BaseType) and inner.size == 1


def _free_in_list(field: Value, capacity: int | None, problems: list[Problem]) -> list[Interval]:
    """Pairs (start, end), end exclusive, relative to the first frame, in any order."""
    free = []
    for item in elements(field):
        start, end = (one.scalar() for one in pair(item, "interval"))
        if not 0 <= start < end <= (FRAMES if capacity is None else capacity):
            problems.append(
                Problem(item.path, f"{start:#x}..{end:#x} is not an interval of frames")
            )
            continue
        free.append(Interval(start, end))
    return free


def _free_in_bits(books: Value, bits: bytes, first: int, capacity: int | None) -> list[Interval]:
    count = capacity if capacity is not None else len(bits) * 8 - first
    if first < 0 or count < 0 or first + count > len(bits) * 8:
        why = f"{count} frames do not fit into {len(bits)} bytes of bits from {first}"
        raise DecodeError(books.path, why)
    taken = int.from_bytes(bits, "little") >> first & ((1 << count) - 1)
    # Runs of equal bits: the text of the number is far faster to search than the number.
    text = f"{taken:0{count}b}"[::-1] if count else ""
    free, at = [], 0
    while (start := text.find("0", at)) >= 0:
        end = text.find("1", start)
        at = count if end < 0 else end
        free.append(Interval(start, at))
        if at == count:
            break
    return free


def merged(intervals: list[Interval]) -> list[Interval]:
    """Maximal intervals, ascending; those that touch are joined, as are those that overlap."""
    joined: list[Interval] = []
    for item in sorted(intervals, key=lambda i: i.start):
        if joined and item.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, item.end))
        else:
            joined.append(item)
    return joined


def in_a_stack(
    names: FramesConcept, owner: Value, managed: Interval | None, problems: list[Problem]
) -> list[Interval]:
    """The frames that were never handed out, and those that came back; raises DecodeError."""
    first, end = number(owner, names.next), number(owner, names.end)
    low = managed.start if managed is not None else 0
    free: list[Interval] = []
    if low <= first <= end <= FRAMES:
        free.append(Interval(first, end))
    else:
        problems.append(Problem(owner.path, f"{first:#x}..{end:#x} are no frames of its own"))
    for item in elements(part(owner, names.recycled)):
        frame = item.scalar()
        if low <= frame < first:
            free.append(Interval(frame, frame + 1))
        else:
            why = f"frame {frame:#x} came back, but was never handed out"
            problems.append(Problem(item.path, why))
    return free


def in_a_chain(kernel: Kernel, names: FramesConcept, owner: Value) -> list[Interval]:
    """The frames that are linked through their own first bytes; raises DecodeError.

    There are tens of thousands: they are read by physical addresses, without a walk for each.
    """
    first = find(owner, names.chain).value
    if first is None:
        return []
    offset = _offset_of_link(first, names)
    places = _Linear(kernel)
    seen: set[int] = set()
    at = first.address
    while at:
        physical = places.physical(at)
        if physical is None or physical % PAGE_SIZE:
            raise DecodeError(owner.path, f"{at:#x} is linked as free, but is no frame")
        frame = physical >> PAGE_SHIFT
        if frame in seen:
            raise DecodeError(owner.path, f"frame {frame:#x} is twice in the chain of free ones")
        if len(seen) == MAX_CHAIN:
            raise DecodeError(
                owner.path, f"more than {MAX_CHAIN} free frames: the rest is left out"
            )
        seen.add(frame)
        try:
            data = kernel.target.read_phys(physical + offset, _WORD)
        except MemoryReadError as error:
            raise DecodeError(owner.path, str(error)) from error
        at = int.from_bytes(data, "little")
    return [Interval(frame, frame + 1) for frame in seen]


def _offset_of_link(frame: Value, names: FramesConcept) -> int:
    """Bytes from the start of a free frame to the pointer to the next one; raises DecodeError."""
    pointers = Paths(Path("", path.steps[:-1]) for path in names.link if path.steps)
    # No memory is read: of a frame at address 0 the part's address is its offset.
    return part(frame.at(frame.type_id, 0, frame.path), pointers).address


class _Linear:
    """Physical addresses by the stretches that the kernel's table maps; few in a linear map."""

    def __init__(self, kernel: Kernel) -> None:
        memory = kernel.own_memory
        rows = listing(kernel, memory.satp).finish() if memory.satp.translates else None
        self._ranges = None if rows is None else list(merge(rows))
        self._starts = [r.va for r in self._ranges or ()]

    def physical(self, address: int) -> int | None:
        """Where that is, or None."""
        if self._ranges is None:
            return address
        place = bisect_right(self._starts, address) - 1
        found = self._ranges[place] if place >= 0 else None
        if found is None or address - found.va >= found.size:
            return None
        return found.pa + address - found.va

    def end_from(self, physical: int) -> int | None:
        """The physical address behind what is mapped without a gap from that one on, or None."""
        for found in self._ranges or ():
            if found.pa <= physical < found.pa + found.size and "w" in found.rights:
                return found.pa + found.size
        return None


def mapped_until(kernel: Kernel, frame: int) -> int | None:
    """The frame behind those that the kernel's table maps without a gap from that one on.

    None where it does not map it, or there is no table yet.
    """
    kernels = replace(kernel, memory=kernel_memory(kernel))
    end = _Linear(kernels).end_from(frame << PAGE_SHIFT)
    return None if end is None else end >> PAGE_SHIFT
