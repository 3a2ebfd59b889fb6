"""The hart's registers, and the Context of the trap that is being handled."""

from collections.abc import Iterator
from dataclasses import replace

from rcdbg.kernels.description import Names
from rcdbg.model.concepts import held
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import NOT_YET
from rcdbg.model.programs.explained import SPP, explained, is_user_code, place_now, user_side
from rcdbg.model.state import Backtrace, Context, Hart, Place, Problem, Stack, Trap
from rcdbg.model.syscalls.read import syscall_of
from rcdbg.model.threads.context import context_at, context_type
from rcdbg.model.threads.context import decode_context as decode_context
from rcdbg.model.threads.unwind import EBREAK_LENGTHS, FIRST_FRAMES, backtrace_now
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import causes, csr
from rcdbg.riscv.csr import SUPERVISOR_CSRS
from rcdbg.riscv.registers import PRIVILEGES, unsigned

_USER_MODE, _MACHINE_MODE = 0, 3


def read_hart(kernel: Kernel) -> Hart:
    """The registers as they stand; never fails."""
    registers = kernel.registers
    names = (*SUPERVISOR_CSRS, "time")  # the latter only where a target has a way to read it
    csrs = csr.decode_all(
        {name: unsigned(registers.csrs[name]) for name in names if name in registers.csrs}
    )
    note = ""
    if registers.privilege == _MACHINE_MODE:
        note = "in M-mode: the firmware runs, not the kernel"
    elif registers.privilege not in PRIVILEGES and registers.privilege is not None:
        note = f"privilege {registers.privilege} is reserved"
    x = tuple(unsigned(v) for v in registers.x)
    if registers.harts > 1 and registers.hart is not None:
        note = "; ".join(filter(None, (f"hart {registers.hart} of {registers.harts}", note)))
    return Hart(x, place_now(kernel), registers.privilege, csrs, note, tuple(_pointed(kernel)))


def _pointed(kernel: Kernel) -> Iterator[Place]:
    """What the kernel has where its own CSRs lead; sepc and stval are its own after its own traps.

    An address of a program may be one of the kernel's symbols by chance.
    """
    names = ["stvec", "sscratch"]
    if (kernel.csr("sstatus") or 0) & SPP:
        names += ["sepc", "stval"]
    for name in names:
        value = kernel.csr(name)
        # The two low bits of stvec are its mode.
        place = None if not value else kernel.place(value & ~3 if name == "stvec" else value)
        if place is not None and place.symbol is not None:
            yield place


def kernel_stack(kernel: Kernel) -> Stack:
    """The stack on which traps are handled; raises DecodeError if the kernel has no such static."""
    names = kernel.description.kernel_stack
    value = held(kernel, names.type, names.at, "kernel stack").value
    if value is None:
        raise DecodeError(names.type.first or "kernel stack", NOT_YET)
    return Stack(value.address, value.address + value.type.size)


def read_trap(kernel: Kernel) -> Trap:
    """The trap that is being handled, as far as the stack and the registers tell; never fails."""
    if kernel.registers.privilege == _MACHINE_MODE:
        return Trap(None, None, "the firmware runs, not the kernel")
    try:
        found = _read_trap(kernel, backtrace_now(kernel, FIRST_FRAMES))
    except DecodeError as error:
        return Trap(None, None, "not known", (error.problem,))
    found = replace(found, syscall=syscall_of(kernel, found))
    if found.context is None:
        return found
    now = kernel.registers.x
    changed = (i for i, old in enumerate(found.context.x) if unsigned(now[i]) != old)
    return replace(found, changed=tuple(changed))


def trap_depth(kernel: Kernel) -> int | None:
    """How many traps are being entered, handled or left: 0 outside of any; None if not known."""
    if kernel.registers.privilege == _MACHINE_MODE:
        return None
    try:
        traps = sum(frame.is_trap for frame in backtrace_now(kernel, FIRST_FRAMES).frames)
        return traps or int(_at_the_top(kernel) is not None)
    except DecodeError:
        return None


def _traps_for_ever(kernel: Kernel) -> bool:
    """Whether the hart is at the trap vector because that very instruction trapped.

    Its address is then in pc, sepc and stvec. A first trap from there is one from S-mode.
    """
    sepc, stvec = kernel.csr("sepc"), kernel.csr("stvec")
    if sepc is None or stvec is None or not (kernel.csr("sstatus") or 0) & SPP:
        return False
    if causes.is_interrupt(kernel.csr("scause") or 0):
        return False
    return unsigned(kernel.registers.pc) == stvec & ~3 == sepc


def _read_trap(kernel: Kernel, stack: Backtrace) -> Trap:
    cause_csr = kernel.csr("scause")
    cause = None if cause_csr is None else causes.describe(cause_csr)
    if _traps_for_ever(kernel):
        note = "an endless trap loop: the first instruction of the trap's entry traps by itself"
        return Trap(None, cause, note)
    contexts, problems = _contexts(kernel, stack)
    innermost = stack.frames[0] if stack.frames else None
    if kernel.linked(unsigned(kernel.registers.pc)) == kernel.first_symbol(
        kernel.description.trap.entry
    ):
        note = "entering a trap: the registers are not saved yet"
        return Trap(None, cause, note, problems, contexts)
    if innermost is not None and innermost.is_trap and innermost.context is None:
        if _is_in(kernel, kernel.description.trap.exit):
            note = "leaving a trap: all registers are restored, sret is next"
            return Trap(None, None, note, problems, contexts)
        note = "entering a trap: the registers are not all saved yet"
        return Trap(None, cause, note, problems, contexts)
    if not contexts:
        found = _at_the_top(kernel)
        if found is None and _is_in(kernel, kernel.description.trap.exit):
            return Trap(None, None, "leaving a trap", problems)
        if found is None and kernel.description.trap.resumes:
            return _in_the_loop(kernel, cause)
        if found is None:
            return Trap(None, None, "no trap is being handled", problems)
        contexts = (found,)
    context, outer = contexts[0], contexts[1:]
    problems += context.problems
    sepc = kernel.csr("sepc")
    user = _user_context(kernel)
    if user is not None and user.address == context.address:
        # The kernel may have trapped itself meanwhile: then cause and sepc are of that.
        is_its = sepc is None or user.sepc.address - sepc in EBREAK_LENGTHS
        return Trap(user, cause if is_its else None, "handling a trap", problems, outer)
    if sepc is None or context.sepc.address - sepc in EBREAK_LENGTHS:
        note = "handling a trap"
        if outer:
            note += f" that came while handling another: {1 + len(outer)} deep"
        return Trap(context, cause, note, problems, outer)
    note = "leaving a trap: this Context is restored next, not the one that was interrupted"
    return Trap(context, None, note, problems, outer)


def _in_the_loop(kernel: Kernel, cause: str | None) -> Trap:
    """The trap of a kernel whose main loop runs a task and then handles its trap, in one function.

    Whether the one that runs has trapped or is about to go on, sepc tells.
    """
    user, sepc = _user_context(kernel), kernel.csr("sepc")
    if kernel.registers.privilege == _USER_MODE:
        return Trap(None, None, "no trap is being handled")
    if user is None:
        return Trap(None, None, "not known whether a trap is being handled")
    if sepc is None or user.sepc.address - sepc not in EBREAK_LENGTHS:
        return Trap(None, None, "no trap of the thread that runs is being handled")
    return Trap(user, cause, "handling a trap", user.problems)


def _user_context(kernel: Kernel) -> Context | None:
    """The registers of the user code of the thread that runs, where they are not on its stack."""
    side = user_side(kernel)
    return None if side is None else side.context


def _contexts(kernel: Kernel, stack: Backtrace) -> tuple[tuple[Context, ...], tuple[Problem, ...]]:
    """The Contexts of the traps on a call stack, the innermost first."""
    found: list[Context] = []
    problems: list[Problem] = []
    for frame in stack.frames:
        if frame.context is None:
            continue
        try:
            found.append(_in_its_program(kernel, context_at(kernel, frame.context, "trap Context")))
        except DecodeError as error:
            problems.append(error.problem)
    return tuple(found), tuple(problems)


def _in_its_program(kernel: Kernel, context: Context) -> Context:
    """A Context on the kernel's stack, of user code with its program's symbols."""
    if is_user_code(kernel, context, kernel.memory.satp):
        return explained(kernel, kernel.memory.satp, context)
    return context


def _at_the_top(kernel: Kernel) -> Context | None:
    """The Context at the top of the kernel stack, if the hart is on that stack.

    For kernels without call frame information, and for broken stacks.
    """
    names = kernel.description.kernel_stack
    if not names.type and not names.at:
        return None  # each thread has its own
    stack = kernel_stack(kernel)
    address = stack.end - kernel.image.types.type(context_type(kernel)).size
    if not stack.start <= unsigned(kernel.registers.sp) <= address:
        return None
    return _in_its_program(kernel, context_at(kernel, address, "trap Context"))


def _is_in(kernel: Kernel, names: Names) -> bool:
    symbol = kernel.image.symbols.covering(kernel.linked(unsigned(kernel.registers.pc)))
    return symbol is not None and symbol.name in names
