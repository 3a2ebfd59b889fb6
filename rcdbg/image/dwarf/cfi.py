"""Call frame information: where, at each instruction, the caller's registers are.

Only the entries' headers are read at first; the instructions of an entry are run when somebody asks
for a place in it. Source of the format: DWARF 5, section 6.4; RISC-V ELF psABI, "DWARF register
numbers" (x0..x31 are 0..31, column 64 is an alternate return column, CSR n is 4096 + n).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rcdbg.image.dwarf.cfi_program import RegisterRule, UnwindRow, execute
from rcdbg.image.dwarf.forms import DwarfError, inline_string, little, sleb128, take, uleb128

CSR_COLUMN = 4096
"""The DWARF register of CSR 0."""

_CIE_ID = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}
_DWARF64 = 0xFFFF_FFFF
_OVERLAPS = 8
_MAX_KNOWN = 1 << 14


@dataclass(frozen=True, slots=True)
class CallFrame:
    """What is true at one instruction. A register without a rule keeps its value; sp is the CFA."""

    cfa_register: int | None
    """With `cfa_offset` it gives the CFA; None where an expression would."""
    cfa_offset: int
    rules: Mapping[int, RegisterRule]
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
        alignments = cie.code_alignment, cie.data_alignment
        row = UnwindRow()
        execute(cie.instructions, row, UnwindRow(), alignments)
        first, end = fde.instructions
        execute(self._data[first:end], row, row.copy(), alignments, pc - fde.start)
        return CallFrame(
            row.cfa_register,
            row.cfa_offset,
            row.rules,
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
