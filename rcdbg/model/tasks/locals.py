"""Local variables of functions that wait on the kernel's stack, where nothing else has the threads.

The stack is followed by call frame information alone. While user code runs, the kernel's registers
are where the function that runs it has saved them, as the description tells.
"""

from contextlib import suppress

from rcdbg.errors import ImageError, MemoryReadError
from rcdbg.image.dwarf.forms import DwarfError
from rcdbg.image.dwarf.scoped import LocalVariable
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.unwinding.cursor import RA, SP, Cursor, EndError, by_rules, word_at
from rcdbg.model.values.parts import number
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.calls import restored_ra
from rcdbg.riscv.registers import MASK64, unsigned

_USER = 0
_WORDS, _WORD = 32, 8
_RESTORES = 8
"""Bytes of code that are looked at for what takes ra back from the stack."""
MAX_STEPS = 64
"""Stack frames that are looked at."""


@once_a_moment
def local_named(kernel: Kernel, name: str) -> Value:
    """The variable `FUNCTION::VARIABLE` of a function on the kernel's stack; raises DecodeError."""
    function, _, variable = name.rpartition("::")
    known = [
        found
        for found in kernel.image.locals_of(function.rsplit("::", 1)[-1])
        if found.name == variable
    ]
    if not known:
        raise DecodeError(name, f"no local variable of {function} whose place is known")
    for cursor, cfa in _frames(kernel):
        pc = kernel.linked(cursor.lookup)
        there = [found for found in known if found.is_there(pc)]
        if there:
            chosen = min(there, key=lambda found: found.extent)
            return Value(kernel.space, chosen.type, _place(chosen, cursor, cfa, name), variable)
    raise DecodeError(name, f"{function} is not on the stack, or {variable} not there yet")


def _place(found: LocalVariable, cursor: Cursor, cfa: int | None, name: str) -> int:
    base = cfa
    if found.base.register is not None:
        base = cursor.registers.get(found.base.register)
    if base is None:
        raise DecodeError(name, "what its place is counted from is not known there")
    return (base + found.base.offset + found.offset) & MASK64


@once_a_moment
def _frames(kernel: Kernel) -> tuple[tuple[Cursor, int | None], ...]:
    """The registers in each stack frame of the kernel, the innermost first, and its CFA."""
    cursor = _kernels_registers(kernel)
    found: list[tuple[Cursor, int | None]] = []
    while cursor is not None and len(found) < MAX_STEPS:
        cfa, caller = None, None
        with suppress(EndError, DwarfError, ImageError):
            rules = kernel.image.call_frames.at(kernel.linked(cursor.lookup))
            if rules is not None and not rules.is_signal:
                cfa, caller = by_rules(kernel.own_memory.read, cursor, rules)
        found.append((cursor, cfa))
        cursor = caller
    return tuple(found)


def _kernels_registers(kernel: Kernel) -> Cursor | None:
    """Those of the hart, or while user code runs, those that the kernel has saved before it."""
    if kernel.registers.privilege != _USER:
        registers = {number: unsigned(value) for number, value in enumerate(kernel.registers.x)}
        return Cursor(unsigned(kernel.registers.pc), registers, True)
    names = kernel.description.context
    saved = kernel.csr("sscratch")
    if not names.outer_sp or not saved:
        return None
    type_id = kernel.struct_with(names.type, names.outer_sp)
    return outer_registers(kernel, Value(kernel.space, type_id, saved, "sscratch"))


def outer_registers(kernel: Kernel, context: Value) -> Cursor | None:
    """The registers of the code that runs that user code, as 32 words at its stack pointer."""
    sp = number(context, kernel.description.context.outer_sp) & MASK64
    data = context.read(sp, _WORDS * _WORD)
    words = {
        n: int.from_bytes(data[n * _WORD : (n + 1) * _WORD], "little") for n in range(1, _WORDS)
    }
    pc, sp = words[RA], sp + _WORDS * _WORD
    # Assembly around the call has put ra on the stack, of which call frame information is silent.
    code = kernel.image.read(pc, _RESTORES)
    restored = b"" if code is None else restored_ra(code)
    if restored:
        with suppress(MemoryReadError):
            words[RA] = word_at(kernel.own_memory.read, sp)
        pc, sp = pc + len(restored), sp + _WORD
    words[SP] = sp
    return Cursor(pc, words, True)
