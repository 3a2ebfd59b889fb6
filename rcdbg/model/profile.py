"""Where a kernel of this kind keeps things: names only, never crate paths or offsets.

The defaults are the names of rCore; types are looked up by their last path segment, so that a
renamed crate or a moved module changes nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """The names of the types and symbols that the decoders look for."""

    context: str = "Context"
    thread: str = "Thread"
    processor: str = "Processor"
    process: str = "Process"
    memory_set: str = "MemorySet"
    frame_allocator: str = "FrameAllocator"
    frame_tracker: str = "FrameTracker"
    process: str = "Process"
    heap: str = "Heap"
    kernel_stack: str = "KernelStack"
    trap_entry: str = "__interrupt"
    trap_handler: str = "handle_interrupt"
    trap_return: str = "__restore"
