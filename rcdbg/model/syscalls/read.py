"""The system call that the hart is at, or that the kernel is handling."""

from collections.abc import Sequence
from dataclasses import replace

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.books import segments
from rcdbg.model.memory.space import root_of_process, space_of
from rcdbg.model.state import Trap
from rcdbg.model.syscalls.call import Syscall
from rcdbg.model.syscalls.decode import FROM_USER, decode_syscall
from rcdbg.model.syscalls.known import system_calls
from rcdbg.model.threads.listed import is_listed, running_task
from rcdbg.model.threads.task import process_of
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import code
from rcdbg.riscv.registers import unsigned

_USER, _A0 = 0, 10
_ENTRY_MODE_BITS = 3
"""Of stvec (privileged spec, "Supervisor Trap Vector Base Address Register")."""
NO_A0 = "a0 is not restored yet: not known"
NO_TABLE = "which process's it is, is not known: pointers are not followed"


def syscall_of(kernel: Kernel, trap: Trap) -> Syscall | None:
    """The system call that is being handled, or comes next in U-mode; None for none. Never fails.

    `trap` is the one that the kernel is handling. Where the handler has written the result already,
    a0 is that.
    """
    registers = kernel.registers
    if registers.privilege == _USER:
        if _at_an_ecall(kernel):
            return _decoded(kernel, registers.x, kernel.memory, is_next=True)
        return None
    if kernel.csr("scause") != FROM_USER:
        return None
    if _is_entry(kernel):
        return _decoded(kernel, registers.x, kernel.memory)
    if trap.context is None or trap.cause is None:
        return None
    # Behind a portal a0 comes last: until then it is what the portal has jumped to.
    vector = kernel.csr("stvec")
    has_a0 = not kernel.description.trap.resumes or trap.context.x[_A0] != vector
    return _decoded(kernel, trap.context.x, user_memory(kernel), has_a0=has_a0)


def _decoded(
    kernel: Kernel,
    x: Sequence[int],
    memory: VirtualMemory | None,
    *,
    has_a0: bool = True,
    is_next: bool = False,
) -> Syscall:
    known = system_calls(kernel.image, kernel.description)
    notes = [NO_TABLE] * (memory is None) + [NO_A0] * (not has_a0)
    found = decode_syscall(known, x, memory, has_a0=has_a0, is_next=is_next, note="; ".join(notes))
    areas = _areas(kernel) if any(a.physical is not None for a in found.arguments) else ()
    return replace(
        found,
        arguments=tuple(
            replace(a, area=next((r for r in areas if r[0] <= a.value < r[1]), None))
            if a.physical is not None and a.value is not None
            else a
            for a in found.arguments
        ),
    )


def _at_an_ecall(kernel: Kernel) -> bool:
    try:
        word = kernel.memory.read(unsigned(kernel.registers.pc), 4)
    except MemoryReadError:
        return False
    return int.from_bytes(word, "little") == code.ECALL


def _is_entry(kernel: Kernel) -> bool:
    """Whether the hart is at the first instruction of the trap vector: nothing is saved yet."""
    pc, vector = unsigned(kernel.registers.pc), kernel.csr("stvec")
    if vector is not None:
        return pc == vector & ~_ENTRY_MODE_BITS
    entry = first_symbol(kernel.image, kernel.description.trap.entry)
    return entry is not None and kernel.linked(pc) == entry[1]


def user_memory(kernel: Kernel) -> VirtualMemory | None:
    """Memory as the user code of the running thread sees it; None where that is not known."""
    if not kernel.memory.satp.translates or not is_listed(kernel):
        return kernel.memory
    try:
        process = _process(kernel)
        if process is None:
            return None if kernel.description.address_space.list else kernel.memory
        satp = kernel.memory.satp.other(root_of_process(kernel, process))
    except DecodeError:
        return None
    return VirtualMemory(kernel.target, satp.value)


def _process(kernel: Kernel) -> Value | None:
    task = running_task(kernel)
    return None if task is None else process_of(kernel, task)


def _areas(kernel: Kernel) -> tuple[tuple[int, int], ...]:
    """The areas of the running process, where the kernel's books tell; never fails."""
    try:
        process = _process(kernel) if is_listed(kernel) else None
        space = None if process is None else space_of(kernel, process).value
        if space is None:
            return ()
        found, _ = segments(kernel, space, [])
    except DecodeError:
        return ()
    return tuple((s.start, s.end) for s in found)
