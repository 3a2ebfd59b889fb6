"""The frame allocator: which physical frames are free, whatever structure keeps the books.

Two families are known, told apart by their fields: lists of free intervals (pairs of numbers),
and bit sets in which a set bit is a frame that is taken: a plain bitmap, or the leaves of a
segment tree that starts at some bit.
"""

from rcdbg.image.types import ArrayType, BaseType, StructType
from rcdbg.kernels.description import FramesConcept
from rcdbg.model.concepts import held
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import FrameAllocator, Interval, Problem
from rcdbg.model.values.containers import base_name, byte_string, elements, pair
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES

NOT_YET = "not initialised yet: the kernel has not touched it"
LOCKED = "the lock is held: the kernel may be in the middle of changing this"


@once_a_moment
def read_frames(kernel: Kernel) -> FrameAllocator:
    """The frame allocator as the kernel's static has it; never fails."""
    try:
        names = kernel.description.frames
        found = held(kernel, names.type, names.at, "frame allocator")
        if found.value is None:
            return FrameAllocator("", None, (), None, NOT_YET)
        return _read(names, found.value, found.locked)
    except DecodeError as error:
        return FrameAllocator("", None, (), None, "", (error.problem,))


def first_frame(kernel: Kernel) -> int | None:
    """The first frame that the allocator manages; None before it is there. Raises DecodeError."""
    names = kernel.description.frames
    owner = held(kernel, names.type, names.at, "frame allocator").value
    return None if owner is None else number(owner, names.start)


def _read(names: FramesConcept, owner: Value, locked: bool | None) -> FrameAllocator:
    problems: list[Problem] = []
    books = part(owner, names.books)
    start = number(owner, names.start)
    managed = None
    try:
        if not has(owner, names.total):
            known = " nor ".join(f"`{path}`" for path in names.total)
            raise DecodeError(owner.path, f"neither {known} tells how many there are")
        size = number(owner, names.total)
        if not 0 <= start <= start + size <= FRAMES:
            raise DecodeError(owner.path, f"{size:#x} frames from {start:#x} are not memory")
        managed = Interval(start, start + size)
    except DecodeError as error:
        problems.append(error.problem)
    free: list[Interval] = []
    try:
        first_bit = number(owner, names.first_bit) if has(owner, names.first_bit) else 0
        free = _merged(_free(books, first_bit, managed.frames if managed else None, problems))
    except DecodeError as error:
        problems.append(error.problem)
    moved = tuple(Interval(start + i.start, start + i.end) for i in free)
    note = LOCKED if locked else ""
    return FrameAllocator(base_name(books.type), managed, moved, locked, note, tuple(problems))


def _free(
    books: Value, first_bit: int, capacity: int | None, problems: list[Problem]
) -> list[Interval]:
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


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Maximal intervals, ascending; those that touch are joined, as are those that overlap."""
    joined: list[Interval] = []
    for item in sorted(intervals, key=lambda i: i.start):
        if joined and item.start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, item.end))
        else:
            joined.append(item)
    return joined
