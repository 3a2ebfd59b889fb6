"""The stacks of a thread in kernels that list them: the kernel's, and that of its user code."""

from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.types import ArrayType
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.books import segments
from rcdbg.model.memory.space import kernel_memory, root_of_process, space_of
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Stack
from rcdbg.model.values.parts import find, has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import pte
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.paging import Satp, walk

MAX_STACK_PAGES = 64
"""Pages of a kernel stack that are looked for below its end: 256 KiB."""

_USERS = pte.U | pte.W


def kernel_stack(kernel: Kernel, thread: Value, context: Value | None) -> Stack | None:
    """The stack that it handles traps on, down to where nothing is mapped; raises DecodeError.

    `context` is where its registers are saved in a trap.
    """
    names = kernel.description
    end = None if context is None else _number(context, names.context.kernel_sp)
    memory = kernel_memory(kernel)
    if has(thread, names.thread.kernel_stack):
        found = find(thread, names.thread.kernel_stack).value
        if found is None:
            return None
        start = found
        if isinstance(start.type, ArrayType):
            return Stack(start.address, start.address + start.type.size, guarded=False)
        if has(thread, names.thread.kernel_stack_size):
            end = start.scalar() + number(thread, names.thread.kernel_stack_size)
        if end is None:
            return None
        return Stack(start.scalar(), end, _is_unmapped_below(memory, start.scalar()))
    if end is None or end % PAGE_SIZE:
        return None
    start_page = end
    for _ in range(MAX_STACK_PAGES):
        if _is_unmapped_below(memory, start_page):
            return Stack(start_page, end, guarded=True) if start_page < end else None
        start_page -= PAGE_SIZE
    return None


def _number(value: Value, paths: Paths) -> int | None:
    if not has(value, paths):
        return None
    found = find(value, paths).value
    return None if found is None else found.scalar()


def _is_unmapped_below(memory: VirtualMemory, start: int) -> bool | None:
    """Whether nothing is mapped below an address; None without paging."""
    if not memory.satp.translates:
        return None
    try:
        memory.physical(start - 1)
    except MemoryReadError:
        return True
    return False


def user_stack(
    kernel: Kernel, thread: Value, process: Value | None, sp: int | None
) -> Stack | None:
    """The stack of its user code, where that can be told; raises DecodeError.

    It is what the thread says; or else the area of its process that ends where the thread says, or
    that `sp` lies in; or else the page that `sp` lies in, if that stands alone.
    """
    names = kernel.description.thread
    if has(thread, names.user_stack):
        found = part(thread, names.user_stack)
        if isinstance(found.type, ArrayType):
            return Stack(found.address, found.address + found.type.size, guarded=False)
    if process is None:
        return None
    end = _number(thread, names.user_stack_end)
    areas = _areas(kernel).get(process.address)
    satp = kernel.memory.satp.other(root_of_process(kernel, process))
    if end is not None and areas:
        chosen = [area for area in areas.spans if area[1] == end > area[0]]
    elif sp is None:
        return None
    elif areas and areas.are_known:
        chosen = [area for area in areas.spans if area[0] < sp <= area[1]]
    else:
        page = (sp - 1) & -PAGE_SIZE
        neighbours = (page - PAGE_SIZE, page + PAGE_SIZE)
        is_alone = _is_users(kernel, satp, page) and not any(
            _is_users(kernel, satp, other) for other in neighbours
        )
        chosen = [(page, page + PAGE_SIZE)] if is_alone else []
    if len(chosen) != 1 or not _is_users(kernel, satp, chosen[0][0]):
        return None
    start, end = chosen[0]
    return Stack(start, end, not _is_anybodys(kernel, satp, start - PAGE_SIZE))


def _bits(kernel: Kernel, satp: Satp, address: int) -> int:
    """The bits of the PTE that maps it, 0 without one."""
    leaf = walk(kernel.target.read_phys, satp, address).leaf
    return 0 if leaf is None else leaf.pte.bits


def _is_users(kernel: Kernel, satp: Satp, address: int) -> bool:
    """Whether user code may write there, by that table."""
    return _bits(kernel, satp, address) & _USERS == _USERS


def _is_anybodys(kernel: Kernel, satp: Satp, address: int) -> bool:
    """Whether user code may use what is there in any way."""
    return bool(_bits(kernel, satp, address) & pte.U)


@dataclass(frozen=True, slots=True)
class _Areas:
    spans: tuple[tuple[int, int], ...]
    are_known: bool


@once_a_moment
def _areas(kernel: Kernel) -> dict[int, _Areas]:
    """The areas of each process, by its address."""
    found: dict[int, _Areas] = {}
    for process in listed_processes(kernel).values:
        try:
            space = space_of(kernel, process).value
        except DecodeError:
            continue  # whoever shows the process says why
        if space is not None:
            known, complete = segments(kernel, space, [])
            spans = tuple((area.start, area.end) for area in known)
            found[process.address] = _Areas(spans, complete)
    return found
