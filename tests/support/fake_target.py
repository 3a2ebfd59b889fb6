"""A target that is made up: pages and registers from a test."""

from collections.abc import Mapping

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.riscv.pages import PAGE_SIZE


class FakeTarget:
    """Physical pages and registers made up by a test; what no page covers cannot be read."""

    def __init__(self, pages: Mapping[int, bytes], registers: Registers) -> None:
        for address, page in pages.items():
            if address % PAGE_SIZE or len(page) != PAGE_SIZE:
                raise ValueError(f"page at {address:#x}: {len(page)} bytes")
        self._pages = pages
        self._now = registers

    @property
    def ram(self) -> Ram | None:
        """The span of the pages, or None without any."""
        if not self._pages:
            return None
        start = min(self._pages)
        return Ram(start, max(self._pages) + PAGE_SIZE - start)

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError where a page is missing."""
        parts, at, left = [], address, size
        while left > 0:
            page = self._pages.get(at & ~(PAGE_SIZE - 1))
            if page is None:
                raise MemoryReadError(address, size, f"no memory at {at:#x}")
            offset = at % PAGE_SIZE
            parts.append(page[offset : offset + left])
            at, left = at + len(parts[-1]), left - len(parts[-1])
        return b"".join(parts)

    def registers(self) -> Registers:
        """The registers that were given."""
        return self._now
