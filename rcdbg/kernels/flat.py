"""The flat keys that profile files had before there were tables: `thread_stack = "stack"`.

Each names a part of a kernel of the labs' family. A key may be part of several entries; what a
file does not say is called as in the labs.
"""

from collections.abc import Iterable, Mapping

FAMILY = "lab"
"""What a kernel is whose profile has such keys, unless it is recognised as another."""

KEYS: Mapping[str, str] = {
    "context": "Context",
    "thread": "Thread",
    "processor": "Processor",
    "process": "Process",
    "memory_set": "MemorySet",
    "frame_allocator": "FrameAllocator",
    "frame_tracker": "FrameTracker",
    "heap": "Heap",
    "kernel_stack": "KernelStack",
    "trap_entry": "__interrupt",
    "trap_handler": "handle_interrupt",
    "trap_return": "__restore",
    "thread_exit": "kernel_thread_exit",
    "context_x": "x",
    "context_sstatus": "sstatus",
    "context_sepc": "sepc",
    "current_thread": "current_thread",
    "scheduler": "scheduler",
    "sleeping_threads": "sleeping_threads",
    "thread_id": "id",
    "thread_stack": "stack",
    "thread_process": "process",
    "thread_inner": "inner",
    "thread_context": "context",
    "thread_sleeping": "sleeping",
    "thread_dead": "dead",
    "process_is_user": "is_user",
    "process_id": "pid",
    "thread_ready": "Scheduler::add_thread",
    "thread_wake": "Processor::wake_thread",
    "thread_sleep": "Processor::mark_current_thread_sleeping Processor::sleep_current_thread",
    "thread_kill": "Processor::kill_current_thread",
    "frame_alloc": "FrameAllocator::alloc Allocator::alloc",
    "frame_dealloc": "FrameAllocator::dealloc Allocator::dealloc",
    "frame_start": "start_ppn",
    "map_page": "Mapping::map_one",
    "unmap_pages": "Mapping::unmap_pages Mapping::unmap_one Mapping::unmap",
}
"""The keys, and what each thing is called without one."""

ENTRIES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("context", "type"): ("{context}",),
    ("context", "registers"): ("{context_x}",),
    ("context", "sstatus"): ("{context_sstatus}",),
    ("context", "sepc"): ("{context_sepc}",),
    ("trap", "entry"): ("{trap_entry}",),
    ("trap", "handler"): ("{trap_handler}",),
    ("trap", "exit"): ("{trap_return}",),
    ("kernel_stack", "type"): ("{kernel_stack}",),
    ("processor", "type"): ("{processor}",),
    ("processor", "current"): ("{current_thread}",),
    ("processor", "ready"): ("{scheduler}",),
    ("processor", "sleeping"): ("{sleeping_threads}",),
    ("thread", "type"): ("{thread}",),
    ("thread", "id"): ("..{thread_id}",),
    ("thread", "guarded"): ("{thread_inner}",),
    ("thread", "sleeping"): ("{thread_inner}.{thread_sleeping}", "{thread_sleeping}"),
    ("thread", "dead"): ("{thread_inner}.{thread_dead}", "{thread_dead}"),
    ("thread", "stack_start"): ("..{thread_stack}.start",),
    ("thread", "stack_end"): ("..{thread_stack}.end",),
    ("thread", "process"): ("{thread_process}",),
    ("thread", "context"): ("{thread_inner}.{thread_context}", "{thread_context}"),
    ("process", "type"): ("{process}",),
    ("process", "id"): ("{process_id}",),
    ("process", "is_user"): ("..{process_is_user}",),
    ("address_space", "type"): ("{memory_set}",),
    ("frames", "type"): ("{frame_allocator}",),
    ("frames", "start"): ("{frame_start}",),
    ("frame_tracker", "type"): ("{frame_tracker}",),
    ("heap", "type"): ("{heap}",),
    ("calls", "thread_ready"): ("{thread_ready}",),
    ("calls", "thread_wake"): ("{thread_wake}",),
    ("calls", "thread_sleep"): ("{thread_sleep}",),
    ("calls", "thread_kill"): ("{thread_kill}",),
    ("calls", "thread_exit"): ("{thread_exit}",),
    ("calls", "frame_alloc"): ("{frame_alloc}",),
    ("calls", "frame_dealloc"): ("{frame_dealloc}",),
    ("calls", "map_page"): ("{map_page}",),
    ("calls", "unmap_pages"): ("{unmap_pages}",),
}
"""The entries of a description that are made of them."""


def nested(names: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """The tables that flat keys mean: only the entries that some of them take part in."""
    known = {**KEYS, **names}
    tables: dict[str, dict[str, list[str]]] = {}
    for (concept, key), templates in ENTRIES.items():
        if any(f"{{{name}}}" in template for name in names for template in templates):
            made = (template.format_map(known) for template in templates)
            tables.setdefault(concept, {})[key] = list(_words(concept, made))
    return tables


def _words(concept: str, made: Iterable[str]) -> Iterable[str]:
    """Several functions stand in one text, with blanks between them."""
    for text in made:
        yield from text.split() if concept == "calls" else (text,)
