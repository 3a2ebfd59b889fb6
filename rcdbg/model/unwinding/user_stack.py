"""Call stacks of programs in U-mode: by call frame information, by what functions do, by s0.

The stack is the program's own, and may hold anything: what cannot be followed ends with a note. A
program has no more to do with the kernel's stack than that a trap led there.
"""

from contextlib import suppress
from dataclasses import replace

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.image.elf import Image
from rcdbg.image.programs.shelf import programs_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.code import UserCode, code_at, is_users, memory_of, user_place
from rcdbg.model.state import Backtrace, Context, Place, Problem, StackFrame
from rcdbg.model.unwinding.cursor import RA, SP, Cursor, EndError, by_rules, word_at
from rcdbg.riscv import prologue
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64

NO_PROGRAM = "user code of no program that is known: `--programs` says where its ELF is"
THE_ENTRY = "the program's entry: nothing has called it"

_S0 = 8
_WORD = 8
_MAX_CODE = 1 << 16
_AHEAD = 32
_MAX_FRAME = 1 << 20
"""Bytes of a stack frame that s0 is believed to lead out of."""


def user_stack(kernel: Kernel, satp: Satp, cursor: Cursor, most: int) -> Backtrace:
    """The call stack of user code in that address space, from the cursor on; never fails."""
    walker = _Walker(kernel, satp)
    frames: list[StackFrame] = []
    note, problems = f"only the first {most} stack frames were followed", tuple[Problem, ...]()
    while len(frames) < most:
        place = walker.place(cursor)
        try:
            frame, caller = walker.step(cursor, place)
        except EndError as end:
            frames.append(StackFrame(place, None, cursor.sp))
            note = end.note
            if end.problem:
                problems = (Problem(f"stack frame {len(frames) - 1}", end.problem),)
            break
        frames.append(frame)
        if not walker.is_code(caller.pc - 2):
            note = f"its caller would be at {caller.pc:#x}, where no user code is"
            note = "the outermost stack frame" if frame.is_guess else note
            break
        last, cursor = cursor, caller
        if last.sp is not None and cursor.sp is not None and cursor.sp <= last.sp - _WORD:
            note = f"the caller's sp {cursor.sp:#x} is below {last.sp:#x}: not followed"
            break
    return Backtrace(tuple(frames), note, problems)


def stack_of_context(kernel: Kernel, satp: Satp, context: Context, most: int) -> Backtrace:
    """The call stack of user code that a trap interrupted; never fails."""
    cursor = Cursor(context.sepc.address, dict(enumerate(context.x)), True)
    return user_stack(kernel, satp, cursor, most)


class _Walker:
    """Steps through the stack frames of one address space."""

    def __init__(self, kernel: Kernel, satp: Satp) -> None:
        self._kernel, self._satp = kernel, satp
        self._memory = memory_of(kernel, satp)

    def place(self, cursor: Cursor) -> Place:
        """Where the code of a stack frame is; the line is that of the call."""
        place = user_place(self._kernel, self._satp, cursor.lookup)
        if cursor.is_exact:
            return place
        return replace(place, address=cursor.pc, offset=place.offset + 1 if place.symbol else 0)

    def is_code(self, address: int) -> bool:
        """Whether user code can be there."""
        if not 0 <= address < 1 << 64:
            return False
        if self._satp.translates:
            return is_users(self._kernel, self._satp, address)
        return code_at(self._kernel, self._satp, address) is not None

    def step(self, cursor: Cursor, place: Place) -> tuple[StackFrame, Cursor]:
        """The stack frame at the cursor, and the caller's place; raises EndError."""
        code = code_at(self._kernel, self._satp, cursor.lookup)
        image = None if code is None else code.image
        if image is not None and cursor.registers:
            if _is_entry(image, cursor.lookup):
                raise EndError(THE_ENTRY)
            found = self._by_rules(image, cursor, place)
            found = found or self._by_instructions(image, cursor, place)
            if found is not None:
                return found
        if not cursor.registers:
            raise EndError("its registers are being saved or restored: not followed")
        found = self._by_frame_pointer(cursor, place) or self._by_ra(cursor, place)
        if found is None:
            raise EndError(_why(self._kernel, code, place))
        return found

    def _by_rules(
        self, image: Image, cursor: Cursor, place: Place
    ) -> tuple[StackFrame, Cursor] | None:
        rules = None
        with suppress(DwarfError, ImageError):  # then it is followed otherwise
            rules = image.call_frames.at(cursor.lookup)
        if rules is None:
            return None
        cfa, caller = by_rules(self._memory.read, cursor, rules)
        return StackFrame(place, cfa, cursor.sp), caller

    def _by_instructions(
        self, image: Image, cursor: Cursor, place: Place
    ) -> tuple[StackFrame, Cursor] | None:
        """By what the function's own instructions do with the stack."""
        symbol, sp = image.symbols.covering(cursor.lookup), cursor.sp
        if symbol is None or sp is None:
            return None
        # A label, as of a system call's stub in assembly, has no size of its own.
        size = symbol.size or cursor.pc - symbol.address + _AHEAD
        code = self._code(image, symbol.address, min(size, _MAX_CODE))
        opened = code and prologue.stack_frame(code, cursor.pc - symbol.address)
        if not opened or not (cursor.is_exact or RA in opened.saved):
            return None
        cfa = (sp + opened.size) & MASK64
        registers = {**cursor.registers, SP: cfa}
        try:
            for register, offset in opened.saved.items():
                registers[register] = word_at(self._memory.read, cfa + offset)
        except MemoryReadError:
            return None
        pc = registers.get(RA, 0)
        if not self.is_code(pc - 2):
            return None
        return StackFrame(place, cfa, sp, is_guess=True), Cursor(pc, registers, False)

    def _code(self, image: Image, start: int, size: int) -> bytes:
        """As much of a function as there is."""
        return image.read(start, size) or image.read(start, size - _AHEAD) or b""

    def _by_frame_pointer(self, cursor: Cursor, place: Place) -> tuple[StackFrame, Cursor] | None:
        """By s0, where programs keep the CFA there, with ra and the caller's s0 below it."""
        cfa, sp = cursor.registers.get(_S0, 0), cursor.sp
        if sp is None or cfa % _WORD or not sp < cfa <= sp + _MAX_FRAME:
            return None
        try:
            pc = word_at(self._memory.read, cfa - _WORD)
            s0 = word_at(self._memory.read, cfa - 2 * _WORD)
        except MemoryReadError:
            return None
        if not self.is_code(pc - 2):
            return None
        registers = {RA: pc, SP: cfa, _S0: s0}
        return StackFrame(place, cfa, sp, is_guess=True), Cursor(pc, registers, False)

    def _by_ra(self, cursor: Cursor, place: Place) -> tuple[StackFrame, Cursor] | None:
        """By ra, in code that was entered and has not saved it; nobody says where it has."""
        ra = cursor.registers.get(RA, 0)
        if not cursor.is_exact or ra == cursor.pc or not self.is_code(ra - 2):
            return None
        frame = StackFrame(place, cursor.sp, cursor.sp, is_guess=True)
        return frame, Cursor(ra, dict(cursor.registers), False)


def _is_entry(image: Image, address: int) -> bool:
    """Whether the address is in the function that the program starts with."""
    entry = image.symbols.covering(image.entry)
    own = image.symbols.covering(address)
    if entry is None or own is None:
        return address == image.entry
    return entry.address == own.address


def _why(kernel: Kernel, code: UserCode | None, place: Place) -> str:
    if code is None:
        problems = programs_of(kernel.image).problems
        return f"{NO_PROGRAM}; {problems[0]}" if problems else NO_PROGRAM
    if place.symbol is None:
        return f"{code.name} has no symbol for this code, and no call frame information"
    return "the outermost stack frame that is known"
