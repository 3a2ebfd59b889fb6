"""Call frame instructions: a table of what each takes and does, and what runs them.

Source: DWARF 5, sections 6.4.2 and 7.24.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.forms import DwarfError, little, sleb128, take, uleb128

_MAX_STATES = 64


class How(Enum):
    """How to find a register of the caller."""

    UNDEFINED = "undefined"
    SAME = "same value"
    AT_CFA = "in memory at CFA + number"
    CFA_PLUS = "CFA + number"
    REGISTER = "in the register of that number"
    EXPRESSION = "a DWARF expression"


@dataclass(frozen=True, slots=True)
class RegisterRule:
    """How to find one register of the caller; `number` is an offset in bytes or a register."""

    how: How
    number: int = 0


@dataclass(slots=True)
class UnwindRow:
    """What is true at one place in the code. No register is the CFA's where an expression is."""

    cfa_register: int | None = None
    cfa_offset: int = 0
    rules: dict[int, RegisterRule] = field(default_factory=dict)

    def copy(self) -> "UnwindRow":
        """One that changes on its own."""
        return UnwindRow(self.cfa_register, self.cfa_offset, dict(self.rules))


@dataclass(slots=True)
class _Execution:
    """A run of instructions: `row` is changed, `initial` is what a restored register goes to."""

    row: UnwindRow
    initial: UnwindRow
    code_alignment: int
    location: int = 0
    remembered: list[UnwindRow] = field(default_factory=list)


def execute(
    code: bytes,
    row: UnwindRow,
    initial: UnwindRow,
    alignments: tuple[int, int],
    until: int | None = None,
) -> None:
    """Run instructions on `row` up to the location `until`, an offset in bytes; None for all.

    `alignments` are the factors of code and data. Raises DwarfError for what cannot be.
    """
    code_alignment, data_alignment = alignments
    run = _Execution(row, initial, code_alignment)
    position = 0
    try:
        while position < len(code):
            opcode = code[position]
            position += 1
            readers, effect = _BY_OPCODE[opcode]
            operands = [opcode & ~_PRIMARY] if opcode & _PRIMARY else []
            for read in readers:
                value, position = read(code, position, data_alignment)
                operands.append(value)
            effect(run, *operands)
            if until is not None and run.location > until:
                return
    except IndexError as error:
        raise DwarfError("a call frame instruction is cut off") from error
    except KeyError as error:
        raise DwarfError(f"call frame instruction {opcode:#x} is not known") from error


# What operands are: each reader returns the value and where the next one begins.

Reader = Callable[[bytes, int, int], tuple[int, int]]


def _unsigned(code: bytes, position: int, _: int) -> tuple[int, int]:
    return uleb128(code, position)


def _factored(code: bytes, position: int, factor: int) -> tuple[int, int]:
    value, position = uleb128(code, position)
    return value * factor, position


def _signed_factored(code: bytes, position: int, factor: int) -> tuple[int, int]:
    value, position = sleb128(code, position)
    return value * factor, position


def _block(code: bytes, position: int, _: int) -> tuple[int, int]:
    """An expression, which is not evaluated: its length."""
    length, position = uleb128(code, position)
    take(code, position, length)
    return length, position + length


def _fixed(width: int) -> Reader:
    return lambda code, position, _: (little(code, position, width), position + width)


# What instructions do

Effect = Callable[..., None]


def _nop(_: _Execution) -> None:
    pass


def _advance(run: _Execution, delta: int) -> None:
    run.location += delta * run.code_alignment


def _set(how: How) -> Effect:
    """Gives a register a rule of that kind."""

    def effect(run: _Execution, register: int, number: int = 0) -> None:
        run.row.rules[register] = RegisterRule(how, number)

    return effect


def _set_expression(run: _Execution, register: int, _length: int) -> None:
    run.row.rules[register] = RegisterRule(How.EXPRESSION)


def _restore(run: _Execution, register: int) -> None:
    if register in run.initial.rules:
        run.row.rules[register] = run.initial.rules[register]
    else:
        run.row.rules.pop(register, None)


def _remember_state(run: _Execution) -> None:
    if len(run.remembered) >= _MAX_STATES:
        raise DwarfError("too many remembered states in .debug_frame")
    run.remembered.append(run.row.copy())


def _restore_state(run: _Execution) -> None:
    if not run.remembered:
        raise DwarfError("a state of .debug_frame is restored that was not remembered")
    back, row = run.remembered.pop(), run.row
    row.cfa_register, row.cfa_offset, row.rules = back.cfa_register, back.cfa_offset, back.rules


def _def_cfa(run: _Execution, register: int, offset: int) -> None:
    run.row.cfa_register, run.row.cfa_offset = register, offset


def _def_cfa_register(run: _Execution, register: int) -> None:
    run.row.cfa_register = register


def _def_cfa_offset(run: _Execution, offset: int) -> None:
    run.row.cfa_offset = offset


def _def_cfa_expression(run: _Execution, _length: int) -> None:
    run.row.cfa_register = None


_PRIMARY = 0xC0
"""The bits of an opcode that carries its first operand in the others."""

_INSTRUCTIONS: dict[int, tuple[tuple[Reader, ...], Effect]] = {
    dw.CFA_ADVANCE_LOC: ((), _advance),
    dw.CFA_OFFSET: ((_factored,), _set(How.AT_CFA)),
    dw.CFA_RESTORE: ((), _restore),
    dw.CFA_NOP: ((), _nop),
    dw.CFA_ADVANCE_LOC1: ((_fixed(1),), _advance),
    dw.CFA_ADVANCE_LOC2: ((_fixed(2),), _advance),
    dw.CFA_ADVANCE_LOC4: ((_fixed(4),), _advance),
    dw.CFA_OFFSET_EXTENDED: ((_unsigned, _factored), _set(How.AT_CFA)),
    dw.CFA_RESTORE_EXTENDED: ((_unsigned,), _restore),
    dw.CFA_UNDEFINED: ((_unsigned,), _set(How.UNDEFINED)),
    dw.CFA_SAME_VALUE: ((_unsigned,), _set(How.SAME)),
    dw.CFA_REGISTER: ((_unsigned, _unsigned), _set(How.REGISTER)),
    dw.CFA_REMEMBER_STATE: ((), _remember_state),
    dw.CFA_RESTORE_STATE: ((), _restore_state),
    dw.CFA_DEF_CFA: ((_unsigned, _unsigned), _def_cfa),
    dw.CFA_DEF_CFA_REGISTER: ((_unsigned,), _def_cfa_register),
    dw.CFA_DEF_CFA_OFFSET: ((_unsigned,), _def_cfa_offset),
    dw.CFA_DEF_CFA_EXPRESSION: ((_block,), _def_cfa_expression),
    dw.CFA_EXPRESSION: ((_unsigned, _block), _set_expression),
    dw.CFA_OFFSET_EXTENDED_SF: ((_unsigned, _signed_factored), _set(How.AT_CFA)),
    dw.CFA_DEF_CFA_SF: ((_unsigned, _signed_factored), _def_cfa),
    dw.CFA_DEF_CFA_OFFSET_SF: ((_signed_factored,), _def_cfa_offset),
    dw.CFA_VAL_OFFSET: ((_unsigned, _factored), _set(How.CFA_PLUS)),
    dw.CFA_VAL_OFFSET_SF: ((_unsigned, _signed_factored), _set(How.CFA_PLUS)),
    dw.CFA_VAL_EXPRESSION: ((_unsigned, _block), _set_expression),
}
"""Each instruction: what it takes, and what it does with that."""

_BY_OPCODE = {
    opcode: _INSTRUCTIONS[opcode & _PRIMARY or opcode]
    for opcode in range(256)
    if (opcode & _PRIMARY or opcode) in _INSTRUCTIONS
}
