"""A stopped machine in one file: memory, registers, the console so far, and the kernel's ELF.

Format 1, described in docs/decoders/targets.md; all numbers are little-endian:

    prefix   magic, version, size of the header, size of the file, SHA-256 of all that follows
    header   JSON: registers, extent of RAM, and a list of the parts
    parts    compressed bytes, in the header's order, without gaps

RAM is kept as runs of pages that are not all zeros, in blocks that are unpacked when they are read.
A file may come from anybody: every size is checked against the file and a limit before memory is
taken for it, and nothing in it is ever executed.
"""

import contextlib
import hashlib
import json
import lzma
import os
import stat
import struct
import tempfile
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rcdbg.errors import MemoryReadError, TargetError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.riscv.registers import MASK64

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

_KEPT_BLOCKS: Final = 32
_PREFIX: Final = struct.Struct(f"<{len(MAGIC)}sIIQ32s")
_DIGEST_START: Final = _PREFIX.size
_RUN: Final = struct.Struct("<QI")
_ZLIB_RATIO: Final = 1100
"""zlib cannot do better than 1032 to 1: what claims more is not its output."""
_LZMA_MEMORY: Final = 1 << 27
_PHYSICAL_BITS: Final = 56
_MAX_REGISTERS: Final = 1 << 13
_MAX_NAME: Final = 64
_ZERO_PAGE: Final = bytes(PAGE_SIZE)
_SCAN: Final = 1 << 20

ReadPhys = Callable[[int, int], bytes]


class SnapshotError(TargetError):
    """The file is no snapshot, is damaged, or was written by a newer rcdbg."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is kept of a stopped machine, beside its memory.

    `elf` is the kernel's file and `kernel_name` its name; `console` what was printed so far, or
    None where nobody listened; `others` are registers that `Registers` has no place for.
    """

    registers: Registers
    ram: Ram
    elf: bytes
    kernel_name: str
    console: str | None = None
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """Compressed bytes in the file: `size` when unpacked, `stored` bytes from `start` on."""

    name: str
    codec: str
    size: int
    start: int
    stored: int


class Snapshot:
    """A snapshot that has been read; `target` is its memory and registers."""

    def __init__(self, data: bytes, name: str) -> None:
        """Raises SnapshotError for anything but a whole snapshot that this rcdbg understands."""
        self.name = name
        with _refusing(name):
            header, end = _header(data, name)
            blocks, by_name = _parts(header["parts"], data, end)
            self.registers = _registers(header["registers"])
            self.others = _named_values(header.get("others", {}))
            self.ram = _ram(header["ram"])
            self.kernel_name = _text(header["kernel"])
            self.elf = _unpack(data, by_name["elf"], MAX_ELF)
            self.console: str | None = None
            if "console" in by_name:
                console = _unpack(data, by_name["console"], MAX_CONSOLE)
                self.console = console.decode("utf-8", "replace")
            runs = _unpack(data, by_name["runs"], MAX_HEADER * 4)
            self.target = SnapshotTarget(data, self.ram, self.registers, _runs(runs), blocks)


class SnapshotTarget:
    """The memory and registers of a snapshot, behind the Protocol of all targets."""

    def __init__(
        self,
        data: bytes,
        ram: Ram,
        registers: Registers,
        runs: list[tuple[int, int]],
        blocks: list[_Part],
    ) -> None:
        """`runs` are (page number, pages), ascending; raises ValueError if they cannot be."""
        self._data = data
        self._ram = ram
        self._now = registers
        self._blocks = blocks
        self._unpacked: OrderedDict[int, bytes] = OrderedDict()
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._before: list[int] = []
        total, free_from = 0, ram.start // PAGE_SIZE
        for page, pages in runs:
            if page < free_from or not pages or (page + pages) * PAGE_SIZE > ram.end:
                raise ValueError(f"the run of {pages} pages at page {page:#x}")
            self._starts.append(page)
            self._ends.append(page + pages)
            self._before.append(total)
            total, free_from = total + pages, page + pages
        sizes = [min(BLOCK_PAGES, total - at) for at in range(0, total, BLOCK_PAGES)]
        if [block.size for block in blocks] != [size * PAGE_SIZE for size in sizes]:
            raise ValueError(f"{len(blocks)} blocks for {total} pages")

    @property
    def ram(self) -> Ram | None:
        """Main memory."""
        return self._ram

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError outside RAM."""
        if address < self._ram.start or size < 0 or address + size > self._ram.end:
            raise MemoryReadError(address, size, "not in RAM")
        first, offset = divmod(address, PAGE_SIZE)
        if offset + size <= PAGE_SIZE:
            return self._page(first)[offset : offset + size]
        last = (address + size - 1) // PAGE_SIZE
        pages = b"".join(self._page(number) for number in range(first, last + 1))
        return pages[offset : offset + size]

    def registers(self) -> Registers:
        """The registers as they were."""
        return self._now

    def _page(self, number: int) -> bytes:
        at = bisect_right(self._starts, number) - 1
        if at < 0 or number >= self._ends[at]:
            return _ZERO_PAGE
        ordinal = self._before[at] + number - self._starts[at]
        block, within = divmod(ordinal, BLOCK_PAGES)
        return self._block(block, number)[within * PAGE_SIZE : (within + 1) * PAGE_SIZE]

    def _block(self, index: int, page: int) -> bytes:
        found = self._unpacked.get(index)
        if found is not None:
            self._unpacked.move_to_end(index)
            return found
        try:
            found = _unpack(self._data, self._blocks[index], BLOCK_PAGES * PAGE_SIZE)
        except _DAMAGE as error:
            why = f"the snapshot is damaged there ({error})"
            raise MemoryReadError(page * PAGE_SIZE, PAGE_SIZE, why) from error
        self._unpacked[index] = found
        if len(self._unpacked) > _KEPT_BLOCKS:
            self._unpacked.popitem(last=False)
        return found


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot in that file; raises SnapshotError, with one line, if it cannot be used."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SnapshotError(f"{path} is not a regular file: give a snapshot file")
        if status.st_size > MAX_FILE:
            raise SnapshotError(f"{path} is too large to be a snapshot")
        with path.open("rb") as file:
            # A foreign file is not read to its end only to be refused.
            data = file.read(_PREFIX.size)
            if data.startswith(MAGIC):
                data += file.read(MAX_FILE)
    except FileNotFoundError:
        raise SnapshotError(f"{path} does not exist: rcdbg snapshot {path} writes one") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SnapshotError(f"cannot read {path}: {why}") from None
    return Snapshot(data, str(path))


def write_snapshot(
    path: Path, machine: Machine, read_phys: ReadPhys, *, small: bool = False
) -> int:
    """Write the machine to a file, which appears when it is complete; returns its size in bytes.

    `small` takes seconds longer and saves a third. Raises TargetError if the file cannot be
    written, MemoryReadError if RAM cannot be read, before there is a new file.
    """
    data = pack(machine, read_phys, small=small)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # As a plain `open` would have made it: mkstemp's is for the owner alone.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return len(data)


def pack(machine: Machine, read_phys: ReadPhys, *, small: bool = False) -> bytes:
    """The bytes of the snapshot file."""
    if machine.ram.start % PAGE_SIZE or machine.ram.size % PAGE_SIZE:
        raise TargetError(f"RAM is not made of pages: {machine.ram}")
    codec = "lzma" if small else "zlib"
    runs, blocks = _pages(read_phys, machine.ram, codec)
    parts: list[tuple[str, int, bytes]] = []

    def add(name: str, content: bytes) -> None:
        parts.append((name, len(content), _compress(content, codec)))

    add("elf", machine.elf)
    if machine.console is not None:
        add("console", machine.console.encode("utf-8", "replace")[-MAX_CONSOLE:])
    add("runs", b"".join(_RUN.pack(*run) for run in runs))
    parts += [("block", size, stored) for size, stored in blocks]
    now = machine.registers
    header = {
        "kernel": machine.kernel_name[:_MAX_NAME],
        "ram": {"start": hex(machine.ram.start), "size": machine.ram.size},
        "registers": {
            "pc": hex(now.pc & MASK64),
            "x": [hex(value & MASK64) for value in now.x],
            "csrs": {name: hex(value & MASK64) for name, value in now.csrs.items()},
            "privilege": now.privilege,
        },
        "others": {name: hex(value & MASK64) for name, value in machine.others.items()},
        "parts": [[name, codec, size, len(stored)] for name, size, stored in parts],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    body = b"".join([text, *(stored for _, _, stored in parts)])
    size = _PREFIX.size + len(body)
    if size > MAX_FILE or len(text) > MAX_HEADER:
        raise TargetError(f"the snapshot would have {size} bytes: more than rcdbg reads")
    digest = hashlib.sha256(body).digest()
    return _PREFIX.pack(MAGIC, VERSION, len(text), size, digest) + body


def _pages(
    read_phys: ReadPhys, ram: Ram, codec: str
) -> tuple[list[tuple[int, int]], list[tuple[int, bytes]]]:
    """The runs of pages that are not zeros, and these pages in compressed blocks."""
    runs: list[tuple[int, int]] = []
    blocks: list[tuple[int, bytes]] = []
    waiting = bytearray()
    for number, page in _used_pages(read_phys, ram):
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
        waiting += page
        if len(waiting) == BLOCK_PAGES * PAGE_SIZE:
            blocks.append((len(waiting), _compress(bytes(waiting), codec)))
            waiting.clear()
    if waiting:
        blocks.append((len(waiting), _compress(bytes(waiting), codec)))
    return runs, blocks


def _used_pages(read_phys: ReadPhys, ram: Ram) -> Iterator[tuple[int, bytes]]:
    for start in range(ram.start, ram.end, _SCAN):
        piece = read_phys(start, min(_SCAN, ram.end - start))
        if not piece.strip(b"\0"):
            continue
        for offset in range(0, len(piece), PAGE_SIZE):
            page = piece[offset : offset + PAGE_SIZE]
            if page != _ZERO_PAGE:
                yield (start + offset) // PAGE_SIZE, page


def _compress(content: bytes, codec: str) -> bytes:
    if codec == "lzma":
        return lzma.compress(content, preset=6)
    return zlib.compress(content, 6)


def _unpack(data: bytes, part: _Part, limit: int) -> bytes:
    """A part's content; raises one of `_DAMAGE` unless it has exactly the size that was said."""
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
_DAMAGE = (
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


@contextlib.contextmanager
def _refusing(name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        why = str(error).partition("\n")[0][:120] or type(error).__name__
        raise SnapshotError(f"{name} is a damaged snapshot ({why}): take it again") from error


def _header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """The header, and where it ends; raises SnapshotError or one of `_DAMAGE`."""
    if not data.startswith(MAGIC[: max(len(data), 1)]):
        raise SnapshotError(f"{name} is not a snapshot of rcdbg: rcdbg snapshot FILE writes one")
    if len(data) < _PREFIX.size:
        raise SnapshotError(f"{name} is truncated: take the snapshot again")
    _, version, header_size, size, digest = _PREFIX.unpack_from(data)
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
    if hashlib.sha256(memoryview(data)[_DIGEST_START:]).digest() != digest:
        raise ValueError("its checksum is wrong")
    if header_size > min(MAX_HEADER, len(data) - _PREFIX.size):
        raise ValueError(f"a header of {header_size} bytes")
    text = data[_PREFIX.size : _PREFIX.size + header_size]
    header = json.loads(text.decode("utf-8"))
    if not isinstance(header, dict):
        raise TypeError("its header is no object")
    return header, _PREFIX.size + header_size


def _parts(listed: list[Any], data: bytes, at: int) -> tuple[list[_Part], dict[str, _Part]]:
    """The blocks of memory in order, and the other parts by name; the first lies at `at`."""
    blocks: list[_Part] = []
    by_name: dict[str, _Part] = {}
    for name, codec, size, stored in listed:
        part = _Part(_text(name), codec, _count(size), at, _count(stored))
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


def _runs(content: bytes) -> list[tuple[int, int]]:
    return list(_RUN.iter_unpack(content))


def _ram(found: dict[str, Any]) -> Ram:
    ram = Ram(_word(found["start"]), _count(found["size"]))
    if ram.start % PAGE_SIZE or ram.size % PAGE_SIZE or not 0 < ram.size <= MAX_RAM:
        raise ValueError(f"RAM of {ram.size} bytes at {ram.start:#x}")
    if ram.end >> _PHYSICAL_BITS:
        raise ValueError(f"RAM at {ram.start:#x}")
    return ram


def _registers(found: dict[str, Any]) -> Registers:
    x = tuple(_word(value) for value in found["x"])
    if len(x) != 32:
        raise ValueError(f"{len(x)} registers")
    privilege = found["privilege"]
    if privilege is not None and (type(privilege) is not int or not 0 <= privilege <= 3):
        raise ValueError("its privilege")
    return Registers(_word(found["pc"]), x, _named_values(found["csrs"]), privilege)


def _named_values(found: dict[str, Any]) -> dict[str, int]:
    if len(found) > _MAX_REGISTERS:
        raise ValueError(f"{len(found)} registers")
    return {_text(name): _word(value) for name, value in found.items()}


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


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _MAX_NAME:
        raise TypeError("a name that is no text")
    return value


def _not_written(path: Path, error: Exception) -> TargetError:
    why = getattr(error, "strerror", None) or str(error)
    return TargetError(f"cannot write {path}: {why}")
