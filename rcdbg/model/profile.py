"""Where a kernel of this kind keeps things: names only, never crate paths or offsets.

The defaults are the names of rCore; types are looked up by their last path segment, so that a
renamed crate or a moved module changes nothing. A kernel that calls things otherwise gets a TOML
file with the names that differ: `processor = "Cpu"`.
"""

import difflib
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rcdbg.errors import UsageError

_MAX_SIZE = 1 << 16


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


def load_profile(path: Path) -> Profile:
    """The default profile with the names that a TOML file overrides.

    Raises UsageError, in one line, for a file that cannot be read, is no TOML, or has a key that
    is not a field of `Profile` or a value that is no name.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read the profile {path}: {why}") from error
    if len(text) > _MAX_SIZE:
        raise UsageError(f"{path} is no profile: it is larger than {_MAX_SIZE} bytes")
    try:
        names = tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML file: {error}") from error
    known = [f.name for f in fields(Profile)]
    for key, value in names.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{path}: no key {key!r} in a profile; {hint}")
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f'{path}: {key} has to be a name, such as {key} = "NAME"')
    return replace(Profile(), **names)
