"""Questions about one thing: a thread, a value, a CSR."""

from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.call_stacks import CallStack, read_thread
from rcdbg.model.threads.explain import ExplainedCsr, explain_csr
from rcdbg.model.values.inspect import DEFAULT_LIMITS, Limits, Node
from rcdbg.model.values.printed import Statics, read_path, read_statics
from rcdbg.subjects.subject import Asked
from rcdbg.words import Given


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
