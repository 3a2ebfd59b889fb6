"""Memory behind a slow line: whole pages are fetched, once, and kept while the machine stands."""

from collections.abc import Callable

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.riscv.pages import PAGE_SIZE

_PHYSICAL_BITS = 56


class PageCache:
    """Physical memory at one stop, page by page.

    `lowest` is the first address that is memory for certain: reading a device may change it.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], ram: Ram | None = None, lowest: int = 0
    ) -> None:
        """`read(address, size)` gives physical memory, or raises MemoryReadError."""
        self._read = read
        self._lowest = ram.start if ram is not None else lowest
        self._end = ram.end if ram is not None else 1 << _PHYSICAL_BITS
        self._pages: dict[int, bytes] = {}

    @property
    def pages_read(self) -> int:
        """How many pages have been fetched."""
        return len(self._pages)

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError unless all can be read."""
        if address < self._lowest or size < 0 or address + size > self._end:
            raise MemoryReadError(address, size, "not in RAM")
        first = address // PAGE_SIZE
        last = (address + max(size, 1) - 1) // PAGE_SIZE
        data = b"".join(self._page(number) for number in range(first, last + 1))
        offset = address - first * PAGE_SIZE
        return data[offset : offset + size]

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._read(number * PAGE_SIZE, PAGE_SIZE)
        return page


class PagedTarget:
    """One stop of a machine whose memory comes page by page, with its registers."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        registers: Registers,
        ram: Ram | None = None,
        lowest: int = 0,
    ) -> None:
        """As for a PageCache."""
        self._pages = PageCache(read, ram, lowest)
        self._now = registers
        self._ram = ram

    @property
    def ram(self) -> Ram | None:
        """Main memory, if its extent was found."""
        return self._ram

    @property
    def pages_read(self) -> int:
        """How many pages have been fetched."""
        return self._pages.pages_read

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError unless all can be read."""
        return self._pages.read_phys(address, size)

    def registers(self) -> Registers:
        """The registers of this stop."""
        return self._now
