"""Source lines of code addresses, and back: .debug_line.

Source of the format: DWARF 5, section 6.2; versions 2 to 4 of it differ in the file table alone.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rcdbg.image.dwarf.forms import DebugSections, DwarfError, c_string, read_form, sleb128, uleb128

_IS_STMT = 1
_END_SEQUENCE = 2

_TOMBSTONE = (1 << 64) - 2

_CONTENT_PATH = 1
_CONTENT_DIRECTORY = 2


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the source: the file as the compiler named it, 1-based line and column."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class _Header:
    """The header of one line program."""

    version: int
    minimum_instruction_length: int
    default_is_stmt: bool
    line_base: int
    line_range: int
    opcode_base: int
    operand_counts: bytes
    files: list[str]
    program: int
    end: int


class FileTables:
    """The file names of .debug_line, by the offset of a unit's table and the number of a file."""

    def __init__(self, sections: DebugSections) -> None:
        self._sections = sections
        self._directories: dict[int, str] = {}
        self._files: dict[int, list[str]] = {}

    def set_directory(self, table: int, directory: str) -> None:
        """Tells in which directory the unit with that table was compiled (DW_AT_comp_dir)."""
        self._directories.setdefault(table, directory)

    def path(self, table: int, number: int) -> str | None:
        """The full path of a file; None when the table is missing or does not list it."""
        if not 0 <= table < len(self._sections.line):
            return None
        files = self._files.get(table)
        if files is None:
            directory = self._directories.get(table, "")
            files = self._files[table] = _header(self._sections, table, directory).files
        return files[number] or None if 0 <= number < len(files) else None


@dataclass(slots=True)
class LineTable:
    """All rows of .debug_line, sequences in ascending order; parallel arrays."""

    files: list[str] = field(default_factory=list)
    pcs: "array[int]" = field(default_factory=lambda: array("Q"))
    file_numbers: "array[int]" = field(default_factory=lambda: array("I"))
    lines: "array[int]" = field(default_factory=lambda: array("I"))
    columns: "array[int]" = field(default_factory=lambda: array("H"))
    flags: "array[int]" = field(default_factory=lambda: array("B"))

    def lookup(self, pc: int) -> SourceLine | None:
        """The source line of the instruction at `pc`; None for code without lines."""
        index = bisect_right(self.pcs, pc) - 1
        if index < 0 or self.flags[index] & _END_SEQUENCE or not self.lines[index]:
            return None
        file = self.files[self.file_numbers[index]]
        return SourceLine(file, self.lines[index], self.columns[index])

    def addresses(self, file_suffix: str, line: int) -> list[int]:
        """Where the code of that line begins, ascending: one address for each piece of it.

        `file_suffix` is a path or its last segments (`process/thread.rs`). A line without code
        has no address.
        """
        wanted = {i for i, file in enumerate(self.files) if has_suffix(file, file_suffix)}
        found: set[int] = set()
        previous = None
        for index, row_line in enumerate(self.lines):
            if row_line != line and previous is None:
                continue
            place = (self.file_numbers[index], row_line)
            if self.flags[index] & _END_SEQUENCE or row_line != line or place[0] not in wanted:
                previous = None
            elif place != previous and self.flags[index] & _IS_STMT:
                found.add(self.pcs[index])
                previous = place
        return sorted(found)

    def source_files(self) -> list[str]:
        """Every file that has code, sorted."""
        return sorted({self.files[number] for number in set(self.file_numbers)} - {""})


def has_suffix(file: str, suffix: str) -> bool:
    """Whether `suffix` is the path `file` or its last segments."""
    return file == suffix or file.endswith("/" + suffix.lstrip("/"))


def source_path(file: str, roots: Iterable[Path] = ()) -> Path | None:
    """The file on this machine that the compiler called `file`; None when there is none.

    The kernel may have been built elsewhere: then the longest tail of the path that exists below
    one of `roots` is taken, the earlier root first.
    """
    path = Path(file)
    if path.is_file():
        return path
    parts = PurePosixPath(file).parts
    parts = parts[1:] if parts[:1] == ("/",) else parts
    candidates = [root for root in roots if root.is_dir()]
    for start in range(len(parts)):
        # `..` could lead out of the root that the user allowed.
        if ".." in parts[start:]:
            continue
        for root in candidates:
            candidate = root.joinpath(*parts[start:])
            if candidate.is_file():
                return candidate
    return None


def read_lines(sections: DebugSections, tables: Iterable[tuple[int, str]]) -> LineTable:
    """The rows of the line programs at those offsets, each with its compilation directory.

    Sequences of code that the linker discarded are left out.
    Raises DwarfError, IndexError or struct.error on damaged data.
    """
    numbers: dict[str, int] = {}
    sequences: list[tuple[int, list[tuple[int, int, int, int, int]]]] = []
    for offset, directory in tables:
        if not 0 <= offset < len(sections.line):
            continue
        header = _header(sections, offset, directory)
        local = [numbers.setdefault(file, len(numbers)) for file in header.files]
        sequences += _run(sections.line, header, local)
    sequences.sort(key=lambda sequence: sequence[0])
    table = LineTable(list(numbers))
    for _, rows in sequences:
        addresses, files, lines, columns, flags = zip(*rows, strict=True)
        table.pcs.extend(addresses)
        table.file_numbers.extend(files)
        table.lines.extend(lines)
        table.columns.extend(columns)
        table.flags.extend(flags)
    return table


def _join(directory: str, name: str) -> str:
    return str(PurePosixPath(directory, name)) if name else ""


def _header(sections: DebugSections, offset: int, comp_dir: str) -> _Header:
    data = sections.line
    (length,) = struct.unpack_from("<I", data, offset)
    position, offset_size = offset + 4, 4
    if length == 0xFFFFFFFF:
        (length,) = struct.unpack_from("<Q", data, position)
        position, offset_size = position + 8, 8
    end = position + length
    if end > len(data):
        raise DwarfError(f"the line table at {offset:#x} reaches past its section")
    (version,) = struct.unpack_from("<H", data, position)
    position += 2
    if not 2 <= version <= 5:
        raise DwarfError(f"the line table at {offset:#x} is of version {version}")
    if version == 5:
        position += 2  # address size, segment selector size
    header_length = int.from_bytes(data[position : position + offset_size], "little")
    position += offset_size
    program = position + header_length
    minimum_instruction_length = data[position]
    position += 2 if version >= 4 else 1  # maximum operations: RISC-V is no VLIW machine
    default_is_stmt, line_base, line_range, opcode_base = struct.unpack_from(
        "<BbBB", data, position
    )
    position += 4
    operand_counts = data[position : position + opcode_base - 1]
    position += opcode_base - 1
    if version == 5:
        files = _files_v5(sections, position, offset_size, comp_dir)
    else:
        files = _files_v2(data, position, comp_dir)
    return _Header(
        version,
        minimum_instruction_length,
        bool(default_is_stmt),
        line_base,
        line_range,
        opcode_base,
        operand_counts,
        files,
        program,
        end,
    )


def _files_v2(data: bytes, position: int, comp_dir: str) -> list[str]:
    directories = [comp_dir]
    while data[position]:
        directory = c_string(data, position)
        position = data.index(0, position) + 1
        directories.append(_join(comp_dir, directory))
    position += 1
    files = [""]  # file numbers start at 1
    while data[position]:
        name = c_string(data, position)
        position = data.index(0, position) + 1
        directory_number, position = uleb128(data, position)
        _, position = uleb128(data, position)  # time
        _, position = uleb128(data, position)  # length
        files.append(_join(directories[directory_number], name))
    return files


def _files_v5(sections: DebugSections, position: int, offset_size: int, comp_dir: str) -> list[str]:
    entries, position = _entries(sections, position, offset_size)
    directories = [_join(comp_dir, str(entry.get(_CONTENT_PATH, ""))) for entry in entries]
    entries, position = _entries(sections, position, offset_size)
    return [
        _join(directories[int(entry.get(_CONTENT_DIRECTORY, 0))], str(entry[_CONTENT_PATH]))
        for entry in entries
    ]


def _entries(
    sections: DebugSections, position: int, offset_size: int
) -> tuple[list[dict[int, Any]], int]:
    """One table of directories or files, described by its own formats (DWARF 5, 6.2.4.1)."""
    data = sections.line
    format_count = data[position]
    position += 1
    formats = []
    for _ in range(format_count):
        content, position = uleb128(data, position)
        form, position = uleb128(data, position)
        formats.append((content, form))
    count, position = uleb128(data, position)
    if count > len(data):
        raise DwarfError("a file table longer than its section")
    entries = []
    for _ in range(count):
        entry: dict[int, Any] = {}
        for content, form in formats:
            entry[content], position = read_form(sections, data, position, form, offset_size)
        entries.append(entry)
    return entries, position


def _run(
    data: bytes, header: _Header, local: list[int]
) -> list[tuple[int, list[tuple[int, int, int, int, int]]]]:
    """The sequences of one line program: (start, rows of address, file, line, column, flags)."""
    sequences = []
    rows: list[tuple[int, int, int, int, int]] = []
    position, end = header.program, header.end
    opcode_base, line_base, line_range = header.opcode_base, header.line_base, header.line_range
    step = header.minimum_instruction_length
    default_flags = _IS_STMT if header.default_is_stmt else 0
    address, file, line, column, flags = 0, 1, 1, 0, default_flags
    is_alive, file_count = False, len(local)
    while position < end:
        opcode = data[position]
        position += 1
        if opcode >= opcode_base:
            advance, delta = divmod(opcode - opcode_base, line_range)
            address += advance * step
            line += line_base + delta
        elif opcode == 1:  # copy
            pass
        elif opcode == 9:  # fixed_advance_pc
            address += data[position] | data[position + 1] << 8
            position += 2
            continue
        elif opcode == 3:  # advance_line
            delta, position = sleb128(data, position)
            line += delta
            continue
        elif opcode == 5:  # set_column
            column, position = uleb128(data, position)
            continue
        elif opcode == 4:  # set_file
            file, position = uleb128(data, position)
            continue
        elif opcode == 2:  # advance_pc
            delta, position = uleb128(data, position)
            address += delta * step
            continue
        elif opcode == 6:  # negate_stmt
            flags ^= _IS_STMT
            continue
        elif opcode == 8:  # const_add_pc
            address += (255 - opcode_base) // line_range * step
            continue
        elif opcode == 0:
            size, position = uleb128(data, position)
            if size == 0:
                continue
            extended = data[position]
            if extended == 2:  # set_address
                address = int.from_bytes(data[position + 1 : position + size], "little")
                # The linker leaves discarded code at address 0, or all ones.
                is_alive = 0 < address < _TOMBSTONE
            elif extended == 1:  # end_sequence
                if rows and rows[0][0] <= address < _TOMBSTONE:
                    rows.append((address, 0, 0, 0, _END_SEQUENCE))
                    sequences.append((rows[0][0], rows))
                rows, is_alive = [], False
                address, file, line, column, flags = 0, 1, 1, 0, default_flags
            position += size
            continue
        else:
            for _ in range(header.operand_counts[opcode - 1]):
                _, position = uleb128(data, position)
            continue
        if is_alive and address < _TOMBSTONE and file < file_count and 0 <= line < 1 << 32:
            rows.append((address, local[file], line, min(column, 0xFFFF), flags))
    return sequences
