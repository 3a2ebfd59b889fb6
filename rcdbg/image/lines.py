"""Source lines of code addresses, and back: .debug_line."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rcdbg.image.dwarf.forms import DebugSections, DwarfError
from rcdbg.image.dwarf.line_program import (
    END_SEQUENCE,
    IS_STMT,
    LineRow,
    read_header,
    read_sequences,
)

MAX_ROWS = 2_000_000
"""Rows that are read: a debug kernel has a tenth."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the source: the file as the compiler named it, 1-based line and column."""

    file: str
    line: int
    column: int


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
            files = self._files[table] = read_header(self._sections, table, directory).files
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
        if index < 0 or self.flags[index] & END_SEQUENCE or not self.lines[index]:
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
            if self.flags[index] & END_SEQUENCE or row_line != line or place[0] not in wanted:
                previous = None
            elif place != previous and self.flags[index] & IS_STMT:
                found.add(self.pcs[index])
                previous = place
        return sorted(found)

    def starts(self, first: int, end: int) -> list[int]:
        """Where statements begin in a stretch of code, ascending, each once."""
        found: dict[int, None] = {}
        for index in range(bisect_left(self.pcs, first), bisect_left(self.pcs, end)):
            if self.flags[index] & IS_STMT and not self.flags[index] & END_SEQUENCE:
                found[self.pcs[index]] = None
        return list(found)

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
    sequences: list[list[LineRow]] = []
    count = 0
    for offset, directory in tables:
        if not 0 <= offset < len(sections.line):
            continue
        header = read_header(sections, offset, directory)
        local = [numbers.setdefault(file, len(numbers)) for file in header.files]
        found = read_sequences(sections.line, header, local)
        count += sum(len(sequence) for sequence in found)
        if count > MAX_ROWS:
            raise DwarfError(f"more than {MAX_ROWS:,} rows of source lines")
        sequences += found
    sequences.sort(key=lambda rows: rows[0][0])
    table = LineTable(list(numbers))
    for rows in sequences:
        addresses, files, lines, columns, flags = zip(*rows, strict=True)
        table.pcs.extend(addresses)
        table.file_numbers.extend(files)
        table.lines.extend(lines)
        table.columns.extend(columns)
        table.flags.extend(flags)
    return table
