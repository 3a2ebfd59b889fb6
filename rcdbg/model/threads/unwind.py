"""Call stacks by call frame information: of the hart, through trap frames, and of parked threads.

Nothing here writes a register or needs gdb, so a snapshot unwinds like a live machine. Whatever the
stack holds, the result is what could be followed, and a note or a Problem that says how it ended.
"""

from dataclasses import dataclass, replace

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.dwarf.cfi import CSR_COLUMN, CallFrame
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import kernel_memory
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Backtrace, Context, Place, Problem, StackFrame, SwitchFrame
from rcdbg.model.threads.context import as_trapped, context_at, decode_context, offset_of_sepc
from rcdbg.model.threads.listed import running_task
from rcdbg.model.threads.task import context_value
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import paging, prologue, pte
from rcdbg.riscv.registers import MASK64, unsigned

MAX_FRAMES = 4096
"""Stack frames that are followed: a runaway recursion fills a usual stack with fewer."""
FIRST_FRAMES = 256
"""Stack frames that are followed for a look at every stop: whoever wants more begins anew."""

_RA, _SP = 1, 2
_S0, _S1, _S2_ON = 8, 9, range(18, 28)
_USERS = "the code of U-mode is not the kernel's: not followed"
_MACHINE_MODE = 3
_MAX_CODE = 1 << 16
_CSRS = {"sscratch": 0x140, "sepc": 0x141, "sstatus": 0x100, "stval": 0x143, "scause": 0x142}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Registers at one place of a call stack, by DWARF number; what is not known is missing."""

    pc: int
    registers: dict[int, int]
    is_exact: bool
    """Whether `pc` is an instruction still to be executed, not one behind a call."""

    @property
    def lookup(self) -> int:
        """The address to look things up by: a call may be the last instruction of its function."""
        return self.pc if self.is_exact else (self.pc - 1) & MASK64

    @property
    def sp(self) -> int | None:
        """The stack pointer, if it is known."""
        return self.registers.get(_SP)


class _EndError(Exception):
    """The stack cannot be followed any further; `problem` unless that is as it should be."""

    def __init__(self, note: str, problem: str = "") -> None:
        super().__init__(note)
        self.note, self.problem = note, problem


def backtrace_now(kernel: Kernel, most: int = MAX_FRAMES) -> Backtrace:
    """The call stack of the hart, the innermost first, through traps; never fails.

    At most `most` stack frames are followed.
    """
    if most <= FIRST_FRAMES:
        return _backtrace_now(kernel, most)
    found = _backtrace_now(kernel, FIRST_FRAMES)
    return found if len(found.frames) < FIRST_FRAMES else _backtrace_now(kernel, most)


@once_a_moment
def _backtrace_now(kernel: Kernel, most: int) -> Backtrace:
    if kernel.registers.privilege == _MACHINE_MODE:
        here = StackFrame(kernel.place(unsigned(kernel.registers.pc)), None, None)
        return Backtrace((here,), "the firmware runs, not the kernel: its stack is not followed")
    registers = {number: unsigned(value) for number, value in enumerate(kernel.registers.x)}
    for name, number in _CSRS.items():
        value = kernel.csr(name)
        if value is not None:
            registers[CSR_COLUMN + number] = value
    cursor = Cursor(unsigned(kernel.registers.pc), registers, True)
    return _unwind(kernel, cursor, most, user_context(kernel))


def user_context(kernel: Kernel) -> Context | None:
    """The registers of the user code of the thread that runs, where they are not on its stack."""
    try:
        task = running_task(kernel)
        value = None if task is None else context_value(kernel, task)
        return None if value is None else as_trapped(kernel, decode_context(kernel, value))
    except DecodeError:
        return None


def backtrace_of_switch(kernel: Kernel, switch: SwitchFrame, user: Context | None) -> Backtrace:
    """The call stack of kernel code that gave the hart away in a call; never fails.

    `user` are the registers of the user code below it, where they are not on its stack. A thread
    that has not run yet starts at a function's first instruction.
    """
    kernel = replace(kernel, memory=kernel_memory(kernel))
    start = switch.ra
    saved = dict(zip((_S0, _S1, *_S2_ON), switch.saved, strict=False))
    if start.symbol is not None and not start.offset:
        frames = [StackFrame(start, None, switch.sp)]
        if user is None:
            return Backtrace(tuple(frames), "it has not run yet: it starts here")
        frames += _into_user_code(kernel, user, None)
        return Backtrace(tuple(frames), f"it has not run yet; {_USERS}")
    registers = {_RA: start.address, _SP: switch.sp, **saved}
    return _unwind(kernel, Cursor(start.address, registers, False), MAX_FRAMES, user)


def _into_user_code(kernel: Kernel, user: Context, sp: int | None) -> list[StackFrame]:
    """The trap's entry, and the user code that trapped, below the handler."""
    found = first_symbol(kernel.image, kernel.description.trap.entry)
    place = (
        Place(0, "a trap") if found is None else replace(kernel.place(found[1]), symbol=found[0])
    )
    trap = StackFrame(place, None, sp, True, user.address)
    return [trap, StackFrame(user.sepc, None, user.x[_SP])]


def backtrace_of(kernel: Kernel, context: Context) -> Backtrace:
    """The call stack of code that was interrupted with that Context; never fails."""
    if kernel.description.process.all_user:
        return Backtrace((StackFrame(context.sepc, None, context.x[_SP]),), _USERS)
    cursor = Cursor(context.sepc.address, dict(enumerate(context.x)), True)
    return _unwind(kernel, cursor, MAX_FRAMES)


def _unwind(kernel: Kernel, cursor: Cursor, most: int, user: Context | None = None) -> Backtrace:
    """The call stack from there on; `user` is what the outermost trap interrupted, if known."""
    frames: list[StackFrame] = []
    problems: tuple[Problem, ...] = ()
    thread_exit = kernel.first_symbol(kernel.description.calls.thread_exit)
    note = f"only the first {most} stack frames were followed"
    while len(frames) < most:
        number = len(frames)
        if number and not cursor.is_exact and cursor.pc == thread_exit:
            frames.append(StackFrame(kernel.place(cursor.pc), None, cursor.sp))
            note = "the bottom of a thread: its function returns to there"
            break
        if user is not None and _is_handler(kernel, cursor):
            frames.append(StackFrame(_place(kernel, cursor), None, cursor.sp))
            frames += _into_user_code(kernel, user, cursor.sp)
            note = _USERS
            break
        try:
            frame, cursor = _step(kernel, cursor)
        except _EndError as end:
            frames.append(StackFrame(_place(kernel, cursor), None, cursor.sp))
            note = end.note
            if end.problem:
                problems = (Problem(f"stack frame {number}", end.problem),)
            break
        why = _goes_wrong(frames[-1], frame) if frames else ""
        frames.append(frame)
        if why:
            note = "the stack is broken"
            problems = (Problem(f"stack frame {number}", why),)
            break
    return Backtrace(tuple(frames), note, problems)


def _is_handler(kernel: Kernel, cursor: Cursor) -> bool:
    """Whether the code is that of the trap's handler, which a trap's entry jumps to."""
    symbol = kernel.image.symbols.covering(cursor.lookup)
    return symbol is not None and symbol.address == kernel.first_symbol(
        kernel.description.trap.handler
    )


def _goes_wrong(inner: StackFrame, frame: StackFrame) -> str:
    """Why `frame` cannot have called `inner`, or nothing."""
    if inner.is_trap or frame.is_trap or inner.cfa is None or frame.cfa is None:
        return ""
    if frame.cfa < inner.cfa:
        return f"the caller's frame ends at {frame.cfa:#x}, below that of the called one"
    if frame.cfa == inner.cfa and frame.pc.address == inner.pc.address:
        return "the same stack frame again"
    return ""


def _place(kernel: Kernel, cursor: Cursor) -> Place:
    """Where the code of a stack frame is; the line is that of the call."""
    place = kernel.place(cursor.lookup)
    if cursor.is_exact:
        return place
    return replace(place, address=cursor.pc, offset=place.offset + 1 if place.symbol else 0)


def _step(kernel: Kernel, cursor: Cursor) -> tuple[StackFrame, Cursor]:
    """The stack frame at the cursor, and the caller's place; raises _EndError."""
    rules = _rules(kernel, cursor)
    if rules is None:
        return _step_without(kernel, cursor)
    if rules.cfa_register is None:
        raise _EndError("not followed", "its CFA is a DWARF expression, which rcdbg does not run")
    base = cursor.registers.get(rules.cfa_register)
    if base is None:
        raise _EndError("not followed", f"x{rules.cfa_register} is not known there")
    cfa = (base + rules.cfa_offset) & MASK64
    registers = dict(cursor.registers)
    registers[_SP] = cfa
    for register, rule in rules.rules.items():
        value = _value(kernel, cursor, rule, cfa, register)
        if value is None:
            registers.pop(register, None)
        else:
            registers[register] = value
    pc = registers.pop(rules.return_column, None)
    if rules.return_column == _RA and pc is not None:
        registers[_RA] = pc
    if pc is None:
        raise _EndError("the outermost stack frame: it has no caller")
    if pc == 0:
        raise _EndError("the outermost stack frame: its return address is 0")
    context = _trap_context(kernel, rules, cfa) if rules.is_signal else None
    frame = StackFrame(_place(kernel, cursor), cfa, cursor.sp, rules.is_signal, context)
    return frame, Cursor(pc, registers, rules.is_signal)


def _rules(kernel: Kernel, cursor: Cursor) -> CallFrame | None:
    try:
        return kernel.image.call_frames.at(kernel.linked(cursor.lookup))
    except (DwarfError, ImageError) as error:
        raise _EndError("not followed", str(error)) from error


def _value(
    kernel: Kernel, cursor: Cursor, rule: RegisterRule, cfa: int, register: int
) -> int | None:
    """A register of the caller; None if it is lost."""
    match rule.how:
        case How.SAME:
            return cursor.registers.get(register)
        case How.REGISTER:
            return cursor.registers.get(rule.number)
        case How.CFA_PLUS:
            return (cfa + rule.number) & MASK64
        case How.AT_CFA:
            address = (cfa + rule.number) & MASK64
            try:
                return int.from_bytes(kernel.memory.read(address, 8), "little")
            except MemoryReadError as error:
                raise _EndError("the stack cannot be read", str(error)) from error
        case _:
            return None


def _trap_context(kernel: Kernel, rules: CallFrame, cfa: int) -> int | None:
    """Where a trap's Context lies, once the interrupted pc is saved in it."""
    saved = rules.rules.get(rules.return_column)
    if saved is None or saved.how is not How.AT_CFA:
        return None
    try:
        return (cfa + saved.number - offset_of_sepc(kernel)) & MASK64
    except DecodeError:
        return None


def _step_without(kernel: Kernel, cursor: Cursor) -> tuple[StackFrame, Cursor]:
    """The same where no call frame information covers the code.

    Three places can be passed all the same. A trap entry in assembly calls the handler with sp at
    the Context that it has saved; a function's own first instructions tell what it has saved; and
    code that has just been entered, such as nothing at all behind a wild function pointer, still
    has its caller in ra.
    """
    place, sp = _place(kernel, cursor), cursor.sp
    symbol = kernel.image.symbols.covering(kernel.linked(cursor.lookup))
    if symbol is not None and symbol.name in kernel.description.trap.entry and sp is not None:
        if cursor.is_exact:
            raise _EndError(f"no call frame information for {symbol.name}")
        try:
            context = context_at(kernel, sp)
        except DecodeError as error:
            raise _EndError("the trap's Context cannot be read", error.problem.why) from error
        frame = StackFrame(place, None, sp, True, sp)
        return frame, Cursor(context.sepc.address, dict(enumerate(context.x)), True)
    if symbol is not None and symbol.size and sp is not None:
        found = _by_instructions(kernel, cursor, symbol.address, symbol.size, sp)
        if found is not None:
            return found
    ra = cursor.registers.get(_RA)
    if cursor.is_exact and ra and ra != cursor.pc and _is_code(kernel, ra - 1):
        frame = StackFrame(place, sp, sp, is_guess=True)
        return frame, Cursor(ra, dict(cursor.registers), False)
    if _is_code(kernel, cursor.lookup):
        raise _EndError("no call frame information for the code here")
    if cursor.is_exact and _is_users(kernel, cursor.pc):
        raise _EndError(_USERS)
    raise _EndError("the stack is broken", f"{cursor.pc:#x} is in no code of the kernel")


def _by_instructions(
    kernel: Kernel, cursor: Cursor, start: int, size: int, sp: int
) -> tuple[StackFrame, Cursor] | None:
    """The same by what the function's own instructions do with the stack; None without a caller."""
    code = kernel.image.read(start, min(size, _MAX_CODE))
    opened = None if code is None else prologue.stack_frame(code, cursor.pc - start)
    if opened is None:
        return None
    cfa = (sp + opened.size) & MASK64
    registers = {**cursor.registers, _SP: cfa}
    for register, offset in opened.saved.items():
        value = _value(kernel, cursor, RegisterRule(How.AT_CFA, offset), cfa, register)
        if value is not None:
            registers[register] = value
    pc = registers.get(_RA, 0)
    # Behind a call ra is the call's own: a function that has not saved it is not understood.
    if not _is_code(kernel, pc - 1) or not (cursor.is_exact or _RA in opened.saved):
        return None
    frame = StackFrame(_place(kernel, cursor), cfa, sp, is_guess=True)
    return frame, Cursor(pc, registers, False)


def _is_users(kernel: Kernel, address: int) -> bool:
    """Whether U-mode may execute what is there, by the page table."""
    leaf = paging.walk(kernel.target.read_phys, kernel.memory.satp, address).leaf
    return leaf is not None and leaf.pte.bits & (pte.U | pte.X) == pte.U | pte.X


def _is_code(kernel: Kernel, address: int) -> bool:
    return any("x" in s.flags and 0 <= address - s.address < s.size for s in kernel.image.sections)
