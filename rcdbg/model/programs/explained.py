"""Threads and trap Contexts with what is known of the programs that they are of."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import root_of, root_of_process
from rcdbg.model.programs.code import code_at, is_users, program_in, user_place
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Context, Place, Processor, Thread
from rcdbg.model.threads.context import as_trapped, decode_context
from rcdbg.model.threads.listed import running_task, tasks
from rcdbg.model.threads.task import context_value, process_of
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv import pte
from rcdbg.riscv.paging import Satp, walk
from rcdbg.riscv.registers import unsigned

USER = 0
SPP = 1 << 8
"""sstatus.SPP: set if a trap came from S-mode."""


@dataclass(frozen=True, slots=True)
class UserSide:
    """User code that waits for the kernel: its registers, and its address space."""

    context: Context
    satp: Satp


def is_user_code(kernel: Kernel, context: Context, satp: Satp) -> bool:
    """Whether a trap came from U-mode: sstatus.SPP says so, or else the page table."""
    if context.sstatus is not None:
        return not context.sstatus.value & SPP
    return kernel.description.process.all_user or is_users(kernel, satp, context.sepc.address)


def explained(kernel: Kernel, satp: Satp, context: Context) -> Context:
    """A Context of user code with the symbols of its program."""
    sepc, ra = context.sepc, context.ra
    if sepc.symbol is None:
        sepc = user_place(kernel, satp, sepc.address)
    if ra.symbol is None and ra.address:
        ra = user_place(kernel, satp, ra.address)
    return replace(context, sepc=sepc, ra=ra)


@once_a_moment
def user_side(kernel: Kernel) -> UserSide | None:
    """The user code of the thread that runs, where its registers are not on the kernel's stack."""
    task = running_task(kernel)
    try:
        return None if task is None else _side_of(kernel, task, now=True)
    except DecodeError:
        return None


def _side_of(kernel: Kernel, task: Value, *, now: bool = False) -> UserSide | None:
    """The user code of a thread; raises DecodeError."""
    value = context_value(kernel, task)
    if value is None:
        return None
    context = decode_context(kernel, value)
    if now:
        context = as_trapped(kernel, context)
    satp = kernel.memory.satp
    process = process_of(kernel, task)
    if process is not None:
        satp = satp.other(root_of_process(kernel, process))
    if _is_kernels(kernel, satp, context.sepc.address):
        return None  # on a way through a page of the kernel's, which keeps the others elsewhere
    return UserSide(explained(kernel, satp, context), satp)


def _is_kernels(kernel: Kernel, satp: Satp, address: int) -> bool:
    """Whether something is mapped there, and not for U-mode."""
    leaf = walk(kernel.target.read_phys, satp, address).leaf
    return leaf is not None and not leaf.pte.bits & pte.U


def space_of_thread(kernel: Kernel, thread: Thread) -> Satp:
    """The address space of a thread: that of its process; else the one in satp."""
    satp = kernel.memory.satp
    if thread.process is not None and satp.translates:
        with suppress(DecodeError, ValueError):  # the process itself says why
            return satp.other(root_of(kernel, thread.process))
    return satp


def with_programs(kernel: Kernel, processor: Processor) -> Processor:
    """The same threads with symbols of their programs; one without a name is called by its own."""

    known = {thread: _with_program(kernel, thread) for thread in processor.threads}
    if all(thread is named for thread, named in known.items()):
        return processor

    def all_of(threads: Iterable[Thread]) -> tuple[Thread, ...]:
        return tuple(known.get(thread, thread) for thread in threads)

    return replace(
        processor,
        current=all_of((processor.current,))[0] if processor.current else None,
        ready=all_of(processor.ready),
        sleeping=all_of(processor.sleeping),
        idle=all_of((processor.idle,))[0] if processor.idle else None,
        others=all_of(processor.others),
    )


@once_a_moment
def _with_program(kernel: Kernel, thread: Thread) -> Thread:
    satp = space_of_thread(kernel, thread)
    context = thread.context
    if context is not None:
        if not is_user_code(kernel, context, satp):
            return thread
        context = explained(kernel, satp, context)
        name = thread.name or context.sepc.program or ""
        return replace(thread, context=context, name=name)
    if thread.name:
        return thread
    place = _place_of_running(kernel, thread, satp)
    name = "" if place is None else place.program or ""
    if not name and (code := program_in(kernel, satp)) is not None:
        name = code.name
    return replace(thread, name=name) if name else thread


def _place_of_running(kernel: Kernel, thread: Thread, satp: Satp) -> Place | None:
    """Where the user code is of a thread without a parked Context, as far as that is known."""
    if thread.status == "running" and kernel.registers.privilege == USER:
        return user_place(kernel, kernel.memory.satp, unsigned(kernel.registers.pc))
    value = tasks(kernel).values.get(thread.address)
    if value is None:
        return None
    with suppress(DecodeError):
        side = _side_of(kernel, value)
        return None if side is None else side.context.sepc
    return None


def place_now(kernel: Kernel) -> Place:
    """Where the hart is, in the kernel or in a program."""
    pc = unsigned(kernel.registers.pc)
    if kernel.registers.privilege == USER and code_at(kernel, kernel.memory.satp, pc) is not None:
        return user_place(kernel, kernel.memory.satp, pc)
    return kernel.place(pc)
