"""A KernelState and, beside it, what takes longer to find out: for a report, not for every stop."""

from dataclasses import dataclass

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.memory.memory_set import MemorySets, read_memory_sets
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState


@dataclass(frozen=True, slots=True)
class Everything:
    """All that is known about one moment of the kernel."""

    state: KernelState
    memory_sets: MemorySets
    owners: FrameOwners
    heap: Heap


def read_everything(kernel: Kernel) -> Everything:
    """Every decoder's answer; nonsense in memory becomes Problems in the part that met it."""
    return Everything(
        read_state(kernel),
        read_memory_sets(kernel),
        read_frame_owners(kernel),
        read_heap(kernel),
    )
