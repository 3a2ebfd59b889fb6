"""A thread that questions are about, though another one runs: its registers, stack and memory."""

from dataclasses import replace

from rcdbg.errors import UsageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.page_table import Root
from rcdbg.model.memory.space import root_of
from rcdbg.model.programs.explained import with_programs
from rcdbg.model.state import Backtrace, Thread, Trap
from rcdbg.model.threads.call_stacks import CallStack, HartStack, find_thread, read_thread
from rcdbg.model.threads.listed import is_listed, running
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import name_of
from rcdbg.model.threads.trap import read_trap
from rcdbg.model.values.value import DecodeError


def select(kernel: Kernel, text: str) -> Thread:
    """The thread that a word means: its id, its address, or the name of it or of its program.

    Raises UsageError, with those that there are, without one, or with several.
    """
    try:
        return find_thread(kernel, int(text, 0))
    except ValueError:
        pass
    threads = with_programs(kernel, read_processor(kernel)).threads
    found = [thread for thread in threads if thread.name == text]
    if len(found) == 1:
        return found[0]
    listed = found or threads
    known = ", ".join(_named(thread) for thread in listed[:_MOST]) + ", ..." * (len(listed) > _MOST)
    if found:
        raise UsageError(f"{len(found)} threads are called {text}: say which: {known}")
    raise UsageError(f"no thread {text}: " + (f"there are {known}" if known else "none was found"))


_MOST = 16


def _named(thread: Thread) -> str:
    own = f"{thread.address:#x}" if thread.id is None else str(thread.id)
    return f"{own} ({thread.name})" if thread.name else own


def is_on_the_hart(kernel: Kernel, thread: Thread) -> bool:
    """Whether the hart's registers are of that thread."""
    if is_listed(kernel):
        return thread.address == running(kernel).own
    return thread.status == "running"


def read_task_trap(kernel: Kernel, thread: Thread) -> Trap:
    """The trap that it handles, or the Context that it is parked with; never fails."""
    if is_on_the_hart(kernel, thread):
        return read_trap(kernel)
    return Trap(thread.context, None, standing(thread))


def standing(thread: Thread) -> str:
    """In words, where a thread that is not on the hart stands."""
    words = thread.state or thread.status
    text = f"{name_of(thread)} is not on the hart: {words}"
    if thread.dead:
        return text
    if thread.switch is not None:
        place = thread.switch.ra
        where = place.symbol or f"{place.address:#x}"
        if place.symbol and not place.offset:
            return f"{text}, and has given the hart away nowhere: it starts in {where}"
        return f"{text}, parked since it gave the hart away; it goes on in {where}"
    if thread.context is not None:
        place = thread.context.sepc
        return f"{text}, parked since it was interrupted at {place.symbol or hex(place.address)}"
    return f"{text}; its registers are not known"


def read_task_stack(kernel: Kernel, thread: Thread) -> HartStack:
    """Its call stack, and the Context that it is parked with; never fails."""
    found: CallStack = read_thread(kernel, thread.address)
    stack = found.backtrace or Backtrace((), "no call stack: its registers are not known")
    return HartStack(stack, read_task_trap(kernel, thread))


def task_root(kernel: Kernel, thread: Thread) -> Root | None:
    """The page table of its process; None where all threads share the one in satp.

    Raises UsageError where it cannot be told.
    """
    if thread.process is None:
        if kernel.description.address_space.list or kernel.description.process.type:
            raise UsageError(f"{name_of(thread)}: which process's it is, is not known")
        return None
    try:
        ppn = root_of(kernel, thread.process)
    except DecodeError as error:
        raise UsageError(f"{name_of(thread)}: {error}") from error
    return replace(Root.of_frame(ppn, kernel.memory.satp), origin=f"of {name_of(thread)}")
