"""A target whose memory lies in a buffer, as the shared RAM of a live machine does."""

import mmap
from collections.abc import Callable

from rcdbg.errors import MemoryReadError
from rcdbg.guest.protocol import Ram, Registers


class RamTarget:
    """A machine whose RAM is mapped into this process: reads do not stop it.

    `registers` is asked anew at each call; whoever owns the machine decides where they come from.
    """

    def __init__(
        self,
        buffer: mmap.mmap | memoryview | bytes | bytearray,
        base: int,
        registers: Callable[[], Registers],
    ) -> None:
        self._buffer = memoryview(buffer)
        self._ram = Ram(base, len(self._buffer))
        self._registers = registers

    @property
    def ram(self) -> Ram:
        """Main memory."""
        return self._ram

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError outside RAM."""
        offset = address - self._ram.start
        if offset < 0 or size < 0 or offset + size > self._ram.size:
            raise MemoryReadError(address, size, "not in RAM")
        return bytes(self._buffer[offset : offset + size])

    def registers(self) -> Registers:
        """The registers as they are now."""
        return self._registers()
