"""QEMU's monitor: whoever asks writes, and waits for the answer on its own thread.

Nothing else happens meanwhile, so that a stop of the guest is over in half a millisecond: with an
event loop in another thread (`qemu.qmp`) each question costs three times as much.
Protocol: QEMU Machine Protocol Specification, sections 2 and 4; commands: QEMU QMP Reference
Manual.
"""

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import Deadline, DeadlineError

ANSWER_SECONDS = 20.0
"""How long a command may take unless the caller says otherwise; `savevm` takes 0.03."""

_RECEIVE_BYTES = 1 << 16
_RETURN, _ERROR = b'{"return"', b'{"error"'
"""How QEMU begins an answer to a command without an id; all other lines are events."""
_EVENT = b'"event":'
_CLOSED = "the connection to QEMU's monitor is closed"
_ENDED = "QEMU has ended, or closed its monitor"


class MonitorError(MachineError):
    """The monitor is gone, or refuses a command; the message is QEMU's own."""


def command(name: str, **arguments: object) -> bytes:
    """A QMP command as it is sent; an underscore in an argument's name stands for a hyphen."""
    named = {key.replace("_", "-"): value for key, value in arguments.items()}
    return json.dumps({"execute": name, "arguments": named}).encode() + b"\n"


def human(line: str) -> bytes:
    """The QMP command that has the human monitor execute `line`."""
    return command("human-monitor-command", command_line=line)


class Monitor:
    """A QMP connection; a context manager that closes it.

    `where` is the path of a unix socket that serves QMP to nobody else meanwhile. `execute` and
    `hmp` may be called from any thread; whoever sends and fetches answers by itself holds `lock`
    for as long. `events` are those since the last `forget`, as sent.
    Raises MonitorError if nothing that speaks QMP listens there, or the connection ends.
    """

    def __init__(self, where: Path) -> None:
        self.lock = threading.RLock()
        self.events: list[bytes] = []
        self._received = b""
        self._unanswered = 0
        self._over: str | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        try:
            try:
                self._socket.connect(str(where))
            except OSError as error:
                raise MonitorError(f"no QEMU answers at {where}: {error}") from error
            # An event may be on its way to whoever connects, before QEMU has greeted.
            deadline = Deadline(ANSWER_SECONDS)
            while _EVENT in (line := self._line(deadline)):
                pass
            if b'"QMP"' not in line:
                raise MonitorError(f"what listens at {where} is no QEMU monitor")
            self.send(command("qmp_capabilities"))
            self.answer()
        except BaseException:
            self._socket.close()
            raise

    def execute(self, name: str, *, timeout: float = ANSWER_SECONDS, **arguments: object) -> object:
        """What a command returns; an underscore in an argument's name stands for a hyphen.

        Raises MonitorError if QEMU refuses or ends, DeadlineError after `timeout` seconds.
        """
        return self._ask(command(name, **arguments), timeout)

    def hmp(self, line: str, *, timeout: float = ANSWER_SECONDS) -> str:
        """What the human monitor prints for `line`, such as "info mem"; also its complaints."""
        return str(self._ask(human(line), timeout)).replace("\r\n", "\n")

    def _ask(self, question: bytes, timeout: float) -> object:
        with self.lock:
            self.forget()
            self.send(question)
            return self.answer(timeout)

    def send(self, *commands: bytes) -> None:
        """Send commands at once; each `answer` belongs to the earliest that has none yet."""
        if self._over is not None:
            raise MonitorError(self._over)
        self._unanswered += len(commands)
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(b"".join(commands))
        except OSError as error:
            raise self._lost() from error

    def forget(self) -> None:
        """Wait for the answers that nobody has fetched; drop them, and all events so far."""
        while self._unanswered and self._over is None:
            self._answer_line(ANSWER_SECONDS)
        self.events.clear()

    def answer(self, timeout: float = ANSWER_SECONDS) -> Any:
        """What that command returned; raises MonitorError too if QEMU refused it.

        Raises DeadlineError after `timeout` seconds; the answer is still waited for by `forget`.
        """
        line = self._answer_line(timeout)
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
        """Disconnect; QEMU goes on, and who still waits for it is told so. May be called again."""
        self._over = self._over if self._over == _ENDED else _CLOSED
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer_line(self, timeout: float) -> bytes:
        deadline = Deadline(timeout)
        while True:
            line = self._line(deadline)
            if line.startswith((_RETURN, _ERROR)):
                self._unanswered -= 1
                return line
            self.events.append(line)

    def _line(self, deadline: Deadline) -> bytes:
        while b"\n" not in self._received:
            remaining = deadline.remaining
            try:
                if not remaining:
                    raise TimeoutError
                self._socket.settimeout(remaining)
                data = self._socket.recv(_RECEIVE_BYTES)
            except TimeoutError as error:
                seconds = f"{deadline.seconds:g} s"
                raise DeadlineError(f"QEMU's monitor gave no answer in {seconds}") from error
            except OSError as error:
                raise self._lost() from error
            if not data:
                raise self._lost()
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _lost(self) -> MonitorError:
        self._over = self._over or _ENDED
        self._socket.close()
        return MonitorError(self._over)
