"""The kernel's ELF file: what is in it, and one clear line when it is not one.

Source of the format: System V ABI, chapters 4 and 5; RISC-V ELF psABI.
"""

import contextlib
import hashlib
import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection
from elftools.elf.sections import Section as ElfSection

from rcdbg.errors import ImageError
from rcdbg.image import cache
from rcdbg.image.dwarf.cfi import CallFrames
from rcdbg.image.dwarf.forms import DebugSections, DwarfError
from rcdbg.image.dwarf.scoped import LocalVariable, local_variables
from rcdbg.image.dwarf.split import is_split
from rcdbg.image.elf_checks import check_header, check_tables, read_file
from rcdbg.image.lines import LineTable
from rcdbg.image.rows import Rows, Tables
from rcdbg.image.sections import Sections
from rcdbg.image.separate import find_separate
from rcdbg.image.symbols import Symbols, read_files, read_symbols
from rcdbg.image.tables import DebugTypes, Functions

T = TypeVar("T")

_PAGE_OFFSET = 0xFFFF_FFFF_0000_0000
_PHYSICAL_BITS = 56
_INFO = ".debug_info"

# What pyelftools and the readers of this package raise on damaged bytes. pyelftools promises only
# the first two, but lets through whatever its look-ups, assertions and arithmetic run into.
_DAMAGE = (
    ELFError,
    DWARFError,
    ConstructError,
    DwarfError,
    struct.error,
    zlib.error,
    AssertionError,
    AttributeError,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class LoadSegment:
    """A PT_LOAD segment; sizes in bytes, `flags` such as "rx"."""

    vaddr: int
    paddr: int
    offset: int
    file_size: int
    memory_size: int
    flags: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section; size in bytes, `flags` out of "w" (writable), "a" (allocated), "x" (code)."""

    name: str
    address: int
    size: int
    flags: str


@dataclass(frozen=True, slots=True)
class Image:
    """A kernel's ELF file, held in memory as it was when it was loaded.

    `build_id` is the GNU build id in hex, or else "sha256-" and the file's SHA-256.
    """

    path: Path
    build_id: str
    entry: int
    segments: tuple[LoadSegment, ...]
    sections: tuple[Section, ...]
    no_debug_info: str
    """Why it has no debug info; empty if it has."""
    _lazy: "_Lazy" = field(repr=False, compare=False)

    @property
    def has_debug_info(self) -> bool:
        """Whether types, functions and lines are known."""
        return not self.no_debug_info

    @property
    def file_size(self) -> int:
        """The size of the file in bytes."""
        return len(self._lazy.data)

    def kept(self, question: Hashable, find: Callable[[], T]) -> T:
        """What `find` returns, called once for each question, and kept with the image."""
        if question not in self._lazy.kept:
            self._lazy.kept[question] = find()
        return cast(T, self._lazy.kept[question])

    def locals_of(self, function: str) -> tuple[LocalVariable, ...]:
        """The local variables of the functions of that name, as far as their places are fixed.

        Raises ImageError for damaged debug info.
        """
        return self.kept(("locals", function), lambda: self._lazy.locals_of(function))

    @property
    def source_names(self) -> list[str]:
        """What its symbol table calls the files that it was made of: `hello.5f3e1c-cgu.0`."""
        return self._lazy.source_names

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return self._lazy.data

    @property
    def symbols(self) -> Symbols:
        """The symbol table; empty when the file was stripped."""
        return self._lazy.symbols

    @property
    def types(self) -> DebugTypes:
        """Types and statics; empty without debug info. Raises ImageError when it is damaged."""
        return self._lazy.types

    @property
    def functions(self) -> Functions:
        """Functions; empty without debug info. Raises ImageError when it is damaged."""
        return self._lazy.functions

    @property
    def lines(self) -> LineTable:
        """Source lines; empty without debug info. Raises ImageError when it is damaged."""
        return self._lazy.lines

    @property
    def call_frames(self) -> CallFrames:
        """Call frame information; empty without. Raises ImageError when it is damaged."""
        return self._lazy.call_frames

    def physical(self, va: int) -> int | None:
        """Where the byte at that virtual address was loaded; None outside of the segments.

        Linker scripts often give no load address, so that the file repeats the virtual one. Such a
        segment lies where its neighbours say, or else where kernels map themselves: at a multiple
        of 4 GiB plus the physical address. What each hart has a copy of is linked elsewhere, and
        its load address tells where the first copy lies.
        """
        segment = self._segment(va)
        return va - segment.vaddr + self._load_address(segment) if segment is not None else None

    def read(self, va: int, size: int) -> bytes | None:
        """The initial content of memory; zeros in .bss; None unless all of it is in the image."""
        parts = []
        while size > 0:
            segment = self._segment(va)
            if segment is None:
                return None
            offset = va - segment.vaddr
            taken = min(size, segment.memory_size - offset)
            start = segment.offset + offset
            filled = max(0, min(taken, segment.file_size - offset))
            parts += [self._lazy.data[start : start + filled], bytes(taken - filled)]
            va, size = va + taken, size - taken
        return b"".join(parts)

    def section(self, name: str) -> Section | None:
        """The section of that name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def _segment(self, va: int) -> LoadSegment | None:
        index = bisect_right(self.segments, va, key=lambda segment: segment.vaddr) - 1
        # Segments without a byte may share their address with the next one.
        for segment in self.segments[max(index - 1, 0) : index + 1][::-1]:
            if segment.vaddr <= va < segment.vaddr + segment.memory_size:
                return segment
        return None

    def _load_address(self, segment: LoadSegment) -> int:
        if segment.paddr >> _PHYSICAL_BITS == 0:
            return segment.paddr
        for other in self.segments:
            if other.paddr >> _PHYSICAL_BITS == 0:
                return segment.vaddr - other.vaddr + other.paddr
        return segment.paddr & ~_PAGE_OFFSET


def load_image(path: str | Path) -> Image:
    """The kernel in that file.

    Raises ImageError, with a line that says what to do, when the file is missing, unreadable or
    not a RISC-V kernel. Missing debug info is no error: see `Image.has_debug_info`.
    """
    path = Path(path)
    return image_of(read_file(path), path)


def image_of(data: bytes, path: Path) -> Image:
    """The kernel in these bytes; `path` is what errors call it. Raises ImageError as above."""
    check_header(path, data)
    with _damage(path, "ELF"):
        return _parse(path, data)


@contextmanager
def _damage(path: Path, what: str) -> Iterator[None]:
    """Turns whatever damaged bytes cause into an ImageError."""
    try:
        yield
    except _DAMAGE as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise ImageError(f"{path} has damaged {what} ({why}): build the kernel again") from error


def _parse(path: Path, data: bytes) -> Image:
    elf = ELFFile(io.BytesIO(data))
    check_tables(path, elf, len(data))
    segments = sorted(
        (
            LoadSegment(
                segment["p_vaddr"],
                segment["p_paddr"],
                segment["p_offset"],
                segment["p_filesz"],
                segment["p_memsz"],
                _letters(segment["p_flags"], "xwr")[::-1],
            )
            for segment in elf.iter_segments("PT_LOAD")
        ),
        key=lambda segment: segment.vaddr,
    )
    for segment in segments:
        if segment.offset + segment.file_size > len(data):
            raise ImageError(f"{path} is truncated: build the kernel again")
        if segment.file_size > segment.memory_size:
            raise ELFError("a segment with more bytes in the file than in memory")
    raw = list(elf.iter_sections())
    for section in raw:
        is_stored = section["sh_type"] not in ("SHT_NOBITS", "SHT_NULL")
        if is_stored and section["sh_offset"] + section["sh_size"] > len(data):
            raise ImageError(f"{path} is truncated: build the kernel again")
    sections = tuple(
        Section(
            section.name,
            section["sh_addr"],
            section["sh_size"],
            _letters(section["sh_flags"], "wax"),
        )
        for section in raw
        if not section.is_null()
    )
    own = Sections(data, raw)
    debug, no_debug_info = _debug(path, own, _build_id(raw))
    build_id = _build_id(raw) or f"sha256-{hashlib.sha256(data).hexdigest()}"
    lazy = _Lazy(path, data, own, debug, sections)
    return Image(path, build_id, elf["e_entry"], tuple(segments), sections, no_debug_info, lazy)


def _debug(path: Path, own: Sections, build_id: str | None) -> tuple[Sections | None, str]:
    """The sections with the debug info, or why there are none."""
    if not own.has(_INFO):
        separate = find_separate(path, own.content(".gnu_debuglink"), build_id)
        if separate.data is None:
            return None, separate.why or "it was built without, or stripped"
        elf = ELFFile(io.BytesIO(separate.data))
        check_tables(path, elf, len(separate.data))
        own = Sections(separate.data, elf.iter_sections())
        if not own.has(_INFO):
            return None, f"{separate.path} has none either"
    with contextlib.suppress(*_DAMAGE):  # which is told when somebody asks for a type
        if is_split(own.content(_INFO), own.content(".debug_abbrev")):
            return None, "it is in .dwo files: build with split-debuginfo off"
    return own, ""


def _letters(flags: int, names: str) -> str:
    return "".join(name for bit, name in enumerate(names) if flags >> bit & 1)


def _build_id(sections: list[ElfSection]) -> str | None:
    for section in sections:
        if isinstance(section, NoteSection):
            for note in section.iter_notes():
                if note["n_type"] == "NT_GNU_BUILD_ID" and note["n_name"] == "GNU":
                    return str(note["n_desc"])
    return None


class _Lazy:
    """What an image reads only when it is asked for."""

    def __init__(
        self,
        path: Path,
        data: bytes,
        own: Sections,
        debug: Sections | None,
        sections: tuple[Section, ...],
    ) -> None:
        self.data = data
        self.kept: dict[Hashable, object] = {}
        self._path, self._own, self._debug, self._sections = path, own, debug, sections

    @cached_property
    def _key(self) -> str:
        """What the debug info is kept under: a build id is its author's choice, this is not."""
        held = self._debug.data if self._debug is not None else self.data
        return hashlib.sha256(held).hexdigest()

    @cached_property
    def symbols(self) -> Symbols:
        regions = [(s.address, s.address + s.size) for s in self._sections if "a" in s.flags]
        with _damage(self._path, "symbols"):
            held = self._own
            if not held.has(".symtab") and self._debug is not None:
                held = self._debug
            return read_symbols(held.content(".symtab"), held.content(".strtab"), regions)

    @cached_property
    def source_names(self) -> list[str]:
        with _damage(self._path, "symbols"):
            return read_files(self._own.content(".symtab"), self._own.content(".strtab"))

    @cached_property
    def rows(self) -> Rows:
        if self._debug is None:
            return Tables()
        with _damage(self._path, "debug info"):
            return cache.tables(self._key, self._debug_sections)

    @cached_property
    def types(self) -> DebugTypes:
        return DebugTypes(self.rows)

    @cached_property
    def functions(self) -> Functions:
        return Functions(self.rows)

    @cached_property
    def lines(self) -> LineTable:
        if self._debug is None:
            return LineTable()
        with _damage(self._path, "line tables"):
            return cache.lines(self._key, self._debug_sections)

    @cached_property
    def call_frames(self) -> CallFrames:
        with _damage(self._path, "call frame information"):
            frames = b"" if self._debug is None else self._debug.content(".debug_frame")
            return CallFrames(
                frames, self._own.content(".eh_frame"), self._own.address(".eh_frame")
            )

    def locals_of(self, function: str) -> tuple[LocalVariable, ...]:
        if self._debug is None:
            return ()
        with _damage(self._path, "debug info"):
            named = {f.address for f in self.functions if f.path.rsplit("::", 1)[-1] == function}
            return local_variables(self._debug_sections(), function, frozenset(named))

    def _debug_sections(self) -> DebugSections:
        assert self._debug is not None
        fields = DebugSections.__dataclass_fields__
        return DebugSections(**{name: self._debug.content(f".debug_{name}") for name in fields})
