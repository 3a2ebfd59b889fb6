"""What a description says of who gives out memory: the allocator of frames, and the heap."""

from dataclasses import dataclass

from rcdbg.kernels.entries import NO_NAMES, NO_PATHS, NO_ROOTS, Names, Paths, Roots


@dataclass(frozen=True, slots=True)
class FramesConcept:
    """The allocator of frames, and its books in one of several shapes."""

    type: Names = NO_NAMES
    """A static holds one."""
    at: Roots = NO_ROOTS
    """Where it is, if its type does not tell."""
    start: Paths = NO_PATHS
    """The first frame that it manages; what the books say is counted from there."""
    after: Names = NO_NAMES
    """A symbol: the first frame is the one behind it, where the allocator does not keep that."""
    total: Paths = NO_PATHS
    """How many frames it manages."""
    books: Paths = NO_PATHS
    """A struct with a list of free intervals (start, end), or with a set of bits, 1 is taken."""
    first_bit: Paths = NO_PATHS
    """The bit of the first frame, if that is not 0."""
    next: Paths = NO_PATHS
    """The first frame that was never handed out, in a stack; so are the next two."""
    end: Paths = NO_PATHS
    recycled: Paths = NO_PATHS
    """The collection of those that came back."""
    chain: Paths = NO_PATHS
    """The first free frame, or none, in a chain through the free frames themselves."""
    link: Paths = NO_PATHS
    """From a free frame to the next one."""
    to_map_end: bool = False
    """Whether they reach as far as the kernel's table maps them without a gap."""


@dataclass(frozen=True, slots=True)
class FrameTrackerConcept:
    """What owns a frame: dropped, it gives the frame back."""

    type: Names = NO_NAMES


@dataclass(frozen=True, slots=True)
class HeapConcept:
    """The kernel's heap."""

    type: Names = NO_NAMES
    """A static holds one."""
    total: Paths = NO_PATHS
    """Bytes that were given to it, by its own count, where its lists are not read; so is the
    next."""
    free: Paths = NO_PATHS
    used: Paths = NO_PATHS
    """The same of the bytes that are taken."""


NO_FRAMES, NO_FRAMETRACKER, NO_HEAP = FramesConcept(), FrameTrackerConcept(), HeapConcept()

HEAPS = Names(("Heap", "Talc", "BuddyAllocator"))
"""What the heaps of the usual crates are called, where a kernel has none of its family's."""
