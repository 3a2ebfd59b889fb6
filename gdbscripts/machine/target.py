"""What gdb is connected to, as a Target: registers by gdb, physical memory by QEMU's own packet.

Sources: gdb manual, nodes "Connections In Python" and "Packets"; QEMU manual, "GDB usage"
(qqemu.PhyMemMode).
"""

import struct
from collections.abc import Iterable

import gdb

from gdbscripts.machine.connection import demand_machine
from rcdbg.errors import MachineError, MemoryReadError, TargetError
from rcdbg.guest.paged import PageCache
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.machine.qemu import timer
from rcdbg.machine.qemu.board import RAM_BASE
from rcdbg.machine.stub.dialect import (
    HART_REGISTER,
    PHYSICAL,
    PRIVILEGE_REGISTER,
    READ_CHUNK,
    VIRTUAL,
)
from rcdbg.riscv.csr import SUPERVISOR_CSRS
from rcdbg.riscv.registers import GDB_NAMES, unsigned

_PC = "pc"


def refresh_registers() -> None:
    """Let gdb read the registers anew if they are not what it remembers.

    gdb takes it that a machine which stands does not change; `monitor system_reset` and
    `monitor loadvm` change it all the same.
    """
    connection = gdb.selected_inferior().connection
    if not isinstance(connection, gdb.RemoteTargetConnection):
        return
    try:
        raw = bytes.fromhex(bytes(connection.send_packet("g") or b"").decode("ascii"))
        frame = gdb.newest_frame()
        remembered = [unsigned(int(frame.read_register(name))) for name in (*GDB_NAMES, _PC)]
    except (gdb.error, ValueError):
        return  # another kind of stub: gdb knows best
    size = 8 * len(remembered)
    if len(raw) >= size and raw[:size] != struct.pack(f"<{len(remembered)}Q", *remembered):
        gdb.execute("maintenance flush register-cache", to_string=True)


_timers: dict[int, int | None] = {}
"""Where mtime is, by the number of the connection."""


def find_timer() -> None:
    """Find the timer of the machine behind this connection, once: not from within an unwinder."""
    number = demand_machine().num
    if number not in _timers:
        _timers[number] = timer.mtime_address(_monitor)


def _monitor(line: str) -> str:
    try:
        return str(gdb.execute(f"monitor {line}", to_string=True) or "")
    except gdb.error as error:
        raise MachineError(str(error)) from error


class GdbTarget:
    """One stop of the machine behind gdb: pages are read once and kept as long as it lives."""

    def __init__(self) -> None:
        self._connection = demand_machine()
        self._pages = PageCache(self._read_page, lowest=RAM_BASE)

    @property
    def ram(self) -> Ram | None:
        """Not known over this protocol."""
        return None

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError unless all can be read."""
        return self._pages.read_phys(address, size)

    def _read_page(self, address: int, size: int) -> bytes:
        if self._packet(PHYSICAL) != b"OK":
            raise TargetError("this gdb stub cannot read physical memory: it is not QEMU's")
        try:
            parts = [
                self._packet(f"m{at:x},{READ_CHUNK:x}")
                for at in range(address, address + size, READ_CHUNK)
            ]
        finally:
            self._packet(VIRTUAL)
        try:
            page = bytes.fromhex(b"".join(parts).decode("ascii"))
        except ValueError as error:
            raise MemoryReadError(address, size, "the stub cannot read there") from error
        if len(page) != size:
            raise MemoryReadError(address, size, "the stub gave less")
        return page

    def _packet(self, text: str) -> bytes:
        try:
            return bytes(self._connection.send_packet(text) or b"")
        except (gdb.error, ValueError) as error:
            raise TargetError(f"the machine does not answer: {error}") from error

    def ticks(self) -> int | None:
        """The clock, in ticks of the timebase; None where it has not been found."""
        address = _timers.get(self._connection.num)
        if address is None or self._packet(PHYSICAL) != b"OK":
            return None
        try:
            answer = self._packet(f"m{address:x},{timer.SIZE:x}")
        finally:
            self._packet(VIRTUAL)
        try:
            return int.from_bytes(bytes.fromhex(answer.decode("ascii")), "little")
        except ValueError:
            return None

    def some_registers(self, names: Iterable[str]) -> Registers:
        """The general registers and the CSRs of these names: where each costs a round trip.

        Raises TargetError as `registers`.
        """
        try:
            frame = gdb.newest_frame()
            pc, *x = (unsigned(int(frame.read_register(name))) for name in (_PC, *GDB_NAMES))
            csrs = {name: unsigned(int(frame.read_register(name))) for name in names}
        except (gdb.error, ValueError) as error:
            raise TargetError(f"gdb cannot read the registers: {error}") from error
        return Registers(pc, tuple(x), csrs)

    def registers(self) -> Registers:
        """The registers of the hart that is selected; raises TargetError while it runs."""
        try:
            frame = gdb.newest_frame()
            architecture = frame.architecture()
            known = {r.name for r in architecture.registers()}
            if _PC not in known or "satp" not in known:
                raise TargetError("this is no RISC-V machine in gdb's eyes: load the kernel's ELF")
            x = tuple(unsigned(int(frame.read_register(name))) for name in GDB_NAMES)
            csrs = {
                name: unsigned(int(frame.read_register(name)))
                for name in SUPERVISOR_CSRS
                if name in known
            }
            if (ticks := self.ticks()) is not None:
                csrs[timer.NAME] = ticks
            privilege = (
                int(frame.read_register(PRIVILEGE_REGISTER)) & 3
                if PRIVILEGE_REGISTER in known
                else None
            )
            harts = len(gdb.selected_inferior().threads())
            hart = None
            if harts > 1 and HART_REGISTER in known:
                hart = unsigned(int(frame.read_register(HART_REGISTER)))
            pc = unsigned(int(frame.read_register(_PC)))
            return Registers(pc, x, csrs, privilege, hart, max(1, harts))
        except gdb.error as error:
            raise TargetError(f"gdb cannot read the registers: {error}") from error
