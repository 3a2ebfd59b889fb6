"""Everything that rcdbg knows about a stopped kernel, as plain data.

Addresses are ints; `virtual` unless the name says physical. A frame is a physical page; frame
numbers are physical page numbers (address / 4096). Nothing in here reads memory or prints.
What could not be decoded is None, and a Problem says why; what is "not there yet" is a `note`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from rcdbg.model.syscalls.call import Syscall
from rcdbg.riscv.access import Verdict
from rcdbg.riscv.csr import Csr
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.paging import Walk


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the guest that makes no sense, or cannot be read."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """An address with what is known about it: `symbol` + `offset` bytes, and the source line."""

    address: int
    symbol: str | None = None
    offset: int = 0
    file: str | None = None
    line: int | None = None
    program: str | None = None
    """The program in U-mode whose code this is; None for the kernel's, and if it is not known."""


@dataclass(frozen=True, slots=True)
class Context:
    """A trap Context: the registers of interrupted code, saved in memory (34 words)."""

    address: int
    """Where it lies."""
    x: tuple[int, ...]
    sstatus: Csr | None
    """None in kernels that do not save it."""
    sepc: Place
    ra: Place
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchFrame:
    """Registers of kernel code that gave the hart away in a call, saved in memory."""

    address: int
    """Where it lies."""
    ra: Place
    """Where it goes on."""
    sp: int
    saved: tuple[int, ...]
    """s0 to s11; empty where they are not known."""


@dataclass(frozen=True, slots=True)
class Hart:
    """The registers of the hart as it stands."""

    x: tuple[int, ...]
    pc: Place
    privilege: int | None
    csrs: tuple[Csr, ...]
    """In the order of `SUPERVISOR_CSRS`; a CSR that the target could not give is left out."""
    note: str = ""
    """What mode it is in where that matters: "in M-mode: the firmware runs", ..."""
    pointed: tuple[Place, ...] = ()
    """What stands where the CSRs lead that hold an address, where the kernel has a symbol there."""

    def csr(self, name: str) -> Csr | None:
        """The CSR of that name, or None."""
        return next((c for c in self.csrs if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Trap:
    """The trap that the kernel is handling, or why there is none to show."""

    context: Context | None
    cause: str | None
    """scause in words, while it still belongs to this trap."""
    note: str
    """"handling a trap", "no trap is being handled", "entering a trap: not saved yet", ..."""
    problems: tuple[Problem, ...] = ()
    outer: tuple[Context, ...] = ()
    """The Contexts of the traps that this one interrupted, the innermost first."""
    changed: tuple[int, ...] = ()
    """The registers, by number, that have another value on the hart now than in `context`."""
    syscall: Syscall | None = None
    """What user code asks for by this trap, or with its next instruction."""

    @property
    def depth(self) -> int:
        """How many traps are being handled, one inside the other, as far as Contexts tell."""
        return (self.context is not None) + len(self.outer)


@dataclass(frozen=True, slots=True)
class StackFrame:
    """A call that has not returned yet. `pc` is where it goes on: behind its call, mostly."""

    pc: Place
    cfa: int | None
    """The stack pointer before the call, where the frame ends; None where that is not known."""
    sp: int | None
    is_trap: bool = False
    """Whether this is a trap's entry: what follows is the code that it interrupted."""
    context: int | None = None
    """Where a trap's Context lies."""
    is_guess: bool = False
    """Whether the caller was found by ra or by the function's instructions, for want of better."""
    is_inlined: bool = False
    """Whether this function's code is a part of that of the next stack frame, whose line is that of
    the call. `pc`, `cfa` and `sp` are the same there."""


@dataclass(frozen=True, slots=True)
class Backtrace:
    """A call stack, the innermost stack frame first, and how it ends, in words."""

    frames: tuple[StackFrame, ...]
    note: str
    problems: tuple[Problem, ...] = ()


class MappedRange(NamedTuple):
    """Virtual memory with the same rights that is mapped without a gap on both sides.

    A tuple, since a table of scattered frames has as many of them as pages. `accessed` and `dirty`
    count the pages whose A and D bits are set.
    """

    va: int
    pa: int
    pages: int
    page_size: int
    rights: str
    """"rwxug" of the PTEs, `-` where clear."""
    accessed: int
    dirty: int
    section: str | None = None
    """The kernel's section(s) or the purpose of this memory, where known."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.pages * self.page_size


@dataclass(frozen=True, slots=True)
class PageTable:
    """A whole page table as merged ranges, ascending by virtual address."""

    mode: str
    """"bare", "Sv39", or what else satp names."""
    root_ppn: int
    ranges: tuple[MappedRange, ...]
    note: str = ""
    problems: tuple[Problem, ...] = ()
    origin: str = ""
    """Whose table it is and what of it is listed, where that is not all of the one in satp."""
    complete: bool = True
    """False if a limit cut the listing off: before the table's end, or after too many ranges."""
    left_out: tuple[int, int] = (0, 0)
    """Of the ranges that would be too many: how many, and their bytes."""
    walked: bool = True
    """Whether the whole table was looked at: else the counts, too, are of a part of it."""


@dataclass(frozen=True, slots=True)
class Translation:
    """One address walked through a page table, with the bytes that stand there."""

    walk: Walk
    mode: str
    root_ppn: int
    place: Place
    content: bytes | None
    """The first bytes at the physical address, or None where there is no RAM."""
    note: str = ""
    verdicts: tuple[Verdict, ...] = ()
    """Read, write and fetch from S and from U."""
    sum: bool | None = None
    """sstatus.SUM, which the verdicts depend on; None where the target does not give it."""
    mxr: bool | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Frames start..end, end exclusive, by frame number."""

    start: int
    end: int

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class FrameAllocator:
    """The physical frames that the kernel hands out."""

    kind: str
    """The allocator's type, e.g. StackedAllocator."""
    managed: Interval | None
    free: tuple[Interval, ...]
    """Maximal free intervals, ascending."""
    locked: bool | None
    note: str = ""
    problems: tuple[Problem, ...] = ()
    is_known: bool = True
    """Whether the free frames could be read: else `free` says nothing."""

    @property
    def total(self) -> int | None:
        """Frames managed."""
        return self.managed.frames if self.managed else None

    @property
    def free_frames(self) -> int:
        """Frames free."""
        return sum(i.frames for i in self.free)

    @property
    def used(self) -> int | None:
        """Frames handed out."""
        if self.managed is None or not self.is_known:
            return None
        return self.managed.frames - self.free_frames


@dataclass(frozen=True, slots=True)
class Stack:
    """A thread's stack, lowest address first, end exclusive."""

    start: int
    end: int
    guarded: bool | None = None
    """Whether nothing may be used right below it: a guard page. None where that is not known."""

    def __contains__(self, address: int) -> bool:
        # A full descending stack starts with sp at its end.
        return self.start <= address <= self.end


@dataclass(frozen=True, slots=True)
class Wait:
    """What a thread waits for."""

    kind: str
    """In the kernel's own words: the type of what has the thread in its queue, `chan`, ..."""
    what: str
    """Which one, by the way to it; "" where that is not known."""
    address: int | None
    until: int | None = None
    """When it ends, in the kernel's own unit of time."""
    unit: str = ""
    """What the kernel calls that time, where that has a name."""


ALL_UNKNOWN = frozenset({"current", "ready", "sleeping"})
"""Of a Processor about which nothing is known."""

ThreadStatus = Literal["running", "ready", "sleeping", "dead", "idle", "unknown"]


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the kernel."""

    address: int
    """Of the Thread struct."""
    id: int | None
    status: ThreadStatus
    position: int | None
    """Place in the ready queue, 0 runs next; None unless ready."""
    is_user: bool | None
    process: int | None
    """Address of its Process struct."""
    stack: Stack | None
    context: Context | None
    """The parked Context; a running thread has none."""
    sleeping: bool | None
    dead: bool | None
    priority: int | None = None
    locked: bool | None = None
    problems: tuple[Problem, ...] = ()
    is_idle: bool = False
    """Whether it is the thread that runs when no other can; waiting, it is in no queue."""
    stack_deepest: int | None = None
    """Bytes from the stack's end down to the lowest one that is not 0; None unless asked for."""
    process_id: int | None = None
    """The kernel's number of its process, where it has such."""
    name: str = ""
    """What the kernel calls it, or its program."""
    state: str = ""
    """The state in the kernel's own words, where that is an enum."""
    switch: SwitchFrame | None = None
    """The registers at its last switch, in kernels where the kernel's code switches."""
    kernel_stack: Stack | None = None
    """The stack that it handles traps on, in kernels where each thread has its own."""
    user_stack: Stack | None = None
    """That of its user code, in the address space of its process."""
    exit_code: int | None = None
    """Of one that is dead."""
    waits: tuple[Wait, ...] | None = None
    """What it waits for; None where that is not known."""

    @property
    def main_stack(self) -> Stack | None:
        """Its stack; of one with two that of the kernel, or else that of its user code."""
        return self.stack or self.kernel_stack or self.user_stack

    @property
    def main_sp(self) -> int | None:
        """The stack pointer on that stack where it waits, None if it does not."""
        if self.stack is None and self.kernel_stack is not None:
            return None if self.switch is None else self.switch.sp
        return None if self.context is None else self.context.x[2]

    @property
    def stack_used(self) -> int | None:
        """Bytes of that stack in use where it waits, None if it does not, or sp is out."""
        stack, sp = self.main_stack, self.main_sp
        return stack.end - sp if stack is not None and sp is not None and sp in stack else None


@dataclass(frozen=True, slots=True)
class Processor:
    """The threads: the running one, the ready queue in order, the sleeping ones."""

    scheduler: str
    """The scheduler's type, e.g. FifoScheduler."""
    current: Thread | None
    ready: tuple[Thread, ...]
    sleeping: tuple[Thread, ...]
    locked: bool | None
    note: str = ""
    problems: tuple[Problem, ...] = ()
    idle: Thread | None = None
    """The idle thread while it waits in no queue; None while it runs, or without one."""
    others: tuple[Thread, ...] = ()
    """Those that are none of these: that run on other harts, or are dead but not buried."""
    unknown: frozenset[str] = frozenset()
    """Which of `current`, `ready` and `sleeping` could not be found: then they say nothing."""

    @property
    def threads(self) -> tuple[Thread, ...]:
        """All of them, the running one first, each once."""
        every = ((self.current,) if self.current else ()) + self.ready + self.sleeping
        every += (self.idle,) if self.idle else ()
        every += self.others
        return tuple({t.address: t for t in reversed(every)}.values())[::-1]


@dataclass(frozen=True, slots=True)
class KernelState:
    """One moment of the kernel."""

    hart: Hart
    trap: Trap
    page_table: PageTable
    frames: FrameAllocator
    processor: Processor
    problems: tuple[Problem, ...] = ()


__all__ = [
    "ALL_UNKNOWN", "PAGE_SIZE", "Backtrace", "Context", "FrameAllocator", "Hart", "Interval",
    "KernelState", "MappedRange", "PageTable", "Place", "Problem", "Processor", "Stack",
    "StackFrame", "SwitchFrame", "Thread", "ThreadStatus", "Translation", "Trap", "Wait",
]  # fmt: skip
