"""What an instruction does that only computes: for a debugger that does it in the hart's place.

Sources: unprivileged spec, chapters "RV32I" (addi, lui, auipc) and "C" (c.addi, c.addi16sp, c.li,
c.lui, c.mv, c.nop). Functions begin with one of these nearly always.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rcdbg.riscv.code import size_of
from rcdbg.riscv.instructions.fields import (
    addi16sp_offset,
    ci_immediate,
    i_immediate,
    u_immediate,
)
from rcdbg.riscv.registers import MASK64

_SP = 2
_OP_IMM, _LUI, _AUIPC = 0x13, 0x37, 0x17


@dataclass(frozen=True, slots=True)
class Computed:
    """After an instruction: `register` has `value` (None: no register has), the hart is at `pc`."""

    register: int | None
    value: int
    pc: int


def computed(encoding: int, pc: int, x: Sequence[int]) -> Computed | None:
    """What the instruction at `pc` makes of the registers x0..x31.

    None for one that does anything else but write a register from registers, constants and pc,
    and for those that are not known here.
    """
    found = _narrow(encoding, x) if size_of(encoding) == 2 else _wide(encoding, pc, x)
    if found is None:
        return None
    register, value = found
    return Computed(register or None, value & MASK64, (pc + size_of(encoding)) & MASK64)


def _wide(encoding: int, pc: int, x: Sequence[int]) -> tuple[int, int] | None:
    opcode, rd = encoding & 0x7F, encoding >> 7 & 31
    if opcode == _OP_IMM and encoding >> 12 & 7 == 0:
        return rd, x[encoding >> 15 & 31] + i_immediate(encoding)
    if opcode in (_LUI, _AUIPC):
        return rd, u_immediate(encoding) + (pc if opcode == _AUIPC else 0)
    return None


def _narrow(encoding: int, x: Sequence[int]) -> tuple[int, int] | None:
    rd = encoding >> 7 & 31
    kind = encoding & 0xE003
    immediate = ci_immediate(encoding)
    if kind == 0x0001:  # c.addi, c.nop
        return rd, x[rd] + immediate
    if kind == 0x4001:  # c.li
        return rd, immediate
    if kind == 0x6001 and immediate:  # with 0 both are reserved
        if rd == _SP:  # c.addi16sp
            return _SP, x[_SP] + addi16sp_offset(encoding)
        return rd, immediate << 12  # c.lui
    source = encoding >> 2 & 31
    if encoding & 0xF003 == 0x8002 and source:  # c.mv
        return rd, x[source]
    return None
