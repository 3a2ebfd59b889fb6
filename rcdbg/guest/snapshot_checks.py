"""What a snapshot file says of itself, checked: it may come from anybody.

Every size is checked against the file and a limit before memory is taken for it, and nothing in it
is ever executed. What is wrong is raised as one of DAMAGE.
"""

import hashlib
import json
from typing import Any, Final

from rcdbg.errors import TargetError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.guest.snapshot_format import (
    DIGEST_START,
    MAGIC,
    MAX_HEADER,
    MAX_NAME,
    MAX_RAM,
    PREFIX,
    RUN,
    VERSION,
    Part,
)
from rcdbg.riscv.pages import PAGE_SIZE, PHYSICAL_BITS
from rcdbg.riscv.registers import MASK64

_ZLIB_RATIO: Final = 1100
"""zlib cannot do better than 1032 to 1: what claims more is not its output."""
_MAX_REGISTERS: Final = 1 << 13


class SnapshotError(TargetError):
    """The file is no snapshot, is damaged, or was written by a newer rcdbg."""


def header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """The header, and where it ends; raises SnapshotError or one of `DAMAGE`."""
    if not data.startswith(MAGIC[: max(len(data), 1)]):
        raise SnapshotError(f"{name} is not a snapshot of rcdbg: rcdbg snapshot FILE writes one")
    if len(data) < PREFIX.size:
        raise SnapshotError(f"{name} is truncated: take the snapshot again")
    _, version, header_size, size, digest = PREFIX.unpack_from(data)
    if version > VERSION:
        raise SnapshotError(
            f"{name} was written by a newer rcdbg (format {version}, this one reads {VERSION}): "
            "update rcdbg"
        )
    if version < 1:
        raise ValueError(f"format {version}")
    if len(data) < size:
        raise SnapshotError(
            f"{name} is truncated: {len(data)} of {size} bytes are there; take the snapshot again"
        )
    if len(data) > size:
        raise ValueError(f"{len(data) - size} bytes too many")
    if hashlib.sha256(memoryview(data)[DIGEST_START:]).digest() != digest:
        raise ValueError("its checksum is wrong")
    if header_size > min(MAX_HEADER, len(data) - PREFIX.size):
        raise ValueError(f"a header of {header_size} bytes")
    text = data[PREFIX.size : PREFIX.size + header_size]
    header = json.loads(text.decode("utf-8"))
    if not isinstance(header, dict):
        raise TypeError("its header is no object")
    return header, PREFIX.size + header_size


def parts(listed: list[Any], data: bytes, at: int) -> tuple[list[Part], dict[str, Part]]:
    """The blocks of memory in order, and the other parts by name; the first lies at `at`."""
    blocks: list[Part] = []
    by_name: dict[str, Part] = {}
    for name, codec, size, stored in listed:
        part = Part(text(name), codec, _count(size), at, _count(stored))
        at += part.stored
        if at > len(data):
            raise ValueError(f"{part.name} ends behind the file")
        if codec not in ("zlib", "lzma"):
            raise ValueError("an unknown codec")
        if codec == "zlib" and part.size > part.stored * _ZLIB_RATIO:
            raise ValueError(f"{part.name} claims {part.size} bytes")
        if part.name == "block":
            blocks.append(part)
        elif part.name in by_name:
            raise ValueError(f"{part.name} twice")
        else:
            by_name[part.name] = part
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes belong to no part")
    for name in ("elf", "runs"):
        if name not in by_name:
            raise ValueError(f"no {name} in it")
    return blocks, by_name


def runs(content: bytes) -> list[tuple[int, int]]:
    """The runs of pages that are kept: (page number, pages)."""
    return list(RUN.iter_unpack(content))


def ram(found: dict[str, Any]) -> Ram:
    """The extent of RAM: whole pages that a physical address can name."""
    ram = Ram(_word(found["start"]), _count(found["size"]))
    if ram.start % PAGE_SIZE or ram.size % PAGE_SIZE or not 0 < ram.size <= MAX_RAM:
        raise ValueError(f"RAM of {ram.size} bytes at {ram.start:#x}")
    if ram.end >> PHYSICAL_BITS:
        raise ValueError(f"RAM at {ram.start:#x}")
    return ram


def registers(found: dict[str, Any]) -> Registers:
    """The hart's registers."""
    x = tuple(_word(value) for value in found["x"])
    if len(x) != 32:
        raise ValueError(f"{len(x)} registers")
    privilege = found["privilege"]
    if privilege is not None and (type(privilege) is not int or not 0 <= privilege <= 3):
        raise ValueError("its privilege")
    return Registers(_word(found["pc"]), x, named_values(found["csrs"]), privilege)


def named_values(found: dict[str, Any]) -> dict[str, int]:
    """Registers by name."""
    if len(found) > _MAX_REGISTERS:
        raise ValueError(f"{len(found)} registers")
    return {text(name): _word(value) for name, value in found.items()}


def _word(text: object) -> int:
    """An unsigned 64-bit value, written as text."""
    if not isinstance(text, str) or len(text) > 18:
        raise TypeError("a value that is no number")
    value = int(text, 16)
    if not 0 <= value <= MASK64:
        raise ValueError(f"the value {text}")
    return value


def _count(number: object) -> int:
    if type(number) is not int or not 0 <= number < 1 << 63:
        raise TypeError("a size that is no number")
    return number


def text(value: object) -> str:
    """A short name without control characters."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_NAME:
        raise TypeError("a name that is no text")
    return value
