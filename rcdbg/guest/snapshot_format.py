"""The format of snapshot files, for those who write and those who read them.

Format 1, described in docs/decoders/targets.md; all numbers are little-endian:

    prefix   magic, version, size of the header, size of the file, SHA-256 of all that follows
    header   JSON: registers, extent of RAM, and a list of the parts
    parts    compressed bytes, in the header's order, without gaps

RAM is kept as runs of pages that are not all zeros, in blocks that are unpacked when they are read.
"""

import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from rcdbg.riscv.pages import PAGE_SIZE

VERSION: Final = 1
"""Goes up when an older rcdbg could not read the file correctly."""

MAGIC: Final = b"\x89rcdbg-snap\r\n\x1a\n\0"
"""Like PNG's: a transfer that changes line ends or the eighth bit shows in it."""

MAX_FILE: Final = 1 << 30
MAX_HEADER: Final = 1 << 22
MAX_ELF: Final = 1 << 27
MAX_CONSOLE: Final = 1 << 26
MAX_RAM: Final = 1 << 40
BLOCK_PAGES: Final = 256
"""Pages that are compressed together: 1 MiB, the unit of memory that a reader takes."""

PREFIX: Final = struct.Struct(f"<{len(MAGIC)}sIIQ32s")
DIGEST_START: Final = PREFIX.size
RUN: Final = struct.Struct("<QI")
_LZMA_MEMORY: Final = 1 << 27
MAX_NAME: Final = 64
ZERO_PAGE: Final = bytes(PAGE_SIZE)


@dataclass(frozen=True, slots=True)
class Part:
    """Compressed bytes in the file: `size` when unpacked, `stored` bytes from `start` on."""

    name: str
    codec: str
    size: int
    start: int
    stored: int


def compress(content: bytes, codec: str) -> bytes:
    """A part as it is stored."""
    if codec == "lzma":
        return lzma.compress(content, preset=6)
    return zlib.compress(content, 6)


def unpack(data: bytes, part: Part, limit: int) -> bytes:
    """A part's content; raises one of `DAMAGE` unless it has exactly the size that was said."""
    if part.size > limit:
        raise ValueError(f"{part.name} claims {part.size} bytes")
    stored = data[part.start : part.start + part.stored]
    # One byte more than was said is asked for: then what follows is seen and not unpacked.
    if part.codec == "zlib":
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(stored, part.size + 1)
        whole = unpacker.eof and not unpacker.unused_data
    else:
        xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
        content = xz.decompress(stored, part.size + 1)
        whole = xz.eof and not xz.unused_data
    if len(content) != part.size or not whole:
        raise ValueError(f"{part.name} does not have the {part.size} bytes that it claims")
    return content


# What json, the decompressors and the checks below raise on a hostile header.
DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)
