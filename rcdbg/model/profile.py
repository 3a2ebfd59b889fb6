"""The flat names of a description, for callers that do not ask `rcdbg.kernels` yet."""

from dataclasses import dataclass
from pathlib import Path

from rcdbg.kernels import flat
from rcdbg.kernels.description import Description
from rcdbg.kernels.reading import NOTHING, Overlay, load_overlay
from rcdbg.kernels.recognise import family


@dataclass(frozen=True, slots=True)
class Profile:
    """The names of the types, fields and symbols that the decoders look for."""

    context: str = "Context"
    thread: str = "Thread"
    processor: str = "Processor"
    process: str = "Process"
    memory_set: str = "MemorySet"
    frame_allocator: str = "FrameAllocator"
    frame_tracker: str = "FrameTracker"
    heap: str = "Heap"
    kernel_stack: str = "KernelStack"
    trap_entry: str = "__interrupt"
    trap_handler: str = "handle_interrupt"
    trap_return: str = "__restore"
    thread_exit: str = "kernel_thread_exit"
    """The function to which a thread's own function returns."""

    context_x: str = "x"
    context_sstatus: str = "sstatus"
    context_sepc: str = "sepc"
    current_thread: str = "current_thread"
    """A Processor's field; so are the next two."""
    scheduler: str = "scheduler"
    sleeping_threads: str = "sleeping_threads"
    thread_id: str = "id"
    """A Thread's field; so are the next three."""
    thread_stack: str = "stack"
    thread_process: str = "process"
    thread_inner: str = "inner"
    thread_context: str = "context"
    """A field of a Thread or of what its lock protects; so are the next two."""
    thread_sleeping: str = "sleeping"
    thread_dead: str = "dead"
    process_is_user: str = "is_user"
    """A Process's field; so is the next one, which it need not have."""
    process_id: str = "pid"

    thread_ready: str = "Scheduler::add_thread"
    """Functions at whose entry something has happened, as `Type::function` or `Trait::function`;
    of several names, with blanks between them, the first that the kernel has."""
    thread_wake: str = "Processor::wake_thread"
    thread_sleep: str = "Processor::mark_current_thread_sleeping Processor::sleep_current_thread"
    thread_kill: str = "Processor::kill_current_thread"
    frame_alloc: str = "FrameAllocator::alloc Allocator::alloc"
    """The first whose result comes back in registers. A function whose type is not
    `frame_allocator` deals in indices, counted from that type's `frame_start`."""
    frame_dealloc: str = "FrameAllocator::dealloc Allocator::dealloc"
    frame_start: str = "start_ppn"
    map_page: str = "Mapping::map_one"
    unmap_pages: str = "Mapping::unmap_pages Mapping::unmap_one Mapping::unmap"

    overlay: Overlay = NOTHING


def flat_names(description: Description, overlay: Overlay = NOTHING) -> Profile:
    """The description's first names under the old keys."""
    names = dict(flat.KEYS)
    for (concept, key), flat_key in _SIMPLE.items():
        entry = getattr(getattr(description, concept), key)
        words = " ".join(str(alternative) for alternative in entry)
        names[flat_key] = (words if concept == "calls" else str(entry.first)) or names[flat_key]
    return Profile(**names, overlay=overlay)


_SIMPLE = {
    where: templates[0].strip("{}.")
    for where, templates in flat.ENTRIES.items()
    if templates[0].count("{") == 1 and not templates[0].endswith((".start", ".end"))
}


def load_profile(path: Path) -> Profile:
    """The names of the labs' kernel, with those that a TOML file overrides; raises UsageError."""
    overlay = load_overlay(path)
    return flat_names(overlay.over(family(flat.FAMILY)), overlay)
