"""The frame allocator: which physical frames are free, whatever structure keeps the books."""

from rcdbg.errors import MemoryReadError
from rcdbg.kernels.description import UNKNOWN
from rcdbg.kernels.frames import FramesConcept
from rcdbg.model.concepts import held
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_books import in_a_chain, in_a_stack, in_books, mapped_until, merged
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import FrameAllocator, Interval, Problem
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES, PAGE_SIZE

NOT_YET = "not initialised yet: the kernel has not touched it"
LOCKED = "the lock is held: the kernel may be in the middle of changing this"


@once_a_moment
def read_frames(kernel: Kernel) -> FrameAllocator:
    """The frame allocator as the kernel's static has it; never fails."""
    try:
        names = kernel.description.frames
        if not names.type and not names.at and kernel.description.family != UNKNOWN.family:
            return FrameAllocator("", None, (), None, kernel.not_described, is_known=False)
        found = held(kernel, names.type, names.at, "frame allocator")
        if found.value is None:
            return FrameAllocator("", None, (), None, NOT_YET, is_known=False)
        return _read(kernel, names, found.value, found.locked)
    except DecodeError as error:
        return FrameAllocator("", None, (), None, "", (error.problem,), is_known=False)


def first_frame(kernel: Kernel) -> int | None:
    """The first frame that the allocator manages; None before it is there. Raises DecodeError."""
    names = kernel.description.frames
    owner = held(kernel, names.type, names.at, "frame allocator").value
    return None if owner is None else _start(kernel, names, owner)


def _read(
    kernel: Kernel, names: FramesConcept, owner: Value, locked: bool | None
) -> FrameAllocator:
    problems: list[Problem] = []
    books = part(owner, names.books) if names.books else owner
    managed = None
    try:
        managed = _managed(kernel, names, owner)
    except DecodeError as error:
        problems.append(error.problem)
    free: list[Interval] = []
    is_known = True
    try:
        free = merged(_free(kernel, names, owner, managed, problems))
    except DecodeError as error:
        problems.append(error.problem)
        is_known = False
    note = LOCKED if locked else ""
    return FrameAllocator(
        _kind(names, books), managed, tuple(free), locked, note, tuple(problems), is_known
    )


def _kind(names: FramesConcept, books: Value) -> str:
    """The allocator's type, or the static that is one of a type without a name."""
    kind = base_name(books.type)
    return kind if kind.isidentifier() else names.at.each[0][0] if names.at else ""


def _start(kernel: Kernel, names: FramesConcept, owner: Value) -> int:
    """The first frame: as the allocator has it, or the one behind a symbol."""
    if names.start or not names.after:
        return number(owner, names.start)
    address = kernel.first_symbol(names.after)
    if address is None:
        raise DecodeError(owner.path, f"no symbol {names.after.first} tells where its frames start")
    try:
        return -(-kernel.memory.physical(address) // PAGE_SIZE)
    except MemoryReadError as error:
        raise DecodeError(owner.path, str(error)) from error


def _managed(kernel: Kernel, names: FramesConcept, owner: Value) -> Interval | None:
    """The frames that are managed, by their number or their end; None where nothing tells."""
    if not names.total and not names.end and not names.to_map_end:
        return None
    start = _start(kernel, names, owner)
    if names.to_map_end:
        end = mapped_until(kernel, start)
        if end is None:
            return None
        size = end - start
    elif names.end:
        size = number(owner, names.end) - start
    elif has(owner, names.total):
        size = number(owner, names.total)
    else:
        return None
    if not 0 <= start <= start + size <= FRAMES:
        raise DecodeError(owner.path, f"{size:#x} frames from {start:#x} are not memory")
    return Interval(start, start + size)


def _free(
    kernel: Kernel,
    names: FramesConcept,
    owner: Value,
    managed: Interval | None,
    problems: list[Problem],
) -> list[Interval]:
    """The free frames by the books that the description names, in any order."""
    if names.chain:
        return in_a_chain(kernel, names, owner)
    if names.recycled:
        return in_a_stack(names, owner, managed, problems)
    start = _start(kernel, names, owner)
    first_bit = number(owner, names.first_bit) if has(owner, names.first_bit) else 0
    count = managed.frames if managed else None
    free = in_books(part(owner, names.books), first_bit, count, problems)
    return [Interval(start + i.start, start + i.end) for i in free]
