"""What a description says of things that threads wait for."""

from dataclasses import dataclass

from rcdbg.kernels.entries import NO_KEYS, NO_NAMES, NO_PATHS, NO_ROOTS, Keys, Names, Paths, Roots


@dataclass(frozen=True, slots=True)
class WaitingConcept:
    """Who waits for what: the queues of semaphores, mutexes, condition variables, timers."""

    type: Names = NO_NAMES
    """What has such a queue; those that statics hold count, and those of the next two."""
    objects: Keys = NO_KEYS
    """Where a process has such things, all of these together: `inner.mutex_list[*]`."""
    at: Roots = NO_ROOTS
    """Where statics lead to such things, all of these together."""
    queue: Paths = NO_PATHS
    """From such a thing: the collection of those that wait for it, as threads or their ids."""
    timers: Roots = NO_ROOTS
    """What waits for a time, each with the next two."""
    sleeper: Paths = NO_PATHS
    """The thread, or its id."""
    until: Paths = NO_PATHS
    """The time, in the kernel's own unit."""


NO_WAITING = WaitingConcept()


@dataclass(frozen=True, slots=True)
class LocksConcept:
    """Locks of the kernel's own make; those of Rust's library and of crates are known by theirs."""

    type: Names = NO_NAMES
    flag: Paths = NO_PATHS
    """Not 0 while it is taken."""
    hart: Paths = NO_PATHS
    """A pointer to what stands for the hart that has it."""
    process: Paths = NO_PATHS
    """The id of the process that has it."""
    thread: Paths = NO_PATHS
    """The id of the thread that has it."""


NO_LOCKS = LocksConcept()
