"""What a description of a kernel may say: for each concept, what a kernel calls it and where.

All of it is names and paths; nothing is read here. Whatever a description leaves empty, its kernel
does not have, or nobody has said yet: decoders say so in words. Each entry may have alternatives,
and the first that the kernel has counts.
"""

from dataclasses import dataclass

from rcdbg.kernels.entries import NO_KEYS, NO_PATHS, NO_ROOTS
from rcdbg.kernels.entries import NO_NAMES as NO_NAMES
from rcdbg.kernels.entries import Keys as Keys
from rcdbg.kernels.entries import Names as Names
from rcdbg.kernels.entries import Paths as Paths
from rcdbg.kernels.entries import Roots as Roots
from rcdbg.kernels.frames import (
    NO_FRAMES,
    NO_FRAMETRACKER,
    NO_HEAP,
    FramesConcept,
    FrameTrackerConcept,
    HeapConcept,
)
from rcdbg.kernels.synchronisation import NO_LOCKS, NO_WAITING, LocksConcept, WaitingConcept
from rcdbg.kernels.user_code import NO_PORTAL, NO_SYSCALLS, PortalConcept, SyscallsConcept


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a kernel belongs to a family."""

    keys: Names = NO_NAMES
    """Entries of the description, as `concept.key`, that few other kernels have."""
    enough: int = 1
    """How many of them have to be found."""


@dataclass(frozen=True, slots=True)
class ContextConcept:
    """Registers of interrupted code, saved by a trap's entry: a trap frame."""

    type: Names = NO_NAMES
    registers: Paths = NO_PATHS
    """The general registers: 32 words from x0 on, or 31 from x1 on, or the field of x1."""
    sstatus: Paths = NO_PATHS
    sepc: Paths = NO_PATHS
    kernel_sp: Paths = NO_PATHS
    """The end of the stack that its thread handles traps on."""
    outer_sp: Paths = NO_PATHS
    """Where the code that runs the user code has saved its own registers meanwhile: x0 to x31."""


@dataclass(frozen=True, slots=True)
class SwitchConcept:
    """Registers of kernel code that gave the hart away in a function call."""

    type: Names = NO_NAMES
    ra: Paths = NO_PATHS
    sp: Paths = NO_PATHS
    saved: Paths = NO_PATHS
    """s0 to s11, as an array, or the field of s0."""


@dataclass(frozen=True, slots=True)
class TrapConcept:
    """The way into a trap and out of it, as symbols."""

    entry: Names = NO_NAMES
    """The first instruction: what stvec names."""
    handler: Names = NO_NAMES
    """The function that the entry calls once the registers are saved."""
    exit: Names = NO_NAMES
    """Where the registers are restored, up to sret."""
    runs_at: Names = NO_NAMES
    """The address, in hex, of the page of the entry and the exit in every table, where that is
    another one than it is linked at."""
    resumes: Names = NO_NAMES
    """Where no function is the handler: one, and the one that it calls to run user code, which a
    trap makes return; then the next two, for kernels without these."""


@dataclass(frozen=True, slots=True)
class KernelStackConcept:
    """The stack on which traps are handled, where there is one for all."""

    type: Names = NO_NAMES
    """A static holds it."""
    at: Roots = NO_ROOTS
    """Where it is, if its type does not tell."""


@dataclass(frozen=True, slots=True)
class ProcessorConcept:
    """Who runs, who is ready, who sleeps."""

    type: Names = NO_NAMES
    """A static holds one."""
    at: Roots = NO_ROOTS
    """Where it is, if its type does not tell; one for each hart, by its number."""
    current: Paths = NO_PATHS
    """The running thread, or none, or its place in the list of threads."""
    is_address: bool = False
    """Whether that is the address of what an Arc of a thread counts, as a number."""
    ready: Paths = NO_PATHS
    """What holds the ready threads: a collection, or a scheduler with collections inside."""
    sleeping: Paths = NO_PATHS
    """The collection of the sleeping threads."""


@dataclass(frozen=True, slots=True)
class QueueConcept:
    """The ready threads; without any of this an entry is a thread, and the next one is first."""

    at: Roots = NO_ROOTS
    """What holds them, where that is no part of the processor."""
    thread: Paths = NO_PATHS
    """The thread, if it is not the entry or one of its fields."""
    is_ready: Paths = NO_PATHS
    """Whether the thread is really ready: some schedulers keep the others too."""
    order: Keys = NO_KEYS
    """What the threads are taken in the order of, the lowest first; else they are in order."""
    priority: Paths = NO_PATHS
    unordered: Paths = NO_PATHS
    """Parts of an entry or a thread that show that they are taken in an order not known here;
    the running one may stay among them."""
    head_runs: bool = False
    """Whether, where nothing else tells, the first of the list runs, and the others after it."""
    others_sleep: bool = False
    """Whether threads without a state that neither run nor are in it sleep."""
    round_robin: bool = False
    """Whether, where nothing holds them, they run in the order of the list, from the running one
    on."""


@dataclass(frozen=True, slots=True)
class IdleConcept:
    """The thread that runs when no other can."""

    at: Roots = NO_ROOTS
    """The static that holds it."""
    is_lone: bool = False
    """Whether it is what a static holds that has just one Arc of a thread in it."""
    word: Names = NO_NAMES
    """Of several such statics the one with this in its name."""


@dataclass(frozen=True, slots=True)
class StatesConcept:
    """Variants of a thread's state, by what they mean."""

    type: Names = NO_NAMES
    """The enum whose variant a state is by its number, where the state is only that."""
    running: Names = NO_NAMES
    ready: Names = NO_NAMES
    sleeping: Names = NO_NAMES
    dead: Names = NO_NAMES
    unused: Names = NO_NAMES
    """No thread at all: an empty place in a table."""


@dataclass(frozen=True, slots=True)
class ThreadConcept:
    """A thread (a task)."""

    type: Names = NO_NAMES
    list: Roots = NO_ROOTS
    """All threads, or places for them; else they are found through the processor."""
    id: Paths = NO_PATHS
    reached: bool = False
    """Whether nothing lists them: then those count that statics lead to, through wakers too."""
    made: Roots = NO_ROOTS
    """The id that the next one will have, the first one's being 1: how many were ever made."""
    count: Roots = NO_ROOTS
    """How many of them count, the first ones, where the list has room for more."""
    by_id: bool = False
    """Whether others mean it by its id, and not by its place in the list."""
    satp: Paths = NO_PATHS
    """A value for satp: its process is the one with that table, where it does not tell."""
    name: Paths = NO_PATHS
    state: Paths = NO_PATHS
    """An enum; see `states`."""
    sleeping: Paths = NO_PATHS
    """A bool, where there is no such enum; so is the next one."""
    dead: Paths = NO_PATHS
    alive: Paths = NO_PATHS
    """What it has until it ends: then this is None, and its state may still be an old one."""
    guarded: Paths = NO_PATHS
    """What has the lock around that of a thread which changes."""
    stack_start: Paths = NO_PATHS
    """Its lowest address."""
    stack_end: Paths = NO_PATHS
    """The address behind its highest one."""
    process: Paths = NO_PATHS
    """A pointer to it."""
    context: Paths = NO_PATHS
    """The saved Context while it waits, or none, or a pointer to one."""
    context_ppn: Paths = NO_PATHS
    """The frame that starts with its Context, in kernels where that is mapped for the user."""
    switch: Paths = NO_PATHS
    """The registers at its last switch, in kernels where the kernel's code switches."""
    kernel_stack: Paths = NO_PATHS
    """The lowest address of the stack that it handles traps on, or an array that is this stack."""
    kernel_stack_size: Paths = NO_PATHS
    """Its size in bytes, where nothing else tells its end."""
    user_stack: Paths = NO_PATHS
    """The same of its user code's stack."""
    user_stack_end: Paths = NO_PATHS
    """Where that stack ends, if only that is known: it is the area which ends there."""
    exit_code: Paths = NO_PATHS
    """Its exit code, once it is dead."""
    channel: Paths = NO_PATHS
    """The address of what it sleeps for, or 0."""


@dataclass(frozen=True, slots=True)
class ProcessConcept:
    """A process: an address space that threads share."""

    type: Names = NO_NAMES
    list: Roots = NO_ROOTS
    """All processes, or those that the others are `children` of; else they are found through
    statics of this type, and through threads."""
    id: Paths = NO_PATHS
    name: Paths = NO_PATHS
    is_user: Paths = NO_PATHS
    """Whether its threads run in U-mode."""
    all_user: bool = False
    """Whether those of every process do."""
    space: Paths = NO_PATHS
    """Its address space; else the struct of that type in it."""
    threads: Paths = NO_PATHS
    """Its threads, as `inner.tasks[*]`."""
    children: Paths = NO_PATHS
    parent: Paths = NO_PATHS
    """Its parent, or a pointer to it, or none."""
    relations: Roots = NO_ROOTS
    """A map from ids to relations, which have `parent`, `children` and `dead` then, as ids."""
    dead: Paths = NO_PATHS
    """Pairs of id and exit code of children of which nothing else is left, in a relation."""
    zombie: Paths = NO_PATHS
    """A bool: whether it has exited; else its threads' state says so."""
    exit_code: Paths = NO_PATHS


@dataclass(frozen=True, slots=True)
class AddressSpaceConcept:
    """An address space as the kernel's books have it."""

    type: Names = NO_NAMES
    list: Roots = NO_ROOTS
    """Address spaces that belong to no process, such as the kernel's own."""
    root_ppn: Paths = NO_PATHS
    """The root table's frame number; one of this and the next two."""
    root_address: Paths = NO_PATHS
    """A pointer to the root table, or its physical address."""
    root_satp: Paths = NO_PATHS
    """A value for satp."""
    areas: Paths = NO_PATHS
    """The collection of its areas."""
    owned: Paths = NO_PATHS
    """The collection of (page, frame) that it owns."""
    tables: Paths = NO_PATHS
    """The collection of the frames of its page tables."""


@dataclass(frozen=True, slots=True)
class AreaConcept:
    """A stretch of an address space with one set of rights."""

    type: Names = NO_NAMES
    """What it is called, where that is to tell families apart; decoders take whatever `areas`
    holds."""
    start: Paths = NO_PATHS
    """The first address or page number, by its type; see `Units`."""
    end: Paths = NO_PATHS
    """The first one behind."""
    rights: Paths = NO_PATHS
    """The bits that its PTEs have."""
    kind: Paths = NO_PATHS
    """How it is mapped: an enum."""
    owned: Paths = NO_PATHS
    """Its own (page, frame), where the address space has none."""
    linear: Names = NO_NAMES
    """Variants of `kind`: the kernel's offset between virtual and physical addresses."""
    identical: Names = NO_NAMES
    """Variants of `kind`: physical addresses are the virtual ones."""
    framed: Names = NO_NAMES
    """Variants of `kind`: each page has a frame of its own."""


@dataclass(frozen=True, slots=True)
class UnitsConcept:
    """Types of numbers that mean something."""

    addresses: Names = NO_NAMES
    """Addresses, virtual or physical."""
    physical: Names = NO_NAMES
    """Those of the addresses that are physical."""
    pages: Names = NO_NAMES
    """Page numbers or frame numbers."""
    flags: Names = NO_NAMES
    """The lowest bits of a PTE."""
    entries: Names = NO_NAMES
    """PTEs."""


RUSTS_PANIC = Names(("rust_begin_unwind",))
"""What `#[panic_handler]` is called in every Rust kernel."""


@dataclass(frozen=True, slots=True)
class CallsConcept:
    """Functions at whose entry something happens, as `Type::function` or `Trait::function`."""

    thread_ready: Names = NO_NAMES
    thread_wake: Names = NO_NAMES
    thread_sleep: Names = NO_NAMES
    thread_kill: Names = NO_NAMES
    thread_exit: Names = NO_NAMES
    """A symbol: where a thread's own function returns to."""
    frame_alloc: Names = NO_NAMES
    """The first whose result comes back in registers. A function of another type than that of
    `frames` deals in indices, counted from `frames.start`."""
    frame_dealloc: Names = NO_NAMES
    map_page: Names = NO_NAMES
    unmap_pages: Names = NO_NAMES
    panic: Names = NO_NAMES
    """A symbol: what is called to give up, where that is not RUSTS_PANIC."""


@dataclass(frozen=True, slots=True)
class ClockConcept:
    """The kernel's own idea of time."""

    ticks: Roots = NO_ROOTS
    """How many timer interrupts there were."""


@dataclass(frozen=True, slots=True)
class Description:
    """All that is known about the names of one family of kernels."""

    family: str = "unknown"
    title: str = "no family that rcdbg knows"
    evidence: Evidence = Evidence()
    context: ContextConcept = ContextConcept()
    switch: SwitchConcept = SwitchConcept()
    trap: TrapConcept = TrapConcept()
    portal: PortalConcept = NO_PORTAL
    kernel_stack: KernelStackConcept = KernelStackConcept()
    processor: ProcessorConcept = ProcessorConcept()
    queue: QueueConcept = QueueConcept()
    idle: IdleConcept = IdleConcept()
    thread: ThreadConcept = ThreadConcept()
    states: StatesConcept = StatesConcept()
    process: ProcessConcept = ProcessConcept()
    address_space: AddressSpaceConcept = AddressSpaceConcept()
    area: AreaConcept = AreaConcept()
    units: UnitsConcept = UnitsConcept()
    frames: FramesConcept = NO_FRAMES
    frame_tracker: FrameTrackerConcept = NO_FRAMETRACKER
    heap: HeapConcept = NO_HEAP
    calls: CallsConcept = CallsConcept()
    syscalls: SyscallsConcept = NO_SYSCALLS
    waiting: WaitingConcept = NO_WAITING
    locks: LocksConcept = NO_LOCKS
    clock: ClockConcept = ClockConcept()

    @property
    def lists_threads(self) -> bool:
        """Whether it says where all threads are listed."""
        return bool(self.thread.list or self.thread.reached or self.process.threads)


UNKNOWN = Description()
"""Of a kernel about which nothing is known: registers, CSRs, page tables and symbols still work."""
