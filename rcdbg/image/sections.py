"""The contents of an ELF file's sections, uncompressed, within bounds.

Sources of the format: System V ABI, chapter 4, "Compressed sections" (zlib is 1, zstd is 2); what
GNU's assembler wrote before that, as `.zdebug_*`: "ZLIB", the size in 8 bytes with the highest
first, and a zlib stream.
"""

import struct
import zlib
from collections.abc import Iterable

from elftools.common.exceptions import ELFError
from elftools.elf.sections import Section as ElfSection

MAX_UNPACKED = 1 << 28
"""Bytes of all compressed sections together, unpacked: the 34 MB of a large kernel hold 60 MB."""

_ZLIB, _ZSTD = 1, 2
_HEADER = struct.Struct("<IIQQ")
_OLD_MAGIC, _OLD_HEADER = b"ZLIB", 12
_SHF_COMPRESSED = 1 << 11
_DEBUG, _OLD_DEBUG = ".debug_", ".zdebug_"


class Sections:
    """Contents by name; `.debug_info` also answers for an old `.zdebug_info`.

    Raises ELFError or zlib.error where a compressed one is damaged, and ELFError where all together
    claim more than MAX_UNPACKED bytes.
    """

    def __init__(self, data: bytes, raw: Iterable[ElfSection]) -> None:
        self.data = data
        self._raw = {section.name: section for section in reversed([*raw])}
        self._claimed: dict[str, int] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a section, and something in it."""
        section = self._find(name)
        return section is not None and section["sh_size"] > 0

    def address(self, name: str) -> int:
        """Where the section lies in memory; 0 if there is none."""
        section = self._find(name)
        return 0 if section is None else int(section["sh_addr"])

    def content(self, name: str) -> bytes:
        """The bytes of a section; empty when there is no such section."""
        section = self._find(name)
        if section is None or section["sh_type"] == "SHT_NOBITS":
            return b""
        start = section["sh_offset"]
        stored = self.data[start : start + section["sh_size"]]
        if section.name.startswith(_OLD_DEBUG):
            if not stored.startswith(_OLD_MAGIC) or len(stored) < _OLD_HEADER:
                raise ELFError(f"{section.name} does not start with ZLIB")
            size = int.from_bytes(stored[len(_OLD_MAGIC) : _OLD_HEADER], "big")
            return self._unpacked(name, _ZLIB, stored[_OLD_HEADER:], size)
        if not section["sh_flags"] & _SHF_COMPRESSED:
            return stored
        kind, _, size, _ = _HEADER.unpack_from(stored)
        return self._unpacked(name, kind, stored[_HEADER.size :], size)

    def _find(self, name: str) -> ElfSection | None:
        found = self._raw.get(name)
        if found is None and name.startswith(_DEBUG):
            found = self._raw.get(_OLD_DEBUG + name.removeprefix(_DEBUG))
        return found

    def _unpacked(self, name: str, kind: int, packed: bytes, size: int) -> bytes:
        self._claimed[name] = size
        if sum(self._claimed.values()) > MAX_UNPACKED:
            limit = f"{MAX_UNPACKED >> 20} MiB"
            raise ELFError(f"compressed sections that claim more than {limit}, {name} among them")
        if kind == _ZLIB:
            data = zlib.decompressobj().decompress(packed, size + 1)
        elif kind == _ZSTD:
            data = _unpacked_zstd(packed, size + 1)
        else:
            raise ELFError(f"{name} is compressed in a way that is not known ({kind})")
        if len(data) != size:
            raise ELFError(f"{name} claims {size} bytes and has others")
        return data


def _unpacked_zstd(packed: bytes, limit: int) -> bytes:
    import zstandard  # few ELFs need it, and a start should not wait for it

    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            return stream.read(limit)
    except zstandard.ZstdError as error:
        raise ELFError(str(error)) from error
