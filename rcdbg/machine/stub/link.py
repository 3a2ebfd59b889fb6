"""Questions to a stub whose guest stands; the one place that knows whether it does."""

import re
from collections.abc import Sequence
from pathlib import Path

from rcdbg.machine.stub import packets, rsp
from rcdbg.machine.stub.wire import StubError, Wire

_SILENT_STOPS = (8, 1)
_MAX_TEXT = 16 << 20
"""Bytes of what the monitor prints: far above what QEMU has to say of a machine."""


class StubLink:
    """A wire to a stub that has greeted; connecting stops the guest.

    `running` is whether the guest was set going and its stop has not been seen yet: it answers
    nothing then. `changes` grows with each write and resumption: the same, what was read is still
    true. Raises StubError if nothing listens there, or what listens is no gdb stub.
    """

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self.running = False
        self.changes = 0
        self.wire = Wire(address)
        try:
            self._stopped_by_us = self._greet()
        except BaseException:
            self.wire.close()
            raise

    def exchange(self, commands: Sequence[bytes]) -> list[bytes]:
        """Send packets in one go, return the answer to each."""
        self.demand_stopped()
        return self.wire.exchange(commands)

    def demand_ok(self, command: bytes) -> None:
        """Send one packet; raises StubError unless the stub agrees."""
        answer = self.exchange([command])[0]
        if answer != b"OK":
            shown = answer.decode("ascii", "replace") or "not supported"
            raise StubError(f"the stub refuses {command[:40].decode('ascii', 'replace')}: {shown}")

    def demand_stopped(self) -> None:
        """Raise StubError if the guest runs, or the connection has ended."""
        if self.running:
            raise StubError("the guest is running: stop it first")
        self.wire.demand()

    def go(self, *commands: bytes) -> None:
        """Send packets of which the last sets the guest going; its stop is the next answer."""
        self.changes += 1
        try:
            self.wire.send(b"".join(map(rsp.frame, commands)))
        except StubError:
            # QEMU has ended since its last answer: whoever waits for the guest is told so.
            if not self.wire.gone:
                raise
        self.running = True

    def monitor(self, line: str) -> str:
        """What QEMU's human monitor prints for `line`: gdb's `monitor`, packet qRcmd."""
        self.demand_stopped()
        text = bytearray()
        with self.wire.answering() as deadline:
            self.wire.send(rsp.frame(b"qRcmd," + line.encode().hex().encode()))
            for answer in self.wire.packets(deadline):
                if answer[:1] != b"O" or answer == b"OK":
                    break
                text += packets.raw(answer[1:]) or b""
                if len(text) > _MAX_TEXT:
                    self.wire.close()
                    raise StubError(f"the stub at {self.address} has no end of an answer")
        if answer != b"OK":
            raise StubError(f"the stub has no monitor: it says {answer[:40]!r}")
        return text.decode("utf-8", "replace").replace("\r\n", "\n")

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

    def _greet(self) -> bool:
        """Say hello; whatever comes before the answer is about the stop that we caused."""
        stopped_by_us = False
        with self.wire.answering() as deadline:
            self.wire.send(rsp.frame(b"qSupported:xmlRegisters=riscv"))
            for answer in self.wire.packets(deadline):
                if answer[:1] not in (b"T", b"S"):
                    break
                stopped_by_us = True
        if b"PacketSize" not in answer:
            raise StubError(f"what listens at {self.address} is no gdb stub: it says {answer!r}")
        return stopped_by_us
