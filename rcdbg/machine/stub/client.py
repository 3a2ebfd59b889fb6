"""QEMU's gdb stub, spoken to directly: registers, memory and run control without a gdb.

Protocol: gdb manual, appendix "GDB Remote Serial Protocol"; QEMU's own packets (`qqemu.*`):
QEMU manual, "GDB usage". One thread at a time may use a client.
"""

import contextlib
import itertools
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.machine.control import PRIVILEGE_REGISTER, Stop, StopReason
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.qemu import timer
from rcdbg.machine.stub import rsp
from rcdbg.machine.stub.wire import ANSWER_SECONDS, StubError, Wire
from rcdbg.riscv.compute import Computed
from rcdbg.riscv.registers import SUPERVISOR_CSRS

READ_CHUNK = 2048
"""Bytes in a read or write: QEMU's packets hold 4 KiB, that is this many in hexadecimal."""

STEP_ALONE, STEP_WITH_INTERRUPTS = 0x7, 0x1
"""Values for `set_step_mode`: ENABLE | NOIRQ | NOTIMER (the default), and ENABLE only."""

_PHYSICAL = b"Qqemu.PhyMemMode:%d"
_STEP_OVER_SECONDS = 0.5
_BURST = 16
_GPRS = 32
_SIGINT, _SIGTRAP = 2, 5
_SILENT_STOPS = (8, 1)
_ENDS = (b"W", b"X", b"")
_STOPS = (b"T", b"S", b"W", b"X")


class StubClient:
    """A connection to the stub; a running guest is stopped by it.

    `address` is the path of a unix socket, or "host:port". `csrs` are those that `registers` reads.
    Raises StubError if nothing listens there, or what listens is no gdb stub.
    """

    def __init__(self, address: Path | str, *, csrs: Sequence[str] = SUPERVISOR_CSRS) -> None:
        self.address = str(address)
        self._running = False
        self._stepping = False
        self._stop: Stop | None = None
        self._breakpoints: dict[int, int] = {}
        self._stopped_by_us = False
        self._answers_due = 0
        self.changes = 0
        """Grows with each write and resumption: the same, what was read is still true."""
        self._physical = self._mode = False
        self.mtime: int | None = None
        """The physical address of the timer's count: see `find_timer`."""
        self._numbers = itertools.count(1)
        self._wire = Wire(address)
        try:
            self._greet()
            self._all_numbers = numbers = self._register_numbers()
            self._pc_number = numbers["pc"]
            self._csr_numbers = {name: numbers[name] for name in csrs if name in numbers}
            self._privilege_number = numbers.get(PRIVILEGE_REGISTER)
            self._stop = Stop("interrupt", self._pc())
        except KeyError as error:
            self._wire.close()
            raise StubError(f"the stub at {self.address} describes no register {error}") from error
        except BaseException:
            self._wire.close()
            raise

    def find_timer(self) -> None:
        """Let `registers` give `time`, if this machine has a timer that is known."""
        self.mtime = timer.mtime_address(self.monitor)

    def registers(self, *, with_time: bool = False) -> Registers:
        """All GPRs, the pc, the CSRs and the privilege of the hart that stopped.

        With `time`, which is no register of the stub's, three packets more are exchanged.
        """
        numbers = dict(self._csr_numbers)
        if self._privilege_number is not None:
            numbers[PRIVILEGE_REGISTER] = self._privilege_number
        wanted = [b"g", *_each(numbers.values())]
        ask_timer = self._timer_packets() if with_time else []
        general, *answers = self._exchange([*wanted, *ask_timer])
        values = dict(zip(numbers, map(_number, answers), strict=False))
        if ask_timer and (self._mode or answers[-3] == b"OK"):
            values[timer.NAME] = _number(answers[-1 if self._mode else -2])
        return _registers(general, values)

    @property
    def clock(self) -> tuple[int, int]:
        """Physical address and size in bytes of the timer's count; raises StubError if none."""
        if self.mtime is None:
            raise StubError("this machine has no timer that is known")
        return self.mtime, timer.SIZE

    def ticks(self) -> int:
        """The timer's count: the guest's time in ticks of its timebase. The guest has to stand."""
        return int.from_bytes(self.read_phys(*self.clock), "little")

    def _timer_packets(self) -> list[bytes]:
        """Packets that read mtime: sent with the others, they cost no round trip."""
        if self.mtime is None:
            return []
        read = b"m%x,%x" % (self.mtime, timer.SIZE)
        return [read] if self._mode else [_PHYSICAL % 1, read, _PHYSICAL % 0]

    def _mode_packets(self, *, physical: bool) -> list[bytes]:
        """Packets after which addresses are physical, or virtual: none where they are already."""
        if physical == self._mode:
            return []
        self._mode = physical
        return [_PHYSICAL % physical]

    def csrs(self, names: Sequence[str]) -> dict[str, int]:
        """Those of the named CSRs that the stub has, of any privilege level."""
        numbers = {name: self._all_numbers[name] for name in names if name in self._all_numbers}
        values = zip(numbers, map(_number, self._exchange(_each(numbers.values()))), strict=True)
        return {name: value for name, value in values if value is not None}

    def every_register(self) -> dict[str, int]:
        """All that the stub has, by its own names: GPRs, CSRs of all levels, floating point."""
        numbers = self._all_numbers
        answers = self._exchange(_each(numbers.values()))
        values = zip(numbers, map(_number, answers), strict=True)
        return {name: value for name, value in values if value is not None}

    def write_register(self, name: str, value: int) -> None:
        """Set a register by the name in the stub's description ("pc", "a0", "satp", ...)."""
        number = self._all_numbers.get(name)
        if number is None:
            raise StubError(f"the stub knows no register {name!r}")
        self.changes += 1
        self._demand_ok(_write(number, value))
        if number == self._pc_number and self._stop is not None:
            # Else the next resume would look for a breakpoint at the old place.
            self._stop = replace(self._stop, pc=value)

    @property
    def ram(self) -> Ram | None:
        """Not known over this protocol: None."""
        return None

    def read_memory(self, address: int, size: int) -> bytes:
        """`size` bytes at virtual `address` of the current hart; raises MemoryReadError."""
        chunks = [
            (at, min(READ_CHUNK, address + size - at))
            for at in range(address, address + size, READ_CHUNK)
        ]
        data = bytearray()
        self._set_mode()
        for first in range(0, len(chunks), _BURST):
            burst = chunks[first : first + _BURST]
            answers = self._exchange([b"m%x,%x" % chunk for chunk in burst])
            for (at, length), answer in zip(burst, answers, strict=True):
                piece = _bytes(answer)
                if piece is None or len(piece) != length:
                    raise MemoryReadError(at, length, "QEMU finds nothing mapped there")
                data += piece
        return bytes(data)

    def write_memory(self, address: int, data: bytes) -> None:
        """Store `data` at virtual `address` of the current hart; raises StubError."""
        self.changes += 1
        self._set_mode()
        for at in range(0, len(data), READ_CHUNK):
            piece = data[at : at + READ_CHUNK]
            self._demand_ok(b"M%x,%x:%b" % (address + at, len(piece), piece.hex().encode()))

    @contextlib.contextmanager
    def physical(self) -> Iterator[None]:
        """Within it, addresses of reads and writes are physical, RAM and devices alike."""
        self._physical = True
        try:
            self._set_mode()
            yield
        finally:
            self._physical = False
            self._set_mode()

    def _set_mode(self) -> None:
        """Let the next addresses mean what they shall mean."""
        for packet in self._mode_packets(physical=self._physical):
            try:
                self._demand_ok(packet)
            except MachineError:
                self._mode = not self._mode
                raise

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`. Where nothing is, QEMU gives zeros or ones."""
        with self.physical():
            return self.read_memory(address, size)

    @property
    def running(self) -> bool:
        """Whether the guest was set going and its stop has not been seen yet."""
        return self._running

    @property
    def found_running(self) -> bool:
        """Whether the guest ran until we connected, as far as QEMU tells; True in doubt."""
        if self._stopped_by_us:
            return True
        # From 8.1 on, its stub no longer reports a stop that nobody has asked about. Its state is
        # then "paused", and that of a guest which stood mostly has a reason: "paused (debug)".
        found = re.search(r"(\d+)\.(\d+)", self.monitor("info version"))
        tells = found is not None and (int(found[1]), int(found[2])) < _SILENT_STOPS
        return not tells and "(" not in self.monitor("info status")

    def monitor(self, line: str) -> str:
        """What QEMU's human monitor prints for `line`: gdb's `monitor`, packet qRcmd."""
        self._demand_stopped()
        text, deadline = b"", Deadline(ANSWER_SECONDS)
        self._wire.send(rsp.frame(b"qRcmd," + line.encode().hex().encode()))
        while (answer := self._wire.receive(deadline))[:1] == b"O" and answer != b"OK":
            text += _bytes(answer[1:]) or b""
        if answer != b"OK":
            raise StubError(f"the stub has no monitor: it says {answer[:40]!r}")
        return text.decode("utf-8", "replace").replace("\r\n", "\n")

    def insert_breakpoint(self, address: int) -> int:
        """Stop before each execution of virtual `address`, in any address space; returns an id."""
        number = next(self._numbers)
        if address not in self._breakpoints.values():
            self._demand_ok(b"Z0,%x,4" % address)
        self._breakpoints[number] = address
        return number

    def remove_breakpoint(self, number: int) -> None:
        """Take out the breakpoint with this id; raises StubError if there is none."""
        if number not in self._breakpoints:
            raise StubError(f"there is no breakpoint {number}")
        address = self._breakpoints.pop(number)
        if address not in self._breakpoints.values():
            self._demand_ok(b"z0,%x,4" % address)

    def has_breakpoint(self, address: int | None) -> bool:
        """Whether one of our breakpoints is there."""
        return address in self._breakpoints.values()

    def set_step_mode(self, mode: int) -> None:
        """What a step holds back: `STEP_ALONE`, or `STEP_WITH_INTERRUPTS` to enter handlers."""
        self._demand_ok(b"Qqemu.sstep=%x" % mode)

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self._demand_stopped()
        pc = self._stop.pc if self._stop is not None else self._pc()
        if pc in self._breakpoints.values() and not self._step_over():
            return
        self._go(b"c")

    def resume_after(self, done: Computed) -> None:
        """Let the guest run from where an instruction at its pc leads, with what that computed.

        The instruction is written into the registers instead of executed, so that a breakpoint on
        it costs no stop of its own; one at the place where it leads is hit.
        """
        self._demand_stopped()
        writes = [(self._pc_number, done.pc)]
        if done.register is not None:
            # The stub numbers x0 to x31 as the hart does (gdb manual, "RISC-V Features").
            writes.append((done.register, done.value))
        packets = [
            b"P%x=%b" % (n, value.to_bytes(8, "little").hex().encode()) for n, value in writes
        ]
        self._answers_due = len(packets)
        self._go(*packets, b"c")

    def step_instruction(self) -> None:
        """Let the hart execute one instruction; breakpoints do not count for it."""
        self._demand_stopped()
        self._go(b"s")
        self._stepping = True

    def step(self, timeout: float = ANSWER_SECONDS) -> Stop:
        """Execute one instruction and wait until that is done."""
        self.step_instruction()
        return self.wait_stop(timeout)

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""
        if self._running:
            self._wire.send(rsp.INTERRUPT)

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        if self._running:
            answer = self._stop_reply(Deadline(timeout))
            stepping, self._stepping = self._stepping, False
            self._stop = self._understand(answer, stepping)
        if self._stop is None:
            raise StubError("the guest has not run yet")
        return self._stop

    def wait_stop_reading(
        self, timeout: float, csrs: Sequence[str], physical: tuple[int, int] | None = None
    ) -> tuple[Stop, Registers | None, bytes]:
        """`wait_stop`, and in one exchange the registers, those CSRs, and physical memory.

        The privilege is read if `csrs` has PRIVILEGE_REGISTER. `physical` is an address and a
        size in bytes. At the guest's end there are no registers.
        """
        if self._running:
            answer = self._stop_reply(Deadline(timeout))
            if answer[:1] in _ENDS:
                return self._ended(answer), None, b""
        elif self._stop is not None and self._stop.reason == "exited":
            return self._stop, None, b""  # at the step over a breakpoint
        else:
            answer = b"T05"
        numbers = {name: self._all_numbers[name] for name in csrs if name in self._all_numbers}
        packets = [b"g", *_each(numbers.values())]
        if physical is not None:
            # Left so until the next read of virtual memory: two packets less at each stop.
            packets += [*self._mode_packets(physical=True), b"m%x,%x" % physical]
        try:
            general, *answers = self._exchange(packets)
        except StubError as error:
            if not self._wire.gone or isinstance(error.__cause__, DeadlineError):
                raise
            # The guest was shut down as it was interrupted.
            return self._ended(b""), None, b""
        registers = _registers(general, dict(zip(numbers, map(_number, answers), strict=False)))
        stepping, self._stepping = self._stepping, False
        self._stop = self._stopped(_hexadecimal(answer[1:3]), registers.pc, stepping)
        held = (_bytes(answers[-1]) or b"") if physical is not None else b""
        return self._stop, registers, held

    def close(self) -> None:
        """Take the breakpoints out and disconnect; the guest stays as it is."""
        if self._wire.gone:
            return
        # Left in, a breakpoint would stop the guest one day with nobody there to resume it.
        with contextlib.suppress(MachineError):
            if not self._running:
                self._set_mode()
            for number in [] if self._running else list(self._breakpoints):
                self.remove_breakpoint(number)
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _step_over(self) -> bool:
        """Execute the instruction under a breakpoint, which `s` does not look at.

        Returns False if that was the guest's end.
        """
        self._go(b"s")
        try:
            answer = self._stop_reply(Deadline(_STEP_OVER_SECONDS))
        except DeadlineError:
            # `wfi` never ends under a step, since a step holds interrupts back; pc is behind it.
            self.interrupt()
            answer = self._stop_reply(Deadline(ANSWER_SECONDS))
        if answer[:1] in _ENDS:
            self._stop = self._understand(answer, stepping=True)
            return False
        return True

    def _stop_reply(self, deadline: Deadline) -> bytes:
        """The packet that says why the guest stands; empty if the connection ended instead."""
        try:
            while self._answers_due:
                answer = self._wire.receive(deadline)
                self._answers_due -= 1
                if answer != b"OK":
                    self._wire.close()
                    raise MachineError(f"the stub refuses to write a register: it says {answer!r}")
            answer = self._wire.receive(deadline)
            while answer[:1] not in _STOPS:
                answer = self._wire.receive(deadline)  # `O...`: text for gdb's console
        except StubError:
            if not self._wire.gone:
                raise
            answer = b""
        self._running = False
        return answer

    def _understand(self, answer: bytes, stepping: bool) -> Stop:
        """The meaning of a stop reply: gdb manual, node "Stop Reply Packets"."""
        if answer[:1] in _ENDS:
            status = _hexadecimal(answer[1:3]) if answer[:1] == b"W" else None
            self._wire.close()
            return Stop("exited", exit_status=status)
        return self._stopped(_hexadecimal(answer[1:3]), self._pc(), stepping)

    def _ended(self, answer: bytes) -> Stop:
        self._stepping = False
        self._stop = self._understand(answer, stepping=False)
        return self._stop

    def _stopped(self, number: int | None, pc: int, stepping: bool) -> Stop:
        at = next((key for key, address in self._breakpoints.items() if address == pc), None)
        reason: StopReason = "signal"
        if number == _SIGINT:
            reason = "interrupt"
        elif number == _SIGTRAP and stepping:
            reason = "step"
        elif number == _SIGTRAP and at is not None:
            reason = "breakpoint"
        return Stop(reason, pc, at if reason == "breakpoint" else None, number)

    def _go(self, *packets: bytes) -> None:
        self.changes += 1
        try:
            self._wire.send(b"".join(map(rsp.frame, packets)))
        except StubError:
            # QEMU has ended since its last answer: whoever waits for the guest is told so.
            if not self._wire.gone:
                raise
        self._running = True

    def _demand_stopped(self) -> None:
        if self._running:
            raise StubError("the guest is running: stop it first")
        self._wire.demand()

    def _pc(self) -> int:
        value = _number(self._exchange([b"p%x" % self._pc_number])[0])
        if value is None:
            raise StubError("the stub does not give the pc")
        return value

    def _greet(self) -> None:
        """Say hello; whatever comes before the answer is about the stop that we caused."""
        answer = self._exchange([b"qSupported:xmlRegisters=riscv"])[0]
        deadline = Deadline(ANSWER_SECONDS)
        while answer[:1] in (b"T", b"S"):
            self._stopped_by_us = True
            answer = self._wire.receive(deadline)
        if b"PacketSize" not in answer:
            raise StubError(f"what listens at {self.address} is no gdb stub: it says {answer!r}")

    def _register_numbers(self) -> dict[str, int]:
        """Register numbers by name; until asked for this, QEMU answers no `p` at all.

        Format: gdb manual, appendix "Target Descriptions".
        """
        target = self._transfer("target.xml")
        files = re.findall(r'<xi:include href="([^"]+)"', target)
        numbers: dict[str, int] = {}
        number = 0
        for text in [target, *map(self._transfer, files)]:
            plain = re.sub(r"<xi:include[^>]*/>", "", text)
            try:
                root = ElementTree.fromstring(plain)
            except ElementTree.ParseError as error:
                raise StubError(f"the stub's register description is broken: {error}") from error
            for register in root.iter("reg"):
                number = int(register.get("regnum", number))
                numbers[register.get("name", "")] = number
                number += 1
        return numbers

    def _transfer(self, file: str) -> str:
        text = b""
        while True:
            request = b"qXfer:features:read:%b:%x,%x" % (file.encode(), len(text), READ_CHUNK)
            answer = self._exchange([request])[0]
            text += answer[1:]
            if answer[:1] == b"l":
                return text.decode("utf-8", "replace")
            if answer[:1] != b"m" or len(answer) == 1:
                raise StubError(f"the stub does not describe its registers: {file}: {answer!r}")

    def _exchange(self, commands: Sequence[bytes]) -> list[bytes]:
        """Send packets in one go, return the answer to each."""
        self._demand_stopped()
        return self._wire.exchange(commands)

    def _demand_ok(self, command: bytes) -> None:
        self._demand_stopped()
        answer = self._exchange([command])[0]
        if answer != b"OK":
            shown = answer.decode("ascii", "replace") or "not supported"
            raise StubError(f"the stub refuses {command[:40].decode('ascii', 'replace')}: {shown}")


def _each(numbers: Iterable[int]) -> list[bytes]:
    return [b"p%x" % number for number in numbers]


def _write(number: int, value: int) -> bytes:
    return b"P%x=%b" % (number, value.to_bytes(8, "little").hex().encode())


def _bytes(answer: bytes) -> bytes | None:
    """The bytes of a hexadecimal answer; None for an error or nonsense."""
    try:
        return bytes.fromhex(answer.decode("ascii"))
    except ValueError:
        return None


def _number(answer: bytes) -> int | None:
    data = _bytes(answer)
    return int.from_bytes(data, "little") if data else None


def _registers(general: bytes, values: dict[str, int | None]) -> Registers:
    """The answer to `g`, and others by their names; those that were refused are left out."""
    words = _words(general)
    if len(words) <= _GPRS:
        raise StubError(f"the stub gave {len(words)} registers instead of 33")
    privilege = values.pop(PRIVILEGE_REGISTER, None)
    return Registers(
        pc=words[_GPRS],
        x=tuple(words[:_GPRS]),
        csrs={name: value for name, value in values.items() if value is not None},
        privilege=None if privilege is None else privilege & 3,
    )


def _words(answer: bytes) -> list[int]:
    data = _bytes(answer) or b""
    count = len(data) // 8
    return list(struct.unpack_from(f"<{count}Q", data))


def _hexadecimal(text: bytes) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
