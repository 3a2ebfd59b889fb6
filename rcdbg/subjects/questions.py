"""Questions about one thing: a thread, a value, a CSR."""

from dataclasses import replace

from rcdbg.errors import UsageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.memory_set import MemorySets, read_memory_sets
from rcdbg.model.state import Thread, Trap
from rcdbg.model.threads.call_stacks import CallStack, HartStack, read_hart_stack, read_thread
from rcdbg.model.threads.explain import ExplainedCsr, explain_csr
from rcdbg.model.threads.selected import read_task_stack, read_task_trap, select
from rcdbg.model.threads.trap import read_trap
from rcdbg.model.values.inspect import DEFAULT_LIMITS, Limits, Node
from rcdbg.model.values.printed import Statics, read_path, read_statics
from rcdbg.subjects.subject import Asked
from rcdbg.subjects.table import TASK
from rcdbg.words import Given


def chosen(kernel: Kernel, asked: Asked) -> Thread | None:
    """The thread that the question is about, if one is named; raises UsageError."""
    text = asked.given.text(TASK)
    return None if text is None else select(kernel, text)


def context(kernel: Kernel, asked: Asked) -> Trap:
    """The trap that is being handled, or the Context of the thread that is named."""
    thread = chosen(kernel, asked)
    return read_trap(kernel) if thread is None else read_task_trap(kernel, thread)


def hart_stack(kernel: Kernel, asked: Asked) -> HartStack:
    """The call stack of the hart, or of the thread that is named."""
    thread = chosen(kernel, asked)
    return read_hart_stack(kernel) if thread is None else read_task_stack(kernel, thread)


def memory_sets(kernel: Kernel, asked: Asked) -> MemorySets:
    """All address spaces, or that of the thread that is named."""
    found, thread = read_memory_sets(kernel), chosen(kernel, asked)
    if thread is None:
        return found
    own = tuple(s for s in found.sets if s.process is not None and s.process == thread.process)
    if not own:
        raise UsageError(f"thread {asked.given.text(TASK)}: no address space of it is known")
    return replace(found, sets=own)


def explain(kernel: Kernel, asked: Asked) -> ExplainedCsr:
    """One CSR with every field explained."""
    return explain_csr(kernel, asked.given.text("--explain") or "")


def thread(kernel: Kernel, asked: Asked) -> CallStack:
    """One thread in full; raises UsageError if no thread has that id."""
    return read_thread(kernel, int(asked.argument, 0))


def limits(given: Given) -> Limits:
    """How much of a value is wanted."""
    depth, elements = given.number("--depth"), given.number("--elements")
    return Limits(
        DEFAULT_LIMITS.depth if depth is None else depth,
        DEFAULT_LIMITS.elements if elements is None else elements,
    )


def value(kernel: Kernel, asked: Asked) -> Node:
    """The value at a path; raises UsageError for a path that makes no sense."""
    return read_path(kernel, asked.argument, limits(asked.given))


def statics(kernel: Kernel) -> Statics:
    """Every static that can be printed."""
    return read_statics(kernel.image)
