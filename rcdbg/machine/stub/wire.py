"""The connection to a gdb stub: packets there and back, whatever they say.

Protocol: gdb manual, appendix "GDB Remote Serial Protocol", node "Overview".
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stub import rsp

ANSWER_SECONDS = 10.0
"""How long a stub that stands may take to answer, or to take what is sent."""

_MAX_BAD_ITEMS = 8


class StubError(MachineError):
    """The stub is gone, refuses, or is no gdb stub."""


class Wire:
    """A connection to `address`: the path of a unix socket, or "host:port".

    Raises StubError if nothing listens there; all methods raise it once the connection is gone.
    """

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self._stream = b""
        self._unacknowledged = 0
        self._bad_items = 0
        self._socket = _connect(address)

    def exchange(self, commands: Sequence[bytes]) -> list[bytes]:
        """Send packets in one go, return the answer to each, in the same order."""
        with self.answering() as deadline:
            self.send(b"".join(map(rsp.frame, commands)))
            return [self.receive(deadline) for _ in commands]

    @contextlib.contextmanager
    def answering(self) -> Iterator[Deadline]:
        """The time that one answer may take, whatever arrives meanwhile.

        What raises DeadlineError within it ends the connection, and is raised as StubError.
        """
        try:
            yield Deadline(ANSWER_SECONDS)
        except DeadlineError as error:
            # A late answer would be taken for that to the next question.
            self.close()
            raise StubError(
                f"the stub at {self.address} gave no answer in {ANSWER_SECONDS:g} s: "
                "is another debugger connected to it?"
            ) from error

    def packets(self, deadline: Deadline) -> Iterator[bytes]:
        """Packet after packet, for those who look for one of them; raises DeadlineError.

        Also when they never end: `receive` alone waits for what does not come.
        """
        while True:
            yield self.receive(deadline)
            if deadline.expired:
                raise self._late(deadline)

    def send(self, data: bytes) -> None:
        """Send bytes as they are, after the acknowledgements that are still due."""
        self.demand()
        self._socket.settimeout(ANSWER_SECONDS)
        # Acknowledgements travel with the next packet: on their own they would cost as much as it.
        acknowledgements, self._unacknowledged = rsp.ACK * self._unacknowledged, 0
        try:
            self._socket.sendall(acknowledgements + data)
        except OSError as error:
            self.close()
            raise StubError("QEMU has ended, or closed its gdb stub") from error

    def receive(self, deadline: Deadline) -> bytes:
        """The next packet's payload, acknowledged; raises DeadlineError."""
        has_read = False
        while True:
            item, self._stream = rsp.take(self._stream)
            if item is None:
                if has_read and deadline.expired:
                    raise self._late(deadline)
                has_read = True
                self._stream += self._read(deadline)
                # Of a peer that says nothing else, there may be many thousands.
                self._stream = self._stream.lstrip(rsp.ACK)
            elif item.kind is rsp.ItemKind.PACKET:
                self._bad_items = 0
                self._unacknowledged += 1
                return item.payload
            elif item.kind is not rsp.ItemKind.ACK:
                self._bad_items += 1
                if self._bad_items > _MAX_BAD_ITEMS or item.kind is rsp.ItemKind.JUNK:
                    self.close()
                    raise StubError(f"what answers at {self.address} does not speak like a stub")
                if item.kind is rsp.ItemKind.DAMAGED:
                    self.send(rsp.NAK)

    def _read(self, deadline: Deadline) -> bytes:
        self.demand()
        # Zero would make the socket non-blocking instead of impatient.
        self._socket.settimeout(max(deadline.remaining, 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError as error:
            raise self._late(deadline) from error
        except OSError as error:
            self.close()
            raise StubError(f"the connection to the stub broke: {error.strerror}") from error
        if not data:
            self.close()
            raise StubError("QEMU has ended, or closed its gdb stub")
        return data

    @staticmethod
    def _late(deadline: Deadline) -> DeadlineError:
        return DeadlineError(f"the guest did not stop within {deadline.seconds:g} s")

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self._socket.fileno() < 0

    def demand(self) -> None:
        """Raise StubError if the connection has ended."""
        if self.gone:
            raise StubError("the connection to QEMU's gdb stub is closed")

    def close(self) -> None:
        """End it. May be called again."""
        self._socket.close()


def _connect(address: Path | str) -> socket.socket:
    host, colon, port = str(address).rpartition(":")
    try:
        if isinstance(address, str) and colon and port.isdigit() and "/" not in host:
            connection = socket.create_connection((host or "localhost", int(port)), ANSWER_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(ANSWER_SECONDS)  # also for one that listens and never takes us
        try:
            local.connect(str(address))
        except BaseException:
            local.close()
            raise
        return local
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StubError(f"no gdb stub at {address}: {why}") from error
