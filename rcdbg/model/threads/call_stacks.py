"""Threads in depth, for when somebody asks: call stacks, and how deep each stack ever was."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from rcdbg.errors import MemoryReadError, UsageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.explained import UserSide, space_of_thread, with_programs
from rcdbg.model.state import Backtrace, Processor, Stack, Thread, Trap
from rcdbg.model.threads.inlined import with_inlined
from rcdbg.model.threads.listed import is_listed, running
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.thread_memory import ThreadMemory
from rcdbg.model.threads.trap import read_trap
from rcdbg.model.threads.unwind import backtrace_now, backtrace_of, backtrace_of_switch
from rcdbg.model.values.value import MAX_ELEMENTS
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.paging import Satp

MAX_SCANNED = 1 << 24
"""Bytes of stacks that are looked through for their deepest use: 32 stacks of 512 KiB."""

_MOST_NAMED = 16
_CHUNK = 16 * PAGE_SIZE


@dataclass(frozen=True, slots=True)
class CallStack:
    """A thread with its call stack; that of the running one starts at the hart's own pc."""

    thread: Thread
    backtrace: Backtrace | None
    """None if there is nothing to start from: neither a Context nor the hart."""


@dataclass(frozen=True, slots=True)
class CallStacks:
    """All threads with their call stacks, the running one first."""

    processor: Processor
    stacks: tuple[CallStack, ...]


@dataclass(frozen=True, slots=True)
class HartStack:
    """The hart's call stack, with the trap that it may be handling."""

    backtrace: Backtrace
    trap: Trap


def read_hart_stack(kernel: Kernel) -> HartStack:
    """The call stack of the hart, through traps into the interrupted code; never fails."""
    return HartStack(with_inlined(kernel, backtrace_now(kernel)), read_trap(kernel))


def read_threads(kernel: Kernel) -> Processor:
    """The threads, with the deepest use of each one's stack; never fails."""
    return with_deepest_use(kernel, with_programs(kernel, read_processor(kernel)))


def read_call_stacks(kernel: Kernel) -> CallStacks:
    """All threads with their call stacks; never fails."""
    processor = read_threads(kernel)
    spaces = ThreadMemory(kernel)
    # In kernels that list them, their kernel stacks are in no process's table.
    own = (lambda _: kernel) if is_listed(kernel) else spaces.of
    stacks = tuple(_call_stack(own(t), t, space_of_thread(kernel, t)) for t in processor.threads)
    return CallStacks(processor, stacks)


def read_thread(kernel: Kernel, number: int) -> CallStack:
    """The thread with that id in depth; raises UsageError without one."""
    thread = find_thread(kernel, number)
    own = kernel if is_listed(kernel) else ThreadMemory(kernel).of(thread)
    (named,) = with_programs(kernel, Processor("", thread, (), (), None)).threads
    return _call_stack(own, _with_deepest(own, named), space_of_thread(kernel, thread))


def find_thread(kernel: Kernel, number: int) -> Thread:
    """The thread with that id; raises UsageError, with the ids that there are, without one."""
    processor = read_processor(kernel)
    of_that_id = [thread for thread in processor.threads if thread.id == number]
    if len(of_that_id) > 1:
        places = ", ".join(
            f"{t.address:#x}" + (f" of process {t.process_id}" if t.process_id is not None else "")
            for t in of_that_id[:_MOST_NAMED]
        )
        raise UsageError(
            f"{len(of_that_id)} threads have the id {number}: say which by address: {places}"
        )
    for thread in processor.threads:
        if number in (thread.id, thread.address):
            return thread
    known = ", ".join(str(t.id) for t in processor.threads if t.id is not None)
    why = f"there are {known}" if known else processor.note or "no threads were found"
    if not known and processor.problems:
        why = f"{processor.problems[0].where}: {processor.problems[0].why}"
    raise UsageError(f"no thread {number}: {why}")


def _call_stack(kernel: Kernel, thread: Thread, satp: Satp) -> CallStack:
    if thread.switch is not None:
        user = None if thread.context is None else UserSide(thread.context, satp)
        found = backtrace_of_switch(kernel, thread.switch, user)
        return CallStack(thread, with_inlined(kernel, found))
    if thread.context is not None:
        return CallStack(thread, with_inlined(kernel, backtrace_of(kernel, thread.context, satp)))
    if thread.status in ("running", "dead") and not is_listed(kernel):
        return CallStack(thread, with_inlined(kernel, backtrace_now(kernel)))
    if is_listed(kernel) and thread.address == running(kernel).own:
        return CallStack(thread, with_inlined(kernel, backtrace_now(kernel)))
    return CallStack(thread, None)


def with_deepest_use(kernel: Kernel, processor: Processor) -> Processor:
    """The same threads with `stack_deepest`, as far as MAX_SCANNED bytes of stacks reach."""
    left = MAX_SCANNED
    spaces = ThreadMemory(kernel)
    known: dict[int, Thread] = {}
    for thread in processor.threads[:MAX_ELEMENTS]:
        size = 0 if thread.stack is None else thread.stack.end - thread.stack.start
        if 0 < size <= left:
            left -= size
            known[thread.address] = _with_deepest(spaces.of(thread), thread)

    def all_of(threads: Iterable[Thread]) -> tuple[Thread, ...]:
        # A thread may stand in two places with two states; only the measure is shared.
        return tuple(
            replace(t, stack_deepest=known[t.address].stack_deepest) if t.address in known else t
            for t in threads
        )

    return replace(
        processor,
        current=all_of((processor.current,))[0] if processor.current else None,
        ready=all_of(processor.ready),
        sleeping=all_of(processor.sleeping),
        idle=all_of((processor.idle,))[0] if processor.idle else None,
    )


def _with_deepest(kernel: Kernel, thread: Thread) -> Thread:
    if thread.stack is None or not 0 < thread.stack.end - thread.stack.start <= MAX_SCANNED:
        return thread
    return replace(thread, stack_deepest=deepest_use(kernel, thread.stack))


def deepest_use(kernel: Kernel, stack: Stack) -> int | None:
    """Bytes from the end of a stack down to its lowest byte that is not 0.

    That is how deep the stack ever was, if the kernel clears the frames that it maps there, except
    for words that were written as 0; else it is only an upper bound. None if nothing is mapped.
    """
    was_read = False
    for start in range(stack.start, stack.end, _CHUNK):
        for piece, data in _readable(kernel, start, min(_CHUNK, stack.end - start)):
            was_read = True
            rest = data.lstrip(b"\0")
            if rest:
                return stack.end - (piece + len(data) - len(rest))
    return 0 if was_read else None


def _readable(kernel: Kernel, start: int, size: int) -> Iterable[tuple[int, bytes]]:
    """What can be read of a range, in as few pieces as there are."""
    with suppress(MemoryReadError):
        return [(start, kernel.memory.read(start, size))]
    found = []
    page = start & -PAGE_SIZE
    while page < start + size:
        first, end = max(page, start), min(page + PAGE_SIZE, start + size)
        with suppress(MemoryReadError):  # such as a page that was never mapped
            found.append((first, kernel.memory.read(first, end - first)))
        page += PAGE_SIZE
    return found
