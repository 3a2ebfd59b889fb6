"""Who called a function that never returns, and so has not saved where from.

A compiler does not save `ra` in a function that only ends in a call which never returns, such as
`Option::expect`'s to `expect_failed`: behind that call `ra` is the call's own. What is left is the
code, which has few calls of the function, and the stack: at the right one of them the caller's own
return address lies where it must, behind a call of the caller. So what is found is a guess, but one
that two places agree on.
"""

from dataclasses import dataclass

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.dwarf.cfi import CallFrame
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.image.elf import Image
from rcdbg.model.kernel import Kernel
from rcdbg.model.unwinding.cursor import RA, SP, Cursor, EndError, by_rules, word_at
from rcdbg.riscv import calls, prologue

_MAX_SITES = 512
_MAX_CODE = 1 << 16
_CALL = 8
"""Bytes of the longest call: auipc and jalr."""


@dataclass(frozen=True, slots=True)
class _Site:
    """A place behind a call, and how well the stack fits: 2 by a call of it, 1 by any call."""

    cursor: Cursor
    fit: int


def caller_of(kernel: Kernel, start: int, cfa: int, registers: dict[int, int]) -> Cursor | None:
    """The place behind the call of the function that begins at `start` and has that CFA.

    None where no call of it fits the stack, or where calls in two functions fit as well.
    """
    best: list[_Site] = []
    for number, behind in enumerate(_behind_calls(kernel.image, start)):
        if number >= _MAX_SITES:
            break
        cursor = Cursor(behind, {**registers, SP: cfa, RA: behind}, False)
        fit = _fit(kernel, cursor)
        if not best or fit > best[0].fit:
            best = [_Site(cursor, fit)]
        elif fit == best[0].fit:
            best.append(_Site(cursor, fit))
    if not best or not best[0].fit:
        return None
    owners = {_start(kernel.image, site.cursor.lookup) for site in best}
    return best[0].cursor if len(owners) == 1 else None


def _behind_calls(image: Image, target: int) -> list[int]:
    found: list[int] = []
    for section in image.sections:
        if "x" in section.flags and "a" in section.flags:
            code = image.read(section.address, section.size)
            if code is not None:
                found += calls.behind_calls(code, section.address, target)
    return found


def _fit(kernel: Kernel, cursor: Cursor) -> int:
    """How well the stack fits a place behind a call; 0 not at all."""
    start = _start(kernel.image, cursor.lookup)
    if start is None:
        return 0
    back = _return_address(kernel, cursor, start)
    if back is None:
        return 0
    code = kernel.image.read(back - _CALL, _CALL)
    called = None if code is None else calls.called_before(code, back)
    if called is None:
        return 0
    return 2 if called == start else 1 if called == calls.UNKNOWN else 0


def _return_address(kernel: Kernel, cursor: Cursor, start: int) -> int | None:
    """Where the caller goes back to, if it has saved that."""
    try:
        rules: CallFrame | None = kernel.image.call_frames.at(cursor.lookup)
    except (DwarfError, ImageError):
        return None
    try:
        if rules is not None:
            return by_rules(kernel.memory.read, cursor, rules)[1].pc if RA in rules.rules else None
        size = min(cursor.pc - start + _CALL, _MAX_CODE)
        code = kernel.image.read(start, size)
        opened = None if code is None else prologue.stack_frame(code, cursor.pc - start)
        if opened is None or RA not in opened.saved or cursor.sp is None:
            return None
        return word_at(kernel.memory.read, cursor.sp + opened.size + opened.saved[RA])
    except (EndError, MemoryReadError):
        return None


def _start(image: Image, address: int) -> int | None:
    symbol = image.symbols.covering(address)
    return None if symbol is None else symbol.address
