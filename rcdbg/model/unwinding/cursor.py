"""One place of a call stack, and the step to its caller by call frame information."""

from collections.abc import Callable
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.image.dwarf.cfi import CallFrame
from rcdbg.image.dwarf.cfi_program import How, RegisterRule
from rcdbg.riscv.registers import MASK64

RA, SP = 1, 2

Read = Callable[[int, int], bytes]
"""Virtual memory: (address, size in bytes) to bytes; raises MemoryReadError."""


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
        return self.registers.get(SP)


class EndError(Exception):
    """The stack cannot be followed any further; `problem` unless that is as it should be."""

    def __init__(self, note: str, problem: str = "") -> None:
        super().__init__(note)
        self.note, self.problem = note, problem


def by_rules(read: Read, cursor: Cursor, rules: CallFrame) -> tuple[int, Cursor]:
    """The CFA of the stack frame at the cursor, and its caller's place; raises EndError."""
    if rules.cfa_register is None:
        raise EndError("not followed", "its CFA is a DWARF expression, which rcdbg does not run")
    base = cursor.registers.get(rules.cfa_register)
    if base is None:
        raise EndError("not followed", f"x{rules.cfa_register} is not known there")
    cfa = (base + rules.cfa_offset) & MASK64
    registers = dict(cursor.registers)
    registers[SP] = cfa
    for register, rule in rules.rules.items():
        value = callers(read, cursor, rule, cfa, register)
        if value is None:
            registers.pop(register, None)
        else:
            registers[register] = value
    pc = registers.pop(rules.return_column, None)
    if rules.return_column == RA and pc is not None:
        registers[RA] = pc
    if pc is None:
        raise EndError("the outermost stack frame: it has no caller")
    if pc == 0:
        raise EndError("the outermost stack frame: its return address is 0")
    return cfa, Cursor(pc, registers, rules.is_signal)


def callers(read: Read, cursor: Cursor, rule: RegisterRule, cfa: int, register: int) -> int | None:
    """A register of the caller; None if it is lost. Raises EndError if the stack is not there."""
    match rule.how:
        case How.SAME:
            return cursor.registers.get(register)
        case How.REGISTER:
            return cursor.registers.get(rule.number)
        case How.CFA_PLUS:
            return (cfa + rule.number) & MASK64
        case How.AT_CFA:
            try:
                return word_at(read, cfa + rule.number)
            except MemoryReadError as error:
                raise EndError("the stack cannot be read", str(error)) from error
        case _:
            return None


def word_at(read: Read, address: int) -> int:
    """The word at a virtual address; raises MemoryReadError."""
    return int.from_bytes(read(address & MASK64, 8), "little")
