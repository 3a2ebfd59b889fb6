"""Steps in a program: where its next line, or the return from its function, may be.

They are breakpoints that count in one activation of a function alone: the same address space, and
the same stack frame. So a step over `ecall` runs the kernel, and whoever else it lets run, and
comes back to the same task; and so does one over a call.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.errors import ImageError, MemoryReadError, UsageError
from rcdbg.image.elf import Image
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.code import code_at, memory_of
from rcdbg.model.unwinding.cursor import Cursor
from rcdbg.model.unwinding.user_stack import user_stack
from rcdbg.riscv import code
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import unsigned

MAX_LINES = 256
"""Places in one function where a line begins that are stopped at."""

_USER = 0
_SP = 2
_LONGEST = 4
_DEEPEST = 1 << 16
"""Bytes of a stack frame that a function opens."""


@dataclass(frozen=True, slots=True)
class UserStep:
    """Where a step may end."""

    satp: Satp
    inside: frozenset[int]
    """Addresses of the function that it begins in."""
    cfa: int | None
    """Of the stack frame that it begins in."""
    back: int | None
    """Where the function returns to."""
    entered: frozenset[int] = frozenset()
    """Functions that it may enter."""
    lowest_sp: int = 0
    """The stack pointer is not below it in this activation, but below it in one inside of it."""

    @property
    def places(self) -> tuple[int, ...]:
        """All addresses."""
        back = frozenset() if self.back is None else {self.back}
        return tuple(sorted(self.inside | self.entered | back))

    def condition(self, place: int) -> str:
        """The same as `happened` for gdb, at one of the places, as far as registers tell."""
        root = f"$satp == {self.satp.value:#x}" if self.satp.translates else "1"
        mine = f"$priv == {_USER} && {root}"
        if self.cfa is None:
            return mine
        low, high = self.lowest_sp, self.cfa
        if place == self.back:
            low = self.cfa
        elif place in self.entered:
            low = max(0, self.lowest_sp - _DEEPEST)
        return f"{mine} && $sp >= {low:#x} && $sp <= {high:#x}"

    def happened(self, kernel: Kernel) -> bool:
        """Whether the hart, which is at one of them, is there in the same activation."""
        if kernel.registers.privilege != _USER or kernel.memory.satp.root != self.satp.root:
            return False
        pc, sp = unsigned(kernel.registers.pc), unsigned(kernel.registers.x[_SP])
        if self.cfa is None:
            return True
        if pc == self.back and sp == self.cfa:
            return True
        if pc in self.entered and self.cfa - sp >= 0:
            return True
        return pc in self.inside and _frame(kernel)[0] == self.cfa


def next_line(kernel: Kernel, *, into: bool = False) -> UserStep:
    """To the next line of the program, over calls, or `into` them; without lines, one instruction.

    Raises UsageError if the hart is in no program.
    """
    pc = _in_program(kernel)
    cfa, back = _frame(kernel)
    satp = kernel.memory.satp
    known = code_at(kernel, satp, pc)
    image = None if known is None else known.image
    lines = [] if image is None else _lines(image, pc)
    sp = unsigned(kernel.registers.x[_SP])
    # Where the frame is not open yet, it may still grow.
    lowest = sp if cfa != sp else max(0, sp - _DEEPEST)
    if not lines:
        entered = frozenset(_calls(kernel, pc, pc + _LONGEST)) if into else frozenset()
        return UserStep(satp, frozenset(_next(kernel, pc)), cfa, back, entered, lowest)
    entered = frozenset()
    if into and image is not None:
        start, end = _extent(image, pc)
        entered = frozenset(a for a in _calls(kernel, start, end) if image.lines.lookup(a))
    return UserStep(satp, frozenset(lines) - {pc}, cfa, back, entered, lowest)


def to_caller(kernel: Kernel) -> UserStep:
    """Until the function returns; raises UsageError if its caller is not known."""
    _in_program(kernel)
    cfa, back = _frame(kernel)
    if back is None:
        raise UsageError("it is not known where this function returns to")
    return UserStep(kernel.memory.satp, frozenset(), cfa, back)


def _in_program(kernel: Kernel) -> int:
    if kernel.registers.privilege != _USER:
        raise UsageError("the hart is in no program in U-mode")
    return unsigned(kernel.registers.pc)


def _frame(kernel: Kernel) -> tuple[int | None, int | None]:
    """The CFA of the innermost stack frame, and where it returns to; None where not known."""
    x = dict(enumerate(unsigned(value) for value in kernel.registers.x))
    cursor = Cursor(unsigned(kernel.registers.pc), x, True)
    frames = user_stack(kernel, kernel.memory.satp, cursor, 2).frames
    return frames[0].cfa, frames[1].pc.address if len(frames) > 1 else None


def _extent(image: Image, pc: int) -> tuple[int, int]:
    """Where the function around an address begins and ends."""
    symbol = image.symbols.covering(pc)
    if symbol is None or not symbol.size:
        return pc, pc + _LONGEST
    return symbol.address, symbol.address + symbol.size


def _lines(image: Image, pc: int) -> list[int]:
    """Where lines begin in the function around an address; empty if it has none."""
    start, end = _extent(image, pc)
    try:
        here = image.lines.lookup(pc)
        found = image.lines.starts(start, end) if here is not None else []
        others = [a for a in found if image.lines.lookup(a) != here]
    except ImageError:
        return []
    return others[:MAX_LINES]


def _next(kernel: Kernel, pc: int) -> Iterator[int]:
    """Where the instruction behind that at `pc` may be, in the same function."""
    for at, encoding in _instructions(kernel, pc, pc + _LONGEST):
        jumped = next(code.jumps(encoding.to_bytes(code.size_of(encoding), "little"), at), None)
        taken = code.branch(encoding, at)
        if jumped is not None and not jumped.links:
            yield jumped.target
        else:
            yield at + code.size_of(encoding)
        if taken is not None:
            yield taken
        return


def _calls(kernel: Kernel, start: int, end: int) -> Iterator[int]:
    """The functions that code calls."""
    try:
        data = memory_of(kernel, kernel.memory.satp).read(start, end - start)
    except MemoryReadError:
        return
    yield from (jump.target for jump in code.jumps(data, start) if jump.links)


def _instructions(kernel: Kernel, start: int, end: int) -> Iterator[tuple[int, int]]:
    memory = memory_of(kernel, kernel.memory.satp)
    try:
        data = memory.read(start, end - start)
    except MemoryReadError:
        return
    yield from code.instructions(data, start)
