"""Call frame information: where, at each instruction, the caller's registers are.

Only the entries' headers are read at first; the instructions of an entry are run when somebody asks
for a place in it. Source of the format: DWARF 5, section 6.4; RISC-V ELF psABI, "DWARF register
numbers" (x0..x31 are 0..31, column 64 is an alternate return column, CSR n is 4096 + n).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from rcdbg.image.dwarf.forms import DwarfError, inline_string, little, sleb128, take, uleb128

CSR_COLUMN = 4096
"""The DWARF register of CSR 0."""

_CIE_ID = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}
_DWARF64 = 0xFFFF_FFFF
_OVERLAPS = 8
_MAX_STATES = 64
_MAX_KNOWN = 1 << 14


class How(Enum):
    """How to find a register of the caller."""

    UNDEFINED = "undefined"
    SAME = "same value"
    AT_CFA = "in memory at CFA + number"
    CFA_PLUS = "CFA + number"
    REGISTER = "in the register of that number"
    EXPRESSION = "a DWARF expression"


@dataclass(frozen=True, slots=True)
class Rule:
    """How to find one register of the caller; `number` is an offset in bytes or a register."""

    how: How
    number: int = 0


@dataclass(frozen=True, slots=True)
class CallFrame:
    """What is true at one instruction. A register without a rule keeps its value; sp is the CFA."""

    cfa_register: int | None
    """With `cfa_offset` it gives the CFA; None where an expression would."""
    cfa_offset: int
    rules: Mapping[int, Rule]
    return_column: int
    """The DWARF register whose value in the caller is the caller's pc."""
    is_signal: bool
    """Whether the caller was interrupted: its pc is not behind a call."""
    start: int
    """The first address of the entry, mostly a function's."""


@dataclass(frozen=True, slots=True)
class _Cie:
    code_alignment: int
    data_alignment: int
    return_column: int
    is_signal: bool
    address_size: int
    segment_size: int
    has_length: bool
    """Whether the augmentation says that a length stands before the instructions."""
    instructions: bytes


@dataclass(frozen=True, slots=True)
class _Fde:
    cie: int
    start: int
    size: int
    instructions: tuple[int, int]
    """Where they stand in the section: first byte, and the byte after the last."""


@dataclass(slots=True)
class _State:
    """The rules while an entry's instructions run."""

    cfa_register: int | None = None
    cfa_offset: int = 0
    rules: dict[int, Rule] = field(default_factory=dict)

    def copy(self) -> "_State":
        return _State(self.cfa_register, self.cfa_offset, dict(self.rules))


class CallFrames:
    """The entries of a .debug_frame section.

    Raises DwarfError when an entry reaches past the section's end.
    """

    def __init__(self, section: bytes = b"") -> None:
        self._data = section
        self._cies: dict[int, _Cie] = {}
        with _in_bounds():
            self._fdes = sorted(self._scan(), key=lambda fde: fde.start)
        self._starts = [fde.start for fde in self._fdes]
        self._known: dict[int, CallFrame] = {}

    def __len__(self) -> int:
        return len(self._fdes)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The (address, size in bytes) that each entry covers, by address."""
        return ((fde.start, fde.size) for fde in self._fdes)

    def at(self, pc: int) -> CallFrame | None:
        """The rules that hold before the instruction at `pc` runs; None if no entry covers it.

        Raises DwarfError for instructions that cannot be.
        """
        if (known := self._known.get(pc)) is not None:
            return known
        last = bisect_right(self._starts, pc) - 1
        for index in range(last, max(last - _OVERLAPS, -1), -1):
            fde = self._fdes[index]
            if pc < fde.start + fde.size:
                with _in_bounds():
                    found = self._run(fde, pc)
                if len(self._known) < _MAX_KNOWN:
                    self._known[pc] = found
                return found
        return None

    def _scan(self) -> Iterator[_Fde]:
        data, position = self._data, 0
        while position < len(data):
            entry, width = position, 4
            length = little(data, position, 4)
            position += 4
            if length == _DWARF64:
                width = 8
                length = little(data, position, 8)
                position += 8
            end = position + length
            if end > len(data):
                raise DwarfError(f"the entry at {entry:#x} of .debug_frame is cut off")
            if length >= width:
                cie = little(data, position, width)
                position += width
                if cie == _CIE_ID[width]:
                    self._cies[entry] = self._cie(position, end)
                elif (fde := self._fde(cie, position, end)) is not None:
                    yield fde
            position = end

    def _cie(self, position: int, end: int) -> _Cie:
        data = self._data[:end]
        version = little(data, position, 1)
        if version not in (1, 3, 4):
            raise DwarfError(f"version {version} of .debug_frame is not known")
        augmentation, position = inline_string(data, position + 1)
        address_size, segment_size = 8, 0
        if version == 4:
            address_size, segment_size = take(data, position, 2)
            position += 2
        code, position = uleb128(data, position)
        factor, position = sleb128(data, position)
        if version == 1:
            column, position = little(data, position, 1), position + 1
        else:
            column, position = uleb128(data, position)
        if augmentation.startswith("z"):
            length, position = uleb128(data, position)
            position += length
        elif augmentation:
            raise DwarfError(f"augmentation {augmentation!r} is not known")
        return _Cie(
            code,
            factor,
            column,
            "S" in augmentation,
            address_size,
            segment_size,
            augmentation.startswith("z"),
            take(data, position, max(end - position, 0)),
        )

    def _fde(self, offset: int, position: int, end: int) -> _Fde | None:
        cie = self._cies.get(offset)
        if cie is None:
            raise DwarfError(f"an entry of .debug_frame has no CIE at {offset:#x}")
        data, width = self._data, cie.address_size
        position += cie.segment_size
        start = little(data, position, width)
        size = little(data, position + width, width)
        position += 2 * width
        if cie.has_length:
            length, position = uleb128(data, position)
            position += length
        # The linker leaves the entries of functions that it discarded at address 0.
        if not start or not size:
            return None
        return _Fde(offset, start, size, (position, end))

    def _run(self, fde: _Fde, pc: int) -> CallFrame:
        cie = self._cies[fde.cie]
        state = _State()
        _execute(cie, cie.instructions, state, _State(), None)
        first, end = fde.instructions
        _execute(cie, self._data[first:end], state, state.copy(), pc - fde.start)
        return CallFrame(
            state.cfa_register,
            state.cfa_offset,
            state.rules,
            cie.return_column,
            cie.is_signal,
            fde.start,
        )


@contextmanager
def _in_bounds() -> Iterator[None]:
    """A read past the end is damage like any other."""
    try:
        yield
    except IndexError as error:
        raise DwarfError("an entry of .debug_frame is cut off") from error


def _execute(cie: _Cie, code: bytes, state: _State, initial: _State, until: int | None) -> None:
    """Runs call frame instructions on `state` up to the location `until`, an offset in bytes.

    `initial` is what DW_CFA_restore goes back to.
    """
    location, position = 0, 0
    saved: list[_State] = []
    rules = state.rules

    def unsigned() -> int:
        nonlocal position
        value, position = uleb128(code, position)
        return value

    def signed() -> int:
        nonlocal position
        value, position = sleb128(code, position)
        return value

    def expression() -> None:
        nonlocal position
        length = unsigned()
        take(code, position, length)
        position += length

    def set_rule(register: int, how: How, number: int = 0) -> None:
        rules[register] = Rule(how, number)

    def restore(register: int) -> None:
        if register in initial.rules:
            rules[register] = initial.rules[register]
        else:
            rules.pop(register, None)

    try:
        while position < len(code):
            opcode = code[position]
            position += 1
            high, low = opcode & 0xC0, opcode & 0x3F
            if high == 0x40 or opcode in _ADVANCE:
                delta = low
                if high != 0x40:
                    width = _ADVANCE[opcode]
                    delta = little(code, position, width)
                    position += width
                location += delta * cie.code_alignment
                if until is not None and location > until:
                    return
            elif high == 0x80:
                set_rule(low, How.AT_CFA, unsigned() * cie.data_alignment)
            elif high == 0xC0:
                restore(low)
            elif opcode == 0x00:  # DW_CFA_nop
                pass
            elif opcode == 0x05:  # DW_CFA_offset_extended
                register = unsigned()
                set_rule(register, How.AT_CFA, unsigned() * cie.data_alignment)
            elif opcode == 0x06:  # DW_CFA_restore_extended
                restore(unsigned())
            elif opcode == 0x07:  # DW_CFA_undefined
                set_rule(unsigned(), How.UNDEFINED)
            elif opcode == 0x08:  # DW_CFA_same_value
                set_rule(unsigned(), How.SAME)
            elif opcode == 0x09:  # DW_CFA_register
                register = unsigned()
                set_rule(register, How.REGISTER, unsigned())
            elif opcode == 0x0A:  # DW_CFA_remember_state
                saved.append(state.copy())
                if len(saved) > _MAX_STATES:
                    raise DwarfError("too many remembered states in .debug_frame")
            elif opcode == 0x0B:  # DW_CFA_restore_state
                if not saved:
                    raise DwarfError("a state of .debug_frame is restored that was not remembered")
                back = saved.pop()
                state.cfa_register, state.cfa_offset = back.cfa_register, back.cfa_offset
                rules.clear()
                rules.update(back.rules)
            elif opcode == 0x0C:  # DW_CFA_def_cfa
                state.cfa_register, state.cfa_offset = unsigned(), unsigned()
            elif opcode == 0x0D:  # DW_CFA_def_cfa_register
                state.cfa_register = unsigned()
            elif opcode == 0x0E:  # DW_CFA_def_cfa_offset
                state.cfa_offset = unsigned()
            elif opcode == 0x0F:  # DW_CFA_def_cfa_expression
                state.cfa_register = None
                expression()
            elif opcode in (0x10, 0x16):  # DW_CFA_expression, DW_CFA_val_expression
                set_rule(unsigned(), How.EXPRESSION)
                expression()
            elif opcode == 0x11:  # DW_CFA_offset_extended_sf
                register = unsigned()
                set_rule(register, How.AT_CFA, signed() * cie.data_alignment)
            elif opcode == 0x12:  # DW_CFA_def_cfa_sf
                state.cfa_register, state.cfa_offset = unsigned(), signed() * cie.data_alignment
            elif opcode == 0x13:  # DW_CFA_def_cfa_offset_sf
                state.cfa_offset = signed() * cie.data_alignment
            elif opcode == 0x14:  # DW_CFA_val_offset
                register = unsigned()
                set_rule(register, How.CFA_PLUS, unsigned() * cie.data_alignment)
            elif opcode == 0x15:  # DW_CFA_val_offset_sf
                register = unsigned()
                set_rule(register, How.CFA_PLUS, signed() * cie.data_alignment)
            else:
                raise DwarfError(f"call frame instruction {opcode:#x} is not known")
    except IndexError as error:
        raise DwarfError("a call frame instruction is cut off") from error


_ADVANCE = {0x02: 1, 0x03: 2, 0x04: 4}
"""DW_CFA_advance_loc1, 2 and 4, with the bytes of what follows."""
