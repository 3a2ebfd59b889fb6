"""One line program of .debug_line: its header with the files, and the rows it makes.

Source of the format: DWARF 5, section 6.2; versions 2 to 4 of it differ in the file table alone.
"""

import struct
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.forms import DebugSections, DwarfError, c_string, read_form, sleb128, uleb128

IS_STMT = 1
END_SEQUENCE = 2
"""Bits of a row's flags."""

_TOMBSTONE = (1 << 64) - 2
_MAX_PROGRAM = 1 << 22
"""Bytes, each of which may be a row: those of the largest kernels of the kind have a tenth."""

LineRow = tuple[int, int, int, int, int]
"""Address, number of the file, line, column, flags."""


@dataclass(slots=True)
class LineHeader:
    """The header of one line program; `program` and `end` are where its instructions stand."""

    version: int
    minimum_step: int
    """Bytes."""
    default_flags: int
    line_base: int
    line_range: int
    opcode_base: int
    operand_counts: bytes
    files: list[str]
    program: int
    end: int


def read_header(sections: DebugSections, offset: int, comp_dir: str) -> LineHeader:
    """The header at that offset, of a unit that was compiled in the directory `comp_dir`.

    Raises DwarfError, IndexError or struct.error on damaged data.
    """
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
    minimum_step = data[position]
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
    return LineHeader(
        version,
        minimum_step,
        IS_STMT if default_is_stmt else 0,
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
    directories = [_join(comp_dir, str(entry.get(dw.LNCT_PATH, ""))) for entry in entries]
    entries, position = _entries(sections, position, offset_size)
    return [
        _join(directories[int(entry.get(dw.LNCT_DIRECTORY_INDEX, 0))], str(entry[dw.LNCT_PATH]))
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


def _join(directory: str, name: str) -> str:
    return str(PurePosixPath(directory, name)) if name else ""


def read_sequences(data: bytes, header: LineHeader, local: list[int]) -> list[list[LineRow]]:
    """The rows of each sequence of a line program, the last one flagged as its end.

    `local` are the caller's numbers of the header's files. Discarded code is left out.
    """
    if header.end - header.program > _MAX_PROGRAM:
        raise DwarfError(f"a line program of {header.end - header.program:,} bytes")
    sequences = []
    specials = _special_advances(header)
    position = header.program
    while position < header.end:
        rows, end, position = _sequence(data, position, header, specials, local)
        if rows and end is not None and rows[0][0] <= end < _TOMBSTONE:
            rows.append((end, 0, 0, 0, END_SEQUENCE))
            sequences.append(rows)
    return sequences


def _sequence(
    data: bytes,
    position: int,
    header: LineHeader,
    specials: list[tuple[int, int]],
    local: list[int],
) -> tuple[list[LineRow], int | None, int]:
    """Rows up to the next end of a sequence, the address there, and what comes behind it.

    No address where the program ends before. What of the state machine a row needs is in local
    variables: a kernel has a hundred thousand instructions of these.
    """
    rows: list[LineRow] = []
    program_end, opcode_base = header.end, header.opcode_base
    address, file, line, column, flags = 0, 1, 1, 0, header.default_flags
    is_alive, file_count = False, len(local)
    while position < program_end:
        opcode = data[position]
        position += 1
        if opcode >= opcode_base:
            advance, delta = specials[opcode - opcode_base]
            address += advance
            line += delta
        elif opcode == dw.LNS_SET_COLUMN:
            column, position = uleb128(data, position)
            continue
        elif opcode == dw.LNS_FIXED_ADVANCE_PC:
            address += data[position] | data[position + 1] << 8
            position += 2
            continue
        elif opcode == dw.LNS_ADVANCE_LINE:
            delta, position = sleb128(data, position)
            line += delta
            continue
        elif opcode == dw.LNS_NEGATE_STMT:
            flags ^= IS_STMT
            continue
        elif opcode == dw.LNS_SET_FILE:
            file, position = uleb128(data, position)
            continue
        elif opcode == dw.LNS_EXTENDED:
            size, position = uleb128(data, position)
            extended = data[position] if size else None
            if extended == dw.LNE_END_SEQUENCE:
                return rows, address, position + size
            if extended == dw.LNE_SET_ADDRESS:
                address = int.from_bytes(data[position + 1 : position + size], "little")
                # The linker leaves discarded code at address 0, or all ones.
                is_alive = 0 < address < _TOMBSTONE
            position += size
            continue
        elif opcode != dw.LNS_COPY:
            advance, position = _advance(data, position, opcode, header)
            address += advance
            continue
        if is_alive and address < _TOMBSTONE and file < file_count and 0 <= line < 1 << 32:
            rows.append((address, local[file], line, min(column, 0xFFFF), flags))
    return rows, None, position


def _special_advances(header: LineHeader) -> list[tuple[int, int]]:
    """What each special opcode adds to address and line (DWARF 5, section 6.2.5.1)."""
    if not header.line_range:
        raise DwarfError("a line table whose special instructions mean nothing")
    return [
        (
            number // header.line_range * header.minimum_step,
            header.line_base + number % header.line_range,
        )
        for number in range(256 - header.opcode_base)
    ]


def _advance(data: bytes, position: int, opcode: int, header: LineHeader) -> tuple[int, int]:
    """What a rarer instruction adds to the address, none if it is unknown; and what follows it."""
    if opcode == dw.LNS_ADVANCE_PC:
        delta, position = uleb128(data, position)
        return delta * header.minimum_step, position
    if opcode == dw.LNS_CONST_ADD_PC:
        return (255 - header.opcode_base) // header.line_range * header.minimum_step, position
    for _ in range(header.operand_counts[opcode - 1]):
        _, position = uleb128(data, position)
    return 0, position
