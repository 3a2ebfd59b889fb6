"""A program for U-mode: an ELF inside of something else, or a file of its own.

Source of the format: System V ABI, chapters 4 and 5.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image, image_of

MAX_PROGRAM = 1 << 28
"""Bytes of an ELF that are looked at: debug builds have tens of megabytes."""

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_MAGIC = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian, version 1
_RISCV, _EXECUTABLES = 243, (2, 3)
_SECTION_SIZE = 64
_MAX_SEGMENTS = 64
_FIRST = 1 << 14
"""Bytes from the start that the program headers are looked for in."""
_PT_LOAD, _X, _W = 1, 1, 2


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a program that are loaded and never written to; `address` is virtual."""

    address: int
    content: bytes
    is_code: bool

    def has(self, address: int) -> bool:
        """Whether the byte at that virtual address is one of them."""
        return 0 <= address - self.address < len(self.content)


@dataclass(frozen=True)
class Program:
    """A program: its name, where it was found, and its ELF, which is read when somebody asks."""

    name: str
    origin: str
    """In words: `in the kernel`, `in fs.img`, `in user/target/.../debug`."""
    contents: Callable[[], bytes] = field(repr=False, compare=False)
    """Its ELF; raises ImageError where that cannot be read."""
    order: int = 0
    """The better one, where several explain the same bytes equally well, has the lower one."""
    address: int | None = None
    """Of one in the kernel: where it lies."""
    part: Callable[[int, int], bytes] | None = field(default=None, repr=False, compare=False)
    """As many bytes of its ELF from an offset on as there are, where not all have to be read."""

    @cached_property
    def image(self) -> Image:
        """Its ELF; raises ImageError for one that is damaged."""
        return image_of(self.contents(), Path(self.name))

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """What of it nobody writes to, ascending; raises ImageError if it is damaged."""
        part = self.part or _part_of(self.contents())
        start = part(0, _FIRST)
        headers = segments(start, 0, len(start))
        if headers is None:
            raise ImageError(f"{self.name} is no program for RISC-V")
        found = []
        for kind, flags, offset, vaddr, _, size, _, _ in headers:
            if kind != _PT_LOAD or not size or flags & _W:
                continue
            content = part(offset, size) if size <= MAX_PROGRAM else b""
            if len(content) != size:
                raise ImageError(f"{self.name} is truncated")
            found.append(Piece(vaddr, content, bool(flags & _X)))
        return tuple(sorted(found, key=lambda piece: piece.address))

    def code_at(self, address: int) -> Piece | None:
        """Its code around that virtual address, or None; raises ImageError if it is damaged."""
        return next((p for p in self.pieces if p.is_code and p.has(address)), None)

    @property
    def worth(self) -> tuple[bool, bool, int]:
        """How much it can tell: lines before symbols, symbols before none; less is better."""
        return not self.image.has_debug_info, self.image.section(".symtab") is None, self.order


def _part_of(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: data[start : start + size]


def segments(data: bytes, start: int, end: int) -> list[tuple[int, ...]] | None:
    """The program headers of an executable for RISC-V that begins at `start`, or None.

    Its file may reach as far as `end`.
    """
    if start + _HEADER.size > end or data[start : start + len(_MAGIC)] != _MAGIC:
        return None
    header = _HEADER.unpack_from(data, start)
    kind, machine, at = header[1], header[2], header[5]
    size, count = header[9:11]
    if machine != _RISCV or kind not in _EXECUTABLES or not 0 < count <= _MAX_SEGMENTS:
        return None
    if size != _SEGMENT.size or start + at + count * size > end:
        return None
    return [_SEGMENT.unpack_from(data, start + at + number * size) for number in range(count)]


def elf_size(data: bytes, start: int, end: int) -> int | None:
    """How far an ELF reaches that begins at `start`, in bytes; None if none does up to `end`."""
    headers = segments(data, start, end)
    if headers is None:
        return None
    header = _HEADER.unpack_from(data, start)
    segments_at, sections_at, section_size, sections = header[5], header[6], header[11], header[12]
    if sections and section_size != _SECTION_SIZE:
        return None
    reach = max(segments_at + len(headers) * _SEGMENT.size, sections_at + sections * section_size)
    reach = max(reach, *(offset + size for _, _, offset, _, _, size, _, _ in headers))
    return reach if start + reach <= end else None
