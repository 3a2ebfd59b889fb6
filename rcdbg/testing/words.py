"""What `rcdbg.testing` offers, with all that it needs; `__all__` is the list."""

from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import exited, reached
from rcdbg.trace.patterns import (
    console,
    event,
    frame_alloc,
    frame_free,
    hit,
    mapped,
    pattern,
    satp,
    sbi,
    sleep,
    switch,
    syscall,
    syscall_end,
    thread_add,
    thread_exit,
    timer_set,
    trap_enter,
    trap_leave,
    unmapped,
    wake,
)
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.story.invariants import (
    invariant,
    no_frame_has_two_owners,
    parked_threads_can_go_on,
    threads_are_consistent,
)
from rcdbg.trace.story.story import Story, StoryError

__all__ = [
    "BootKernel",
    "Story",
    "StoryError",
    "TraceEvent",
    "console",
    "event",
    "exited",
    "frame_alloc",
    "frame_free",
    "hit",
    "invariant",
    "mapped",
    "no_frame_has_two_owners",
    "parked_threads_can_go_on",
    "pattern",
    "reached",
    "satp",
    "sbi",
    "sleep",
    "switch",
    "syscall",
    "syscall_end",
    "thread_add",
    "thread_exit",
    "threads_are_consistent",
    "timer_set",
    "trap_enter",
    "trap_leave",
    "unmapped",
    "wake",
]
