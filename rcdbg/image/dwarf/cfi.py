"""Call frame information: where, at each instruction, the caller's registers are.

Only the entries' headers are read at first; the instructions of an entry are run when somebody asks
for a place in it. Sources of the format: DWARF 5, section 6.4, for .debug_frame; Linux Standard
Base, "Exception Frames", for .eh_frame, which is all that there is with `panic = "abort"` and fat
LTO; RISC-V ELF psABI, "DWARF register numbers" (x0..x31 are 0..31, column 64 is an alternate return
column, CSR n is 4096 + n).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rcdbg.image.dwarf.cfi_program import RegisterRule, UnwindRow, execute
from rcdbg.image.dwarf.forms import DwarfError, inline_string, little, sleb128, take, uleb128

CSR_COLUMN = 4096
"""The DWARF register of CSR 0."""

# How .eh_frame writes an address (DW_EH_PE): the low half byte says the form, the high one to what
# it is relative.
_OMITTED, _RELATIVE, _PC_RELATIVE = 0xFF, 0x70, 0x10
_POINTER_FORMS = {0x0: (8, False), 0x2: (2, False), 0x3: (4, False), 0x4: (8, False),
                  0xA: (2, True), 0xB: (4, True), 0xC: (8, True)}  # fmt: skip
_ULEB, _SLEB = 0x1, 0x9

_CIE_ID = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}
_DWARF64 = 0xFFFF_FFFF
_OVERLAPS = 8
_MASK64 = (1 << 64) - 1
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
    encoding: int
    """How its FDEs write an address; only in .eh_frame."""
    instructions: bytes


@dataclass(frozen=True, slots=True)
class _Fde:
    cie: int
    start: int
    size: int
    instructions: tuple[int, int]
    """Where they stand in the section: first byte, and the byte after the last."""


class CallFrames:
    """The entries of a .debug_frame section, and those of an .eh_frame section at its address.

    Where both cover an instruction, the first one's hold. Raises DwarfError when an entry reaches
    past its section's end.
    """

    def __init__(
        self, section: bytes = b"", eh_frame: bytes = b"", eh_frame_address: int = 0
    ) -> None:
        self._tables = (_Table(section), _EhTable(eh_frame, eh_frame_address))
        self._known: dict[int, CallFrame] = {}

    def __len__(self) -> int:
        return sum(len(table.fdes) for table in self._tables)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The (address, size in bytes) that each entry covers, by address."""
        found = [(fde.start, fde.size) for table in self._tables for fde in table.fdes]
        return iter(sorted(found))

    def at(self, pc: int) -> CallFrame | None:
        """The rules that hold before the instruction at `pc` runs; None if no entry covers it.

        Raises DwarfError for instructions that cannot be.
        """
        if (known := self._known.get(pc)) is not None:
            return known
        for table in self._tables:
            found = table.at(pc)
            if found is not None:
                if len(self._known) < _MAX_KNOWN:
                    self._known[pc] = found
                return found
        return None


class _Table:
    """The entries of one section, by address."""

    name = ".debug_frame"

    def __init__(self, section: bytes, address: int = 0) -> None:
        self._data, self._address = section, address
        self._cies: dict[int, _Cie] = {}
        with self._in_bounds():
            self.fdes = sorted(self._scan(), key=lambda fde: fde.start)
        self._starts = [fde.start for fde in self.fdes]

    def at(self, pc: int) -> CallFrame | None:
        """As that of CallFrames."""
        last = bisect_right(self._starts, pc) - 1
        for index in range(last, max(last - _OVERLAPS, -1), -1):
            fde = self.fdes[index]
            if pc < fde.start + fde.size:
                with self._in_bounds():
                    return self._run(fde, pc)
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
                raise DwarfError(f"the entry at {entry:#x} of {self.name} is cut off")
            if length >= width:
                cie, behind = self._pointer(position, width)
                if cie is None:
                    self._cies[entry] = self._cie(behind, end)
                elif (fde := self._fde(cie, behind, end)) is not None:
                    yield fde
            position = end

    def _pointer(self, position: int, width: int) -> tuple[int | None, int]:
        """Where an entry says that its CIE is, None if it is one, and the position behind that."""
        cie = little(self._data, position, width)
        return (None if cie == _CIE_ID[width] else cie), position + width

    def _cie(self, position: int, end: int) -> _Cie:
        data = self._data[:end]
        version = little(data, position, 1)
        if version not in (1, 3, 4):
            raise DwarfError(f"version {version} of {self.name} is not known")
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
        encoding = 0
        if augmentation.startswith("z"):
            length, position = uleb128(data, position)
            encoding = self._encoding(augmentation, position)
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
            encoding,
            take(data, position, max(end - position, 0)),
        )

    def _encoding(self, augmentation: str, position: int) -> int:
        """How the FDEs of a CIE with that augmentation data write addresses."""
        return 0

    def _range(self, cie: _Cie, position: int) -> tuple[int, int, int]:
        """The first address and the size of an FDE, both 0 if it is none, and where they end."""
        width = cie.address_size
        position += cie.segment_size
        start = little(self._data, position, width)
        return start, little(self._data, position + width, width), position + 2 * width

    def _fde(self, offset: int, position: int, end: int) -> _Fde | None:
        cie = self._cies.get(offset)
        if cie is None:
            raise DwarfError(f"an entry of {self.name} has no CIE at {offset:#x}")
        start, size, position = self._range(cie, position)
        if cie.has_length:
            length, position = uleb128(self._data, position)
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
    def _in_bounds(self) -> Iterator[None]:
        """A read past the end is damage like any other."""
        try:
            yield
        except IndexError as error:
            raise DwarfError(f"an entry of {self.name} is cut off") from error


class _EhTable(_Table):
    """The same of .eh_frame: entries point backwards, and addresses are written as a CIE says."""

    name = ".eh_frame"

    def _pointer(self, position: int, width: int) -> tuple[int | None, int]:
        back = little(self._data, position, 4)  # 4 bytes also behind a long length
        return (position - back if back else None), position + 4

    def _encoding(self, augmentation: str, position: int) -> int:
        encoding = 0
        for letter in augmentation[1:]:
            if letter == "R":
                encoding = little(self._data, position, 1)
            if letter in "RL":
                position += 1
            elif letter == "P":
                how = little(self._data, position, 1)
                position = self._address_at(position + 1, how)[1]
            elif letter not in "SBG":
                raise DwarfError(f"augmentation {augmentation!r} is not known")
        return encoding

    def _range(self, cie: _Cie, position: int) -> tuple[int, int, int]:
        start, position = self._address_at(position, cie.encoding)
        size, position = self._address_at(position, cie.encoding & ~_RELATIVE)
        return start, size, position

    def _address_at(self, position: int, encoding: int) -> tuple[int, int]:
        """An address written in that way, 0 if there is none, and the position behind it."""
        if encoding == _OMITTED:
            return 0, position
        here, form = self._address + position, encoding & 0xF
        if form in (_ULEB, _SLEB):
            value, position = (uleb128 if form == _ULEB else sleb128)(self._data, position)
        elif form in _POINTER_FORMS:
            width, signed = _POINTER_FORMS[form]
            value = int.from_bytes(take(self._data, position, width), "little", signed=signed)
            position += width
        else:
            raise DwarfError(f"an address of the form {encoding:#x} in .eh_frame is not known")
        base = encoding & _RELATIVE
        if base not in (0, _PC_RELATIVE):
            raise DwarfError(f"an address relative to what {encoding:#x} means is not known")
        return ((value + here) & _MASK64 if base and value else value & _MASK64), position
