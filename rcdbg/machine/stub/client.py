"""QEMU's gdb stub, spoken to directly: registers, memory and run control without a gdb.

Protocol: gdb manual, appendix "GDB Remote Serial Protocol"; QEMU's own packets (`qqemu.*`):
QEMU manual, "GDB usage". One thread at a time may use a client.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub.breakpoints import StubBreakpoints
from rcdbg.machine.stub.clock import StubClock
from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.memory import StubMemory
from rcdbg.machine.stub.registers import StubRegisters
from rcdbg.machine.stub.run import StubRun
from rcdbg.machine.stub.wire import ANSWER_SECONDS
from rcdbg.riscv.csr import SUPERVISOR_CSRS


class StubClient:
    """A connection to the stub; a running guest is stopped by it.

    What is asked for often stands here; the rest is in its parts: `link` (whether the guest runs,
    how often it changed), `regs`, `memory`, `clock`, `breakpoints` and `run`.
    `address` is the path of a unix socket, or "host:port". `csrs` are those that `registers` reads.
    Raises StubError if nothing listens there, or what listens is no gdb stub.
    """

    def __init__(self, address: Path | str, *, csrs: Sequence[str] = SUPERVISOR_CSRS) -> None:
        self.address = str(address)
        self.link = StubLink(address)
        try:
            self.regs = StubRegisters(self.link, csrs)
            self.memory = StubMemory(self.link)
            self.clock = StubClock(self.link, self.memory)
            self.breakpoints = StubBreakpoints(self.link)
            self.run = StubRun(self.link, self.regs, self.memory, self.breakpoints)
        except BaseException:
            self.link.wire.close()
            raise

    @property
    def running(self) -> bool:
        """Whether the guest was set going and its stop has not been seen yet."""
        return self.link.running

    @property
    def found_running(self) -> bool:
        """Whether the guest ran until we connected, as far as QEMU tells; True in doubt."""
        return self.link.found_running

    def registers(self, *, with_time: bool = False) -> Registers:
        """All GPRs, the pc, the CSRs and the privilege of the hart that stopped.

        With `time`, which is no register of the stub's, three packets more are exchanged.
        """
        return self.regs.read(self.clock if with_time else None)

    def write_register(self, name: str, value: int) -> None:
        """Set a register by the name in the stub's description ("pc", "a0", "satp", ...)."""
        self.regs.write(name, value)
        if name == "pc":
            self.run.moved(value)

    def read_memory(self, address: int, size: int) -> bytes:
        """`size` bytes at virtual `address` of the current hart; raises MemoryReadError."""
        return self.memory.read(address, size)

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`. Where nothing is, QEMU gives zeros or ones."""
        return self.memory.read_phys(address, size)

    def ticks(self) -> int:
        """The timer's count: the guest's time in ticks of its timebase. The guest has to stand."""
        return self.clock.ticks()

    def monitor(self, line: str) -> str:
        """What QEMU's human monitor prints for `line`: gdb's `monitor`."""
        return self.link.monitor(line)

    def insert_breakpoint(self, address: int) -> int:
        """Stop before each execution of virtual `address`, in any address space; returns an id."""
        return self.breakpoints.insert(address)

    def remove_breakpoint(self, number: int) -> None:
        """Take out the breakpoint with this id; raises StubError if there is none."""
        self.breakpoints.remove(number)

    def has_breakpoint(self, address: int | None) -> bool:
        """Whether one of our breakpoints is there."""
        return self.breakpoints.has(address)

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self.run.resume()

    def step(self, timeout: float = ANSWER_SECONDS) -> Stop:
        """Execute one instruction and wait until that is done."""
        self.run.step()
        return self.run.wait_stop(timeout)

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""
        self.run.interrupt()

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        return self.run.wait_stop(timeout)

    def close(self) -> None:
        """Take the breakpoints out and disconnect; the guest stays as it is."""
        if self.link.wire.gone:
            return
        # Left in, a breakpoint would stop the guest one day with nobody there to resume it.
        if not self.running:
            with contextlib.suppress(MachineError):
                self.memory.set_mode()
                self.breakpoints.remove_all()
        self.link.wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
