"""The thread that the panels are of, if it is another one than the hart's."""

from dataclasses import dataclass, replace

from rcdbg.errors import UsageError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.state import KernelState, Thread
from rcdbg.model.threads.call_stacks import find_thread
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import name_of
from rcdbg.model.threads.selected import is_on_the_hart, read_task_trap, standing, task_root


@dataclass(slots=True)
class ShownThread:
    """Kept from stop to stop, as long as the thread is there and is not the one that runs."""

    address: int | None = None
    """Of its struct; None for the hart."""

    def next(self, kernel: Kernel) -> str:
        """Go on to the next thread that is not on the hart, and from the last one to the hart.

        Returns in words what the panels are of now.
        """
        threads = [t for t in read_processor(kernel).threads if not is_on_the_hart(kernel, t)]
        addresses = [None, *(thread.address for thread in threads)]
        at = addresses.index(self.address) if self.address in addresses else 0
        self.address = addresses[(at + 1) % len(addresses)]
        if self.address is None:
            return "the panels are of the hart"
        return f"the panels are of it: {standing(threads[at])}"

    def thread(self, kernel: Kernel) -> Thread | None:
        """The selected thread; it is no longer selected if it is gone, or runs."""
        if self.address is None:
            return None
        try:
            found = find_thread(kernel, self.address)
        except UsageError:
            found = None
        if found is None or is_on_the_hart(kernel, found):
            self.address = None
            return None
        return found


def seen_by(kernel: Kernel, state: KernelState, thread: Thread) -> KernelState:
    """The state with the Context and the page table of that thread in the place of the hart's."""
    table = state.page_table
    try:
        own = task_root(kernel, thread)
        table = table if own is None else read_page_table(kernel, own)
    except UsageError as error:
        table = replace(table, ranges=(), note=str(error), problems=())
    return replace(state, trap=read_task_trap(kernel, thread), page_table=table)


def title(thread: Thread) -> str:
    """What the panels say that they are of."""
    return f"of {name_of(thread)}" + (f" {thread.name}" if thread.name else "")


def goes_on_at(kernel: Kernel, thread: Thread) -> int | None:
    """Where the kernel's code of it goes on; None if no code of the kernel waits."""
    if thread.switch is not None:
        return thread.switch.ra.address
    if thread.context is not None and kernel.image.symbols.at(thread.context.sepc.address):
        return thread.context.sepc.address
    return None
