"""A monitor for what must be over in a moment: stop the guest, look, let it go on.

`rcdbg.machine.qemu.monitor` is the general one; its event loop in another thread makes a stop three
times as long. Here the caller's own thread writes and reads, and nothing else happens meanwhile.
Protocol: QEMU Machine Protocol Specification, sections 2 and 4.
"""

import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.monitor import ANSWER_SECONDS, MonitorError

_RECEIVE_BYTES = 1 << 16
_RETURN, _ERROR = b'{"return"', b'{"error"'
"""How QEMU begins an answer to a command without an id; all other lines are events."""
_EVENT = b'"event":'


def command(name: str, **arguments: object) -> bytes:
    """A QMP command as it is sent; an underscore in an argument's name stands for a hyphen."""
    named = {key.replace("_", "-"): value for key, value in arguments.items()}
    return json.dumps({"execute": name, "arguments": named}).encode() + b"\n"


class QuickMonitor:
    """A QMP connection on which the caller's thread waits; a context manager that closes it.

    `where` is the path of a unix socket that serves QMP to nobody else meanwhile. One thread at a
    time may use it: `lock` is for that. `events` are those since the last `forget`, as sent.
    Raises MonitorError if nothing that speaks QMP listens there or the connection ends,
    DeadlineError if there is no answer in ANSWER_SECONDS; it is of no use any more then.
    """

    def __init__(self, where: Path) -> None:
        self.lock = threading.RLock()
        self.events: list[bytes] = []
        self._received = b""
        self._unanswered = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            try:
                self._socket.connect(str(where))
            except OSError as error:
                raise MonitorError(f"no QEMU answers at {where}: {error}") from error
            # An event may be on its way to whoever connects, before QEMU has greeted.
            while _EVENT in (line := self._line()):
                pass
            if b'"QMP"' not in line:
                raise MonitorError(f"what listens at {where} is no QEMU monitor")
            self.send(command("qmp_capabilities"))
            self.answer()
        except BaseException:
            self._socket.close()
            raise

    def send(self, *commands: bytes) -> None:
        """Send commands at once; each `answer` belongs to the earliest that has none yet."""
        self._unanswered += len(commands)
        try:
            self._socket.sendall(b"".join(commands))
        except OSError as error:
            raise self._lost(error) from error

    def forget(self) -> None:
        """Wait for the answers that nobody has fetched; drop them, and all events so far."""
        while self._unanswered:
            self._answer_line()
        self.events.clear()

    def answer(self) -> Any:
        """What that command returned; raises MonitorError too if QEMU refused it."""
        line = self._answer_line()
        try:
            message = json.loads(line)
            if "return" in message:
                return message["return"]
            raise MonitorError(f"QEMU says: {message['error']['desc']}")
        except (ValueError, KeyError, TypeError) as error:
            raise MonitorError(f"not an answer of QEMU's: {line[:80]!r}") from error

    def times(self) -> Mapping[str, float]:
        """The last time of each kind of event in `events`, in seconds of QEMU's wall clock."""
        found: dict[str, float] = {}
        for line in self.events:
            try:
                event = json.loads(line)
                stamp = event["timestamp"]
                found[event["event"]] = stamp["seconds"] + stamp["microseconds"] / 1e6
            except (ValueError, KeyError, TypeError) as error:
                raise MonitorError(f"not an event of QEMU's: {line[:80]!r}") from error
        return found

    def close(self) -> None:
        """Disconnect; QEMU goes on. May be called again."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer_line(self) -> bytes:
        while True:
            line = self._line()
            if line.startswith((_RETURN, _ERROR)):
                self._unanswered -= 1
                return line
            self.events.append(line)

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except OSError as error:
                raise self._lost(error) from error
            if not data:
                raise self._lost(None)
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _lost(self, error: OSError | None) -> MonitorError | DeadlineError:
        self._socket.close()
        if isinstance(error, TimeoutError):
            return DeadlineError(f"QEMU's monitor gave no answer in {ANSWER_SECONDS:g} s")
        return MonitorError("QEMU has ended, or closed its monitor")
