"""The one entry: everything that is known about a kernel at this moment."""

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.programs.explained import with_programs
from rcdbg.model.state import KernelState
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.trap import read_hart, read_trap


def read_state(kernel: Kernel) -> KernelState:
    """The state of the kernel at this moment; nonsense in memory becomes Problems inside it."""
    return KernelState(
        read_hart(kernel),
        read_trap(kernel),
        read_page_table(kernel),
        read_frames(kernel),
        with_programs(kernel, read_processor(kernel)),
    )
