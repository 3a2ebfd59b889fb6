"""A process's address space: where the kernel's books of it are, and its root table."""

from collections.abc import Iterator
from itertools import islice

from rcdbg.guest.virtual import VirtualMemory
from rcdbg.kernels.description import Paths
from rcdbg.model.concepts import values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.values.parts import FoundPart, find, has, has_struct_inside, part, struct_inside
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES, PAGE_SHIFT
from rcdbg.riscv.paging import Satp

_WORD = 8
MAX_SPACES = 16
"""Address spaces that belong to no process."""


def space_of(kernel: Kernel, process: Value) -> FoundPart:
    """The address space of a process, and whether the lock around it is held.

    It is what the description says, or the struct of that type in the process, or else the process
    itself, for kernels that keep the parts of an address space there. Raises DecodeError.
    """
    names = kernel.description
    if has(process, names.process.space):
        return find(process, names.process.space, names.address_space.type)
    if has_struct_inside(process.space.types, process.type_id, names.address_space.type):
        return struct_inside(process, names.address_space.type)
    if any(has(process, paths) for paths in _roots(kernel)):
        return FoundPart(process, None)
    where = names.address_space.type.first or "an address space"
    raise DecodeError(process.path, f"no {where} in {process.type.name}")


def root_in(kernel: Kernel, space: Value) -> int:
    """The frame of the root table of an address space; raises DecodeError for nonsense."""
    names = kernel.description.address_space
    ppn, address, satp = _roots(kernel)
    if has(space, ppn):
        value = part(space, ppn)
        found = value.scalar()
    elif has(space, address):
        value = part(space, address)
        found = value.address if value.type.size > _WORD else value.scalar()
        found >>= PAGE_SHIFT
    elif has(space, satp):
        value = part(space, satp)
        found = Satp(value.scalar()).ppn
    else:
        what = names.root_ppn.first or "root table that is known"
        raise DecodeError(space.path, f"{space.type.name} has no {what}")
    if not 0 <= found < FRAMES:
        raise DecodeError(value.path, f"{found:#x} is no frame")
    return found


def root_of_process(kernel: Kernel, process: Value) -> int:
    """The frame of the root table of a process; raises DecodeError."""
    space = space_of(kernel, process).value
    if space is None:
        raise DecodeError(process.path, "it has no address space now")
    return root_in(kernel, space)


def root_of(kernel: Kernel, process: int) -> int:
    """The frame of the root table of the Process struct at that address; raises DecodeError."""
    return root_of_process(kernel, process_at(kernel, process))


def process_at(kernel: Kernel, address: int) -> Value:
    """The process at that address; raises DecodeError if the kernel has no such struct."""
    names = kernel.description.process
    try:
        type_id = kernel.struct_with(names.type, names.is_user)
    except DecodeError:
        type_id = kernel.struct_with(names.type)
    return Value(kernel.space, type_id, address, f"process at {address:#x}")


def own_spaces(kernel: Kernel) -> Iterator[Value]:
    """The address spaces that belong to no process, such as the kernel's own.

    Raises DecodeError where the kernel has none of those that the description names.
    """
    names = kernel.description.address_space
    if names.list:
        every = values_at(kernel, names.list, "the kernel's address space", names.type)
        yield from islice(every, MAX_SPACES)


@once_a_moment
def kernel_memory(kernel: Kernel) -> VirtualMemory:
    """Memory by the kernel's own table, where it has one, whatever is in satp; never fails."""
    if not kernel.memory.satp.translates:
        return kernel.memory
    try:
        for space in own_spaces(kernel):
            satp = kernel.memory.satp.other(root_in(kernel, space))
            return VirtualMemory(kernel.target, satp.value, kernel.image.physical)
    except DecodeError:
        pass  # whoever shows the address space says why
    return kernel.memory


def _roots(kernel: Kernel) -> tuple[Paths, Paths, Paths]:
    names = kernel.description.address_space
    return names.root_ppn, names.root_address, names.root_satp
