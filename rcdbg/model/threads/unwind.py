"""Call stacks by call frame information: of the hart, through trap frames, and of parked threads.

Nothing here writes a register or needs gdb, so a snapshot unwinds like a live machine. Whatever the
stack holds, the result is what could be followed, and a note or a Problem that says how it ended.
"""

from dataclasses import replace

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.dwarf.cfi import CSR_COLUMN, CallFrame
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import kernel_memory
from rcdbg.model.programs.code import is_users
from rcdbg.model.programs.explained import SPP, USER, UserSide, is_user_code, user_side
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Backtrace, Context, Place, Problem, StackFrame, SwitchFrame
from rcdbg.model.threads.context import context_at, offset_of_sepc
from rcdbg.model.unwinding.cursor import RA, SP, Cursor, EndError, by_rules, callers, word_at
from rcdbg.model.unwinding.unreturned import caller_of
from rcdbg.model.unwinding.user_stack import stack_of_context, user_stack
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import prologue
from rcdbg.riscv.calls import restored_ra
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64, unsigned

MAX_FRAMES = 4096
"""Stack frames that are followed: a runaway recursion fills a usual stack with fewer."""
FIRST_FRAMES = 256
"""Stack frames that are followed for a look at every stop: whoever wants more begins anew."""

_S0, _S1, _S2_ON = 8, 9, range(18, 28)
_MACHINE_MODE = 3
_MAX_CODE, _SOME = 1 << 16, 64
EBREAK_LENGTHS = (0, 2, 4)
"""What a handler may have added to sepc: nothing, or the length of the instruction that trapped."""
_RESTORES, _WORD = 8, 8
_SAME_TRAPS = 4
"""Traps in the same instruction of a trap's entry that are shown: there is no end to them."""
_SEPC = 0x141
_CSRS = {"sscratch": 0x140, "sepc": _SEPC, "sstatus": 0x100, "stval": 0x143, "scause": 0x142}


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
    return _unwind(kernel, cursor, most, user_side(kernel))


def backtrace_of_switch(kernel: Kernel, switch: SwitchFrame, user: UserSide | None) -> Backtrace:
    """The call stack of kernel code that gave the hart away in a call; never fails.

    `user` is the user code below it, where its registers are not on its stack. A thread that has
    not run yet starts at a function's first instruction.
    """
    kernel = replace(kernel, memory=kernel_memory(kernel))
    start = switch.ra
    saved = dict(zip((_S0, _S1, *_S2_ON), switch.saved, strict=False))
    if start.symbol is not None and not start.offset:
        frames = [StackFrame(start, None, switch.sp)]
        if user is None:
            return Backtrace(tuple(frames), "it has not run yet: it starts here")
        whole = _with_user_code(kernel, frames, user, None, MAX_FRAMES)
        return replace(whole, note=f"it has not run yet; {whole.note}")
    registers = {RA: start.address, SP: switch.sp, **saved}
    return _unwind(kernel, Cursor(start.address, registers, False), MAX_FRAMES, user)


def _with_user_code(
    kernel: Kernel, frames: list[StackFrame], user: UserSide, sp: int | None, most: int
) -> Backtrace:
    """Kernel's stack frames, the trap's entry below them, and the user code that trapped."""
    found = first_symbol(kernel.image, kernel.description.trap.entry)
    place = (
        Place(0, "a trap") if found is None else replace(kernel.place(found[1]), symbol=found[0])
    )
    frames.append(StackFrame(place, None, sp, True, user.context.address))
    below = stack_of_context(kernel, user.satp, user.context, max(1, most - len(frames)))
    return _joined(frames, below)


def _joined(frames: list[StackFrame], below: Backtrace) -> Backtrace:
    """Stack frames, and a call stack that goes on below them."""
    where = f"stack frame {len(frames) + len(below.frames) - 1}"
    problems = tuple(replace(p, where=where) for p in below.problems)
    return Backtrace((*frames, *below.frames), below.note, problems)


def backtrace_of(kernel: Kernel, context: Context, satp: Satp) -> Backtrace:
    """The call stack of code that was interrupted with that Context; never fails.

    `satp` is the address space of its thread.
    """
    if is_user_code(kernel, context, satp):
        return stack_of_context(kernel, satp, context, MAX_FRAMES)
    cursor = Cursor(context.sepc.address, dict(enumerate(context.x)), True)
    return _unwind(kernel, cursor, MAX_FRAMES)


def _unwind(kernel: Kernel, cursor: Cursor, most: int, user: UserSide | None = None) -> Backtrace:
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
            return _with_user_code(kernel, frames, user, cursor.sp, most)
        if _in_user_code(kernel, cursor, frames):
            return _joined(frames, user_stack(kernel, kernel.memory.satp, cursor, most - number))
        try:
            frame, cursor = _step(kernel, cursor)
        except EndError as end:
            frames.append(StackFrame(_place(kernel, cursor), None, cursor.sp))
            if user is not None and _called_by_the_loop(kernel, user):
                return _with_user_code(kernel, frames, user, None, most)
            note = end.note
            if end.problem:
                problems = (Problem(f"stack frame {number}", end.problem),)
            break
        why = _goes_wrong(frames[-1], frame) if frames else ""
        if again := _again(frames, frame):
            note = again
            break
        frames.append(frame)
        if why:
            note = "the stack is broken"
            problems = (Problem(f"stack frame {number}", why),)
            break
    return Backtrace(tuple(frames), note, problems)


def _in_user_code(kernel: Kernel, cursor: Cursor, frames: list[StackFrame]) -> bool:
    """Whether the cursor is in a program: the hart is, or the last trap came from it."""
    if not cursor.is_exact:
        return False
    if not frames:
        return kernel.registers.privilege == USER and cursor.pc == unsigned(kernel.registers.pc)
    if not frames[-1].is_trap or _is_code(kernel, cursor.pc):
        return False
    if kernel.memory.satp.translates:
        return is_users(kernel, kernel.memory.satp, cursor.pc)
    return _came_from_user(kernel, frames[-1].context)


def _came_from_user(kernel: Kernel, context: int | None) -> bool:
    """Whether the Context at that address says that a trap came from U-mode."""
    if context is None:
        return False
    try:
        found = context_at(kernel, context)
    except DecodeError:
        return False
    return found.sstatus is not None and not found.sstatus.value & SPP


def _called_by_the_loop(kernel: Kernel, user: UserSide) -> bool:
    """Whether a kernel that runs tasks in a loop handles a trap of the one that runs."""
    sepc = kernel.csr("sepc")
    if not kernel.description.trap.resumes or kernel.registers.privilege == USER or sepc is None:
        return False
    return user.context.sepc.address - sepc in EBREAK_LENGTHS


def _is_handler(kernel: Kernel, cursor: Cursor) -> bool:
    """Whether the code is that of the trap's handler, which a trap's entry jumps to."""
    symbol = kernel.image.symbols.covering(cursor.lookup)
    return symbol is not None and symbol.address == kernel.first_symbol(
        kernel.description.trap.handler
    )


def _again(frames: list[StackFrame], frame: StackFrame) -> str:
    """Why a trap's entry is not shown once more, if those before it are the same; else nothing."""
    alike = 0
    for inner in reversed(frames):
        if not (inner.is_trap and frame.is_trap and inner.pc.address == frame.pc.address):
            break
        if inner.sp == frame.sp:
            return "the trap's entry traps by itself, for ever: it is shown once"
        alike += 1
    if alike < _SAME_TRAPS:
        return ""
    return f"the trap's entry traps by itself, again and again: it is shown {alike} times"


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
    """The stack frame at the cursor, and the caller's place; raises EndError."""
    rules = _rules(kernel, cursor)
    if rules is None:
        return _step_without(kernel, cursor)
    cursor = _behind_saved_ra(kernel, cursor)
    cfa, caller = by_rules(kernel.memory.read, cursor, rules)
    if not cursor.is_exact and rules.return_column == RA and RA not in rules.rules:
        # It made a call and has not saved where it came from: so the call was not to return.
        return _unreturned(kernel, cursor, rules.start, cfa)
    context = _trap_context(kernel, rules, cfa) if rules.is_signal else None
    frame = StackFrame(_place(kernel, cursor), cfa, cursor.sp, rules.is_signal, context)
    return frame, caller


def _unreturned(kernel: Kernel, cursor: Cursor, start: int, cfa: int) -> tuple[StackFrame, Cursor]:
    """The stack frame of a function that has not saved its return address, and its caller."""
    caller = caller_of(kernel, start, cfa, cursor.registers)
    if caller is None:
        raise EndError("it never returns, and has not saved who called it: not followed")
    return StackFrame(_place(kernel, cursor), cfa, cursor.sp, is_guess=True), caller


def _behind_saved_ra(kernel: Kernel, cursor: Cursor) -> Cursor:
    """The same cursor, as it is once what assembly around a call has put on the stack is gone.

    Kernels call their way into user code so; call frame information does not know of it.
    """
    code = kernel.image.read(kernel.linked(cursor.pc), _RESTORES)
    if cursor.is_exact or cursor.sp is None or not code or not restored_ra(code):
        return cursor
    registers = {**cursor.registers, SP: cursor.sp + _WORD}
    try:
        registers[RA] = word_at(kernel.memory.read, cursor.sp)
    except MemoryReadError:
        registers.pop(RA, None)
    return replace(cursor, registers=registers)


def _rules(kernel: Kernel, cursor: Cursor) -> CallFrame | None:
    try:
        return kernel.image.call_frames.at(kernel.linked(cursor.lookup))
    except (DwarfError, ImageError) as error:
        raise EndError("not followed", str(error)) from error


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
    entry = first_symbol(kernel.image, kernel.description.trap.entry)
    # Other symbols may begin where the entry does.
    is_entry = symbol is not None and entry is not None and symbol.address == entry[1]
    # A kernel that runs tasks in a loop calls what is also the entry.
    if is_entry and entry and sp is not None and not kernel.description.trap.resumes:
        place = replace(place, symbol=entry[0])
        if cursor.is_exact:
            return _entering(kernel, cursor, place, entry[1])
        try:
            context = context_at(kernel, sp)
        except DecodeError as error:
            raise EndError("the trap's Context cannot be read", error.problem.why) from error
        frame = StackFrame(place, None, sp, True, sp)
        return frame, Cursor(context.sepc.address, dict(enumerate(context.x)), True)
    if symbol is not None and sp is not None:
        # What is written in assembly often has no size: then all up to here is looked at.
        size = symbol.size or kernel.linked(cursor.pc) - symbol.address + _SOME
        found = _by_instructions(kernel, cursor, symbol.address, size, sp)
        if found is not None:
            return found
    ra = cursor.registers.get(RA)
    if cursor.is_exact and ra and ra != cursor.pc and _is_code(kernel, ra - 1):
        frame = StackFrame(place, sp, sp, is_guess=True)
        return frame, Cursor(ra, dict(cursor.registers), False)
    if _is_code(kernel, cursor.lookup):
        raise EndError("no call frame information for the code here")
    if not cursor.registers:
        raise EndError("its registers are being saved: not followed")
    raise EndError("the stack is broken", f"{cursor.pc:#x} is in no code of the kernel")


def _entering(
    kernel: Kernel, cursor: Cursor, place: Place, start: int
) -> tuple[StackFrame, Cursor]:
    """The same in a trap's entry, before the registers are saved: sepc says what was interrupted.

    At the first instruction all registers are still those of the interrupted code.
    """
    sepc = cursor.registers.get(CSR_COLUMN + _SEPC)
    if sepc is None:
        raise EndError(f"no call frame information for {place.symbol}")
    is_first = kernel.linked(cursor.pc) == start
    registers = dict(cursor.registers) if is_first else {}
    return StackFrame(place, None, cursor.sp, True), Cursor(sepc, registers, True)


def _by_instructions(
    kernel: Kernel, cursor: Cursor, start: int, size: int, sp: int
) -> tuple[StackFrame, Cursor] | None:
    """The same by what the function's own instructions do with the stack; None without a caller."""
    code = kernel.image.read(start, min(size, _MAX_CODE))
    opened = None if code is None else prologue.stack_frame(code, cursor.pc - start)
    if opened is None:
        return None
    cfa = (sp + opened.size) & MASK64
    registers = {**cursor.registers, SP: cfa}
    for register, offset in opened.saved.items():
        rule = RegisterRule(How.AT_CFA, offset)
        value = callers(kernel.memory.read, cursor, rule, cfa, register)
        if value is not None:
            registers[register] = value
    pc = registers.get(RA, 0)
    if not cursor.is_exact and RA not in opened.saved:
        return _unreturned(kernel, cursor, start, cfa)
    if not _is_code(kernel, pc - 1):
        return None
    frame = StackFrame(_place(kernel, cursor), cfa, sp, is_guess=True)
    return frame, Cursor(pc, registers, False)


def _is_code(kernel: Kernel, address: int) -> bool:
    return any("x" in s.flags and 0 <= address - s.address < s.size for s in kernel.image.sections)
