"""QEMU's gdb stub, spoken to directly: registers, memory and run control without a gdb.

Protocol: gdb manual, appendix "GDB Remote Serial Protocol"; QEMU's own packets (`qqemu.*`):
QEMU manual, "GDB usage". One thread at a time may use a client.
"""

import contextlib
import itertools
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.machine import rsp, timer
from rcdbg.machine.control import PRIVILEGE_REGISTER, Stop, StopReason
from rcdbg.machine.deadline import Deadline, DeadlineError
from rcdbg.riscv.registers import SUPERVISOR_CSRS
from rcdbg.target.protocol import Ram, Registers

READ_CHUNK = 2048
"""Bytes in a read or write: QEMU's packets hold 4 KiB, that is this many in hexadecimal."""

STEP_ALONE, STEP_WITH_INTERRUPTS = 0x7, 0x1
"""Values for `set_step_mode`: ENABLE | NOIRQ | NOTIMER (the default), and ENABLE only."""

_PHYSICAL = b"Qqemu.PhyMemMode:%d"
_ANSWER_SECONDS = 10.0
_STEP_OVER_SECONDS = 0.5
_BURST = 16
_GPRS = 32
_SIGINT, _SIGTRAP = 2, 5
_MAX_BAD_ITEMS = 8
_SILENT_STOPS = (8, 1)
_ENDS = (b"W", b"X", b"")
_STOPS = (b"T", b"S", b"W", b"X")


class StubError(MachineError):
    """The stub is gone, refuses, or is no gdb stub."""


class StubClient:
    """A connection to the stub; a running guest is stopped by it.

    `address` is the path of a unix socket, or "host:port". `csrs` are those that `registers` reads.
    Raises StubError if nothing listens there, or what listens is no gdb stub.
    """

    def __init__(self, address: Path | str, *, csrs: Sequence[str] = SUPERVISOR_CSRS) -> None:
        self.address = str(address)
        self._stream = b""
        self._unacknowledged = 0
        self._bad_items = 0
        self._running = False
        self._stepping = False
        self._stop: Stop | None = None
        self._breakpoints: dict[int, int] = {}
        self._stopped_by_us = False
        self._physical = False
        self.mtime: int | None = None
        """The physical address of the timer's count: see `find_timer`."""
        self._numbers = itertools.count(1)
        self._socket = _connect(address)
        try:
            self._greet()
            self._all_numbers = numbers = self._register_numbers()
            self._pc_number = numbers["pc"]
            self._csr_numbers = {name: numbers[name] for name in csrs if name in numbers}
            self._privilege_number = numbers.get(PRIVILEGE_REGISTER)
            self._stop = Stop("interrupt", self._pc())
        except KeyError as error:
            self._socket.close()
            raise StubError(f"the stub at {self.address} describes no register {error}") from error
        except BaseException:
            self._socket.close()
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
        words = _words(general)
        if len(words) <= _GPRS:
            raise StubError(f"the stub gave {len(words)} registers instead of 33")
        values = dict(zip(numbers, map(_number, answers), strict=False))
        if ask_timer and (self._physical or answers[-3] == b"OK"):
            values[timer.NAME] = _number(answers[-1 if self._physical else -2])
        privilege = values.pop(PRIVILEGE_REGISTER, None)
        return Registers(
            pc=words[_GPRS],
            x=tuple(words[:_GPRS]),
            csrs={name: value for name, value in values.items() if value is not None},
            privilege=None if privilege is None else privilege & 3,
        )

    def _timer_packets(self) -> list[bytes]:
        """Packets that read mtime: sent with the others, they cost no round trip."""
        if self.mtime is None:
            return []
        read = b"m%x,%x" % (self.mtime, timer.SIZE)
        return [read] if self._physical else [_PHYSICAL % 1, read, _PHYSICAL % 0]

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
        self._demand_ok(b"P%x=%b" % (number, value.to_bytes(8, "little").hex().encode()))
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
        for at in range(0, len(data), READ_CHUNK):
            piece = data[at : at + READ_CHUNK]
            self._demand_ok(b"M%x,%x:%b" % (address + at, len(piece), piece.hex().encode()))

    @contextlib.contextmanager
    def physical(self) -> Iterator[None]:
        """Within it, addresses of reads and writes are physical, RAM and devices alike."""
        self._demand_ok(_PHYSICAL % 1)
        self._physical = True
        try:
            yield
        finally:
            self._physical = False
            self._demand_ok(_PHYSICAL % 0)

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
        found = re.search(r"(\d+)\.(\d+)", self.monitor("info version"))
        # From 8.1 on, its stub no longer reports a stop that nobody has asked about.
        return found is None or (int(found[1]), int(found[2])) >= _SILENT_STOPS

    def monitor(self, line: str) -> str:
        """What QEMU's human monitor prints for `line`: gdb's `monitor`, packet qRcmd."""
        self._demand_stopped()
        text, deadline = b"", Deadline(_ANSWER_SECONDS)
        self._send(rsp.frame(b"qRcmd," + line.encode().hex().encode()))
        while (answer := self._receive(deadline))[:1] == b"O" and answer != b"OK":
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

    def step_instruction(self) -> None:
        """Let the hart execute one instruction; breakpoints do not count for it."""
        self._demand_stopped()
        self._go(b"s")
        self._stepping = True

    def step(self, timeout: float = _ANSWER_SECONDS) -> Stop:
        """Execute one instruction and wait until that is done."""
        self.step_instruction()
        return self.wait_stop(timeout)

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""
        if self._running:
            self._send(rsp.INTERRUPT)

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

        `physical` is an address and a size in bytes. At the guest's end there are no registers.
        """
        if self._running:
            answer = self._stop_reply(Deadline(timeout))
            if answer[:1] in _ENDS:
                self._stepping = False
                self._stop = self._understand(answer, stepping=False)
                return self._stop, None, b""
        elif self._stop is not None and self._stop.reason == "exited":
            return self._stop, None, b""
        else:
            answer = b"T05"
        numbers = {name: self._all_numbers[name] for name in csrs if name in self._all_numbers}
        packets = [b"g", *_each(numbers.values())]
        if physical is not None:
            read = b"m%x,%x" % physical
            packets += [b"Qqemu.PhyMemMode:1", read, b"Qqemu.PhyMemMode:0"]
        general, *answers = self._exchange(packets)
        words = _words(general)
        if len(words) <= _GPRS:
            raise StubError(f"the stub gave {len(words)} registers instead of 33")
        stepping, self._stepping = self._stepping, False
        self._stop = self._stopped(_hexadecimal(answer[1:3]), words[_GPRS], stepping)
        values = zip(numbers, map(_number, answers), strict=False)
        known = {name: value for name, value in values if value is not None}
        held = (_bytes(answers[-2]) or b"") if physical is not None else b""
        return self._stop, Registers(words[_GPRS], tuple(words[:_GPRS]), known), held

    def close(self) -> None:
        """Take the breakpoints out and disconnect; the guest stays as it is."""
        if self._gone:
            return
        # Left in, a breakpoint would stop the guest one day with nobody there to resume it.
        with contextlib.suppress(MachineError):
            for number in [] if self._running else list(self._breakpoints):
                self.remove_breakpoint(number)
        self._socket.close()

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
            answer = self._stop_reply(Deadline(_ANSWER_SECONDS))
        if answer[:1] in _ENDS:
            self._stop = self._understand(answer, stepping=True)
            return False
        return True

    def _stop_reply(self, deadline: Deadline) -> bytes:
        """The packet that says why the guest stands; empty if the connection ended instead."""
        try:
            answer = self._receive(deadline)
            while answer[:1] not in _STOPS:
                answer = self._receive(deadline)  # `O...`: text for gdb's console
        except StubError:
            if not self._gone:
                raise
            answer = b""
        self._running = False
        return answer

    def _understand(self, answer: bytes, stepping: bool) -> Stop:
        """The meaning of a stop reply: gdb manual, node "Stop Reply Packets"."""
        if answer[:1] in _ENDS:
            status = _hexadecimal(answer[1:3]) if answer[:1] == b"W" else None
            self._close_socket()
            return Stop("exited", exit_status=status)
        return self._stopped(_hexadecimal(answer[1:3]), self._pc(), stepping)

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

    def _go(self, command: bytes) -> None:
        self._send(rsp.frame(command))
        self._running = True

    def _demand_stopped(self) -> None:
        if self._running:
            raise StubError("the guest is running: stop it first")
        self._demand_socket()

    def _pc(self) -> int:
        value = _number(self._exchange([b"p%x" % self._pc_number])[0])
        if value is None:
            raise StubError("the stub does not give the pc")
        return value

    def _greet(self) -> None:
        """Say hello; whatever comes before the answer is about the stop that we caused."""
        answer = self._exchange([b"qSupported:xmlRegisters=riscv"])[0]
        deadline = Deadline(_ANSWER_SECONDS)
        while answer[:1] in (b"T", b"S"):
            self._stopped_by_us = True
            answer = self._receive(deadline)
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

    def _demand_ok(self, command: bytes) -> None:
        self._demand_stopped()
        answer = self._exchange([command])[0]
        if answer != b"OK":
            shown = answer.decode("ascii", "replace") or "not supported"
            raise StubError(f"the stub refuses {command[:40].decode('ascii', 'replace')}: {shown}")

    def _exchange(self, commands: Sequence[bytes]) -> list[bytes]:
        """Send packets in one go, return the answer to each."""
        self._demand_stopped()
        deadline = Deadline(_ANSWER_SECONDS)
        try:
            self._send(b"".join(map(rsp.frame, commands)))
            return [self._receive(deadline) for _ in commands]
        except DeadlineError as error:
            # A late answer would be taken for that to the next question.
            self._close_socket()
            raise StubError(
                f"the stub at {self.address} gave no answer in {_ANSWER_SECONDS:g} s: "
                "is another debugger connected to it?"
            ) from error

    def _send(self, data: bytes) -> None:
        self._demand_socket()
        self._socket.settimeout(_ANSWER_SECONDS)
        # Acknowledgements travel with the next packet: on their own they would cost as much as it.
        acknowledgements, self._unacknowledged = rsp.ACK * self._unacknowledged, 0
        try:
            self._socket.sendall(acknowledgements + data)
        except OSError as error:
            self._close_socket()
            raise StubError("QEMU has ended, or closed its gdb stub") from error

    def _receive(self, deadline: Deadline) -> bytes:
        """The next packet's payload, acknowledged."""
        while True:
            item, self._stream = rsp.take(self._stream)
            if item is None:
                self._stream += self._read(deadline)
            elif item.kind is rsp.Kind.PACKET:
                self._bad_items = 0
                self._unacknowledged += 1
                return item.payload
            elif item.kind is not rsp.Kind.ACK:
                self._bad_items += 1
                if self._bad_items > _MAX_BAD_ITEMS or item.kind is rsp.Kind.JUNK:
                    self._close_socket()
                    raise StubError(f"what answers at {self.address} does not speak like a stub")
                if item.kind is rsp.Kind.DAMAGED:
                    self._send(rsp.NAK)

    def _read(self, deadline: Deadline) -> bytes:
        self._demand_socket()
        # Zero would make the socket non-blocking instead of impatient.
        self._socket.settimeout(max(deadline.remaining, 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError as error:
            raise DeadlineError(f"the guest did not stop within {deadline.seconds:g} s") from error
        except OSError as error:
            self._close_socket()
            raise StubError(f"the connection to the stub broke: {error.strerror}") from error
        if not data:
            self._close_socket()
            raise StubError("QEMU has ended, or closed its gdb stub")
        return data

    @property
    def _gone(self) -> bool:
        return self._socket.fileno() < 0

    def _demand_socket(self) -> None:
        if self._gone:
            raise StubError("the connection to QEMU's gdb stub is closed")

    def _close_socket(self) -> None:
        self._socket.close()


def _connect(address: Path | str) -> socket.socket:
    host, colon, port = str(address).rpartition(":")
    try:
        if isinstance(address, str) and colon and port.isdigit() and "/" not in host:
            connection = socket.create_connection((host or "localhost", int(port)), _ANSWER_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        local = socket.socket(socket.AF_UNIX)
        try:
            local.connect(str(address))
        except BaseException:
            local.close()
            raise
        return local
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StubError(f"no gdb stub at {address}: {why}") from error


def _each(numbers: Iterable[int]) -> list[bytes]:
    return [b"p%x" % number for number in numbers]


def _bytes(answer: bytes) -> bytes | None:
    """The bytes of a hexadecimal answer; None for an error or nonsense."""
    try:
        return bytes.fromhex(answer.decode("ascii"))
    except ValueError:
        return None


def _number(answer: bytes) -> int | None:
    data = _bytes(answer)
    return int.from_bytes(data, "little") if data else None


def _words(answer: bytes) -> list[int]:
    data = _bytes(answer) or b""
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 7, 8)]


def _hexadecimal(text: bytes) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
