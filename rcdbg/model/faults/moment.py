"""The trap that the CSRs tell of, with the registers and the address space of the code it stopped.

Privileged spec sections 4.1.7 (sepc), 4.1.8 (scause), 4.1.9 (stval): a trap writes all three, and
until the next one, or until the kernel returns from it, they are of it.
"""

from dataclasses import dataclass

from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.code import is_users, user_place
from rcdbg.model.programs.explained import SPP, UserSide, user_side
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Context, Place, StackFrame, Trap
from rcdbg.model.threads.trap import read_trap
from rcdbg.model.threads.unwind import EBREAK_LENGTHS, FIRST_FRAMES, backtrace_now
from rcdbg.riscv import causes
from rcdbg.riscv.access import Access, Privilege
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import unsigned

ACCESSES: dict[int, Access] = {
    0: "fetch", 1: "fetch", 12: "fetch",
    4: "read", 5: "read", 13: "read",
    6: "write", 7: "write", 15: "write",
}  # fmt: skip
"""By cause, what the instruction wanted of memory; an atomic one that fails to read says write."""
PAGE_FAULTS = (12, 13, 15)
NO_TRAP = "no trap has been taken yet"
OVER = "no trap is being handled: this is the last one that was"
_USER, _SUPERVISOR, _MACHINE = 0, 1, 3
_VECTOR = ~3


@dataclass(frozen=True, slots=True)
class FaultMoment:
    """A trap, as the hart reported it."""

    scause: int
    stval: int
    sepc: Place
    privilege: Privilege | None
    """Of the code that trapped; None where that is not known."""
    x: tuple[int, ...] | None
    """Its registers x0 to x31; None where they are not known."""
    sstatus: int | None
    """As it was then, as far as SUM and MXR go."""
    satp: Satp
    """The address space that it ran in."""
    is_now: bool
    """Whether it is being handled; else it is over."""
    note: str = ""

    @property
    def cause(self) -> str:
        """In words."""
        return causes.describe(self.scause)

    @property
    def code(self) -> int | None:
        """The number of the exception; None of an interrupt."""
        return None if causes.is_interrupt(self.scause) else causes.code(self.scause)

    @property
    def access(self) -> Access | None:
        """What it wanted of memory; None where the cause is no fault of memory."""
        return None if self.code is None else ACCESSES.get(self.code)


@once_a_moment
def fault_moment(kernel: Kernel) -> FaultMoment | None:
    """The trap that is being handled or, without one, the last one; None if there was none."""
    scause, stval, sepc = (kernel.csr(name) for name in ("scause", "stval", "sepc"))
    if scause is None or stval is None or sepc is None or not scause | stval | sepc:
        return None
    trap = read_trap(kernel)
    context = trap.context if _is_of(trap.context, sepc) and trap.cause is not None else None
    is_now = context is not None or _is_handling(kernel, trap)
    sstatus = kernel.csr("sstatus")
    side = user_side(kernel)
    if side is not None and not _is_of(side.context, sepc):
        side = None
    if context is not None and context.sstatus is not None:
        sstatus = context.sstatus.value
    privilege = _privilege(kernel, sstatus if is_now or context else None, side, sepc)
    satp = side.satp if side is not None and privilege == "U" else kernel.memory.satp
    note = "" if is_now else OVER
    if context is None and side is not None and privilege == "U":
        context = side.context
    x = None if context is None else context.x
    if x is None and is_now and _is_at_the_start(kernel):
        x = tuple(unsigned(value) for value in kernel.registers.x)
    return FaultMoment(
        scause, stval, _place(kernel, satp, sepc, privilege), privilege, x, sstatus, satp, is_now,
        note,
    )  # fmt: skip


def _is_of(context: Context | None, sepc: int) -> bool:
    """Whether a Context is of the trap that sepc tells of."""
    return context is not None and context.sepc.address - sepc in EBREAK_LENGTHS


def _place(kernel: Kernel, satp: Satp, address: int, privilege: Privilege | None) -> Place:
    if privilege == "U":
        return user_place(kernel, satp, address)
    return kernel.place(address)


def vector_of(kernel: Kernel) -> int | None:
    """Where stvec leads, without the two bits of its mode; None where the target does not say."""
    stvec = kernel.csr("stvec")
    return None if stvec is None else stvec & _VECTOR


def _is_at_the_start(kernel: Kernel) -> bool:
    """Whether the hart is at the first instruction that a trap leads to: no register is changed."""
    return unsigned(kernel.registers.pc) == vector_of(kernel)


def _is_handling(kernel: Kernel, trap: Trap) -> bool:
    """Whether the hart is in the code that a trap led to, though no Context of it is known."""
    if kernel.registers.privilege not in (_SUPERVISOR, None):
        return False
    if trap.cause is not None or _is_at_the_start(kernel):
        return True
    vector = vector_of(kernel)
    entry = None if vector is None else kernel.image.symbols.covering(kernel.linked(vector))
    if entry is None:
        return False
    frames: tuple[StackFrame, ...] = backtrace_now(kernel, FIRST_FRAMES).frames
    for frame in frames:
        if frame.pc.symbol is None or frame.is_trap:
            continue
        found = kernel.image.symbols.covering(kernel.linked(frame.pc.address - 1))
        if found is not None and found.address == entry.address:
            # A function that stvec names itself: it is called by traps only.
            return not trap.note.startswith("leaving")
    return False


def _privilege(
    kernel: Kernel, sstatus: int | None, side: UserSide | None, sepc: int
) -> Privilege | None:
    """From where the trap came: SPP says so until the kernel returns; or else the page table."""
    if sstatus is not None:
        return "S" if sstatus & SPP else "U"
    if side is not None:
        return "U"
    if is_users(kernel, kernel.memory.satp, sepc):
        return "U"
    return "S" if kernel.image.symbols.at(kernel.linked(sepc)) is not None else None
