"""A stopped machine in one file: memory, registers, the console so far, and the kernel's ELF."""

import contextlib
import stat
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rcdbg.errors import MemoryReadError
from rcdbg.guest import snapshot_checks as checks
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.guest.snapshot_checks import SnapshotError
from rcdbg.guest.snapshot_format import (
    BLOCK_PAGES,
    DAMAGE,
    MAGIC,
    MAX_CONSOLE,
    MAX_ELF,
    MAX_FILE,
    MAX_HEADER,
    PREFIX,
    ZERO_PAGE,
    Part,
    unpack,
)
from rcdbg.riscv.pages import PAGE_SIZE

_KEPT_BLOCKS: Final = 32


class Snapshot:
    """A snapshot that has been read; `target` is its memory and registers."""

    def __init__(self, data: bytes, name: str) -> None:
        """Raises SnapshotError for anything but a whole snapshot that this rcdbg understands."""
        self.name = name
        with _refusing(name):
            header, end = checks.header(data, name)
            blocks, by_name = checks.parts(header["parts"], data, end)
            self.registers = checks.registers(header["registers"])
            self.others = checks.named_values(header.get("others", {}))
            self.ram = checks.ram(header["ram"])
            self.kernel_name = checks.text(header["kernel"])
            self.elf = unpack(data, by_name["elf"], MAX_ELF)
            self.console: str | None = None
            if "console" in by_name:
                console = unpack(data, by_name["console"], MAX_CONSOLE)
                self.console = console.decode("utf-8", "replace")
            runs = unpack(data, by_name["runs"], MAX_HEADER * 4)
            self.target = SnapshotTarget(data, self.ram, self.registers, checks.runs(runs), blocks)


class SnapshotTarget:
    """The memory and registers of a snapshot, behind the Protocol of all targets."""

    def __init__(
        self,
        data: bytes,
        ram: Ram,
        registers: Registers,
        runs: list[tuple[int, int]],
        blocks: list[Part],
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
            return ZERO_PAGE
        ordinal = self._before[at] + number - self._starts[at]
        block, within = divmod(ordinal, BLOCK_PAGES)
        return self._block(block, number)[within * PAGE_SIZE : (within + 1) * PAGE_SIZE]

    def _block(self, index: int, page: int) -> bytes:
        found = self._unpacked.get(index)
        if found is not None:
            self._unpacked.move_to_end(index)
            return found
        try:
            found = unpack(self._data, self._blocks[index], BLOCK_PAGES * PAGE_SIZE)
        except DAMAGE as error:
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
            data = file.read(PREFIX.size)
            if data.startswith(MAGIC):
                data += file.read(MAX_FILE)
    except FileNotFoundError:
        raise SnapshotError(f"{path} does not exist: rcdbg snapshot {path} writes one") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SnapshotError(f"cannot read {path}: {why}") from None
    return Snapshot(data, str(path))


@contextlib.contextmanager
def _refusing(name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        why = str(error).partition("\n")[0][:120] or type(error).__name__
        raise SnapshotError(f"{name} is a damaged snapshot ({why}): take it again") from error
