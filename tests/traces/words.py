"""What several chapters say in the same words."""

from collections.abc import Sequence
from dataclasses import dataclass

from rcdbg.image.elf import Image
from rcdbg.kernels.description import Description
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import KernelState, Stack, Thread
from rcdbg.model.threads.context import context_type
from rcdbg.model.threads.trap import kernel_stack
from rcdbg.testing import Story

INTERVAL = 100_000
"""Guest ticks from one timer interrupt to the next, where a test wants many of them: 10 ms."""

FAST = f"interval={INTERVAL}"

UNDISTURBED = "interval=100000000"
"""Ten seconds between ticks: nobody is interrupted before it has done its part."""

SOON = 30_000_000
"""Guest ticks within which whatever a test waits for has come: three seconds, while the longest
scenario takes two in a debug build."""


@dataclass(frozen=True, slots=True)
class At:
    """The kernel is about to execute the instruction at an address."""

    address: int

    def places(self, image: Image, description: Description) -> Sequence[int]:
        """There."""
        return (self.address,)

    def happened(self, kernel: Kernel) -> bool:
        """Always, when it stands there."""
        return True

    def __str__(self) -> str:
        return f"the instruction at {self.address:#x}"


def running(state: KernelState) -> Thread:
    """The current thread."""
    assert state.processor.current is not None, "no thread runs"
    return state.processor.current


def stack_of(thread: Thread) -> Stack:
    """The thread's stack."""
    assert thread.stack is not None, f"the stack of thread {thread.id} is not known"
    return thread.stack


def is_mapped(state: KernelState, va: int) -> bool:
    """Whether the active page table has something at this address."""
    return any(r.va <= va < r.va + r.size for r in state.page_table.ranges)


def trap_stack(run: Story) -> Stack:
    """The stack on which traps are handled."""
    return kernel_stack(run.kernel())


def context_size(run: Story) -> int:
    """Bytes of the kernel's trap Context, by the debug info; Rust's own library has one too."""
    size = run.image.types.type(context_type(run.kernel())).size
    assert size is not None
    return size


def is_fifo(run: Story) -> bool:
    """Whether the scheduler under test takes its threads in turn."""
    return run.state().processor.scheduler == "FifoScheduler"


def symbol(run: Story, name: str) -> int:
    """The address of a symbol."""
    address = run.image.symbols.address_of(name)
    assert address is not None, f"the kernel has no symbol {name}"
    return address
