"""Virtual memory as the kernel itself would see it, over any target that reads physical memory.

All targets share this translation, so that a live kernel, a stop in gdb and a saved file read
the same. Before paging is on, and in M-mode, addresses of the kernel's own sections are still
readable: the ELF says where each of them was loaded.
"""

from collections.abc import Callable

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Target
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.paging import Satp, walk

MAX_READ = 1 << 24
"""Bytes of one read at the most: no object of a kernel is larger than 16 MiB."""

LoadAddress = Callable[[int], int | None]
"""Physical address at which a virtual address of the image was loaded, or None."""


class VirtualMemory:
    """One moment's view of virtual memory; translations are kept for its lifetime.

    `satp` is the CSR's unsigned value.
    """

    def __init__(self, target: Target, satp: int, load_address: LoadAddress | None = None) -> None:
        self._read_phys = target.read_phys
        self.satp = Satp(satp)
        self._load_address = load_address
        self._pages: dict[int, int] = {}

    def physical(self, va: int) -> int:
        """The physical address of `va`; raises MemoryReadError where there is none."""
        page = va >> PAGE_SHIFT
        base = self._pages.get(page)
        if base is None:
            base = self._translate(page << PAGE_SHIFT)
            self._pages[page] = base
        return base | va & (PAGE_SIZE - 1)

    def _translate(self, va: int) -> int:
        if not 0 <= va < 1 << 64:
            raise MemoryReadError(va, 1, "not a 64-bit address")
        found = walk(self._read_phys, self.satp, va)
        if found.physical is not None and self.satp.translates:
            return found.physical
        loaded = self._load_address(va) if self._load_address else None
        if loaded is not None:
            return loaded & ~(PAGE_SIZE - 1)
        if found.physical is None:
            raise MemoryReadError(va, 1, found.fault or "not mapped")
        return found.physical

    def read(self, va: int, size: int) -> bytes:
        """`size` bytes at `va`; raises MemoryReadError unless every one can be read."""
        offset = va & (PAGE_SIZE - 1)
        if offset + size <= PAGE_SIZE:
            return self._read_phys(self.physical(va), size)
        if not 0 <= size <= MAX_READ:
            raise MemoryReadError(va, size, "no object is that large")
        parts = []
        while size > 0:
            length = min(size, PAGE_SIZE - (va & (PAGE_SIZE - 1)))
            parts.append(self._read_phys(self.physical(va), length))
            va, size = va + length, size - length
        return b"".join(parts)
