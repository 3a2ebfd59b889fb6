"""The memory behind a stub, by virtual address of the current hart or by physical one."""

import contextlib
from collections.abc import Iterator

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine.stub import packets
from rcdbg.machine.stub.dialect import PHYSICAL, READ_CHUNK, VIRTUAL
from rcdbg.machine.stub.link import StubLink

_PHYSICAL = {True: PHYSICAL.encode(), False: VIRTUAL.encode()}
_BURST = 16


class StubMemory:
    """Memory over `link`; addresses are virtual but within `physical`."""

    def __init__(self, link: StubLink) -> None:
        self._link = link
        self._wanted = self._mode = False

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at `address`; raises MemoryReadError."""
        chunks = [
            (at, min(READ_CHUNK, address + size - at))
            for at in range(address, address + size, READ_CHUNK)
        ]
        data = bytearray()
        self.set_mode()
        for first in range(0, len(chunks), _BURST):
            burst = chunks[first : first + _BURST]
            answers = self._link.exchange([b"m%x,%x" % chunk for chunk in burst])
            for (at, length), answer in zip(burst, answers, strict=True):
                piece = packets.raw(answer)
                if piece is None or len(piece) != length:
                    raise MemoryReadError(at, length, "QEMU finds nothing mapped there")
                data += piece
        return bytes(data)

    def write(self, address: int, data: bytes) -> None:
        """Store `data` at `address`; raises StubError."""
        self._link.changes += 1
        self.set_mode()
        for at in range(0, len(data), READ_CHUNK):
            piece = data[at : at + READ_CHUNK]
            self._link.demand_ok(b"M%x,%x:%b" % (address + at, len(piece), piece.hex().encode()))

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`. Where nothing is, QEMU gives zeros or ones."""
        with self.physical():
            return self.read(address, size)

    @contextlib.contextmanager
    def physical(self) -> Iterator[None]:
        """Within it, addresses of reads and writes are physical, RAM and devices alike."""
        self._wanted = True
        try:
            self.set_mode()
            yield
        finally:
            self._wanted = False
            self.set_mode()

    def set_mode(self) -> None:
        """Let the next addresses mean what they shall mean."""
        for packet in self._mode_packets(physical=self._wanted):
            try:
                self._link.demand_ok(packet)
            except MachineError:
                self._mode = not self._mode
                raise

    def questions(self, address: int, size: int) -> tuple[list[bytes], int]:
        """Packets that read physical memory among others, and which one has the answer.

        They cost no round trip of their own, and leave the mode as it is.
        """
        read = b"m%x,%x" % (address, size)
        return ([read], 0) if self._mode else ([_PHYSICAL[True], read, _PHYSICAL[False]], 1)

    def last_questions(self, address: int, size: int) -> list[bytes]:
        """The same, with the answer last; the mode is then physical.

        It is left so until the next read of virtual memory: two packets less at each stop.
        """
        return [*self._mode_packets(physical=True), b"m%x,%x" % (address, size)]

    def _mode_packets(self, *, physical: bool) -> list[bytes]:
        """Packets after which addresses are physical, or virtual: none where they are already."""
        if physical == self._mode:
            return []
        self._mode = physical
        return [_PHYSICAL[physical]]
