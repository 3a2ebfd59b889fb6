"""The thread that reads what a machine prints: its serial line, and QEMU's own stderr."""

import fcntl
import os
import select
import termios
import threading
from array import array
from collections import deque
from collections.abc import Iterable

from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.console import SerialConsole

_STDERR_LINES = 200


class Reader:
    """Feeds `console` from the descriptor `serial`, and keeps the last lines of `errors`."""

    def __init__(self, console: SerialConsole, serial: int, errors: int) -> None:
        self._console = console
        self._serial = serial
        self._errors = errors
        self._lines: deque[str] = deque(maxlen=_STDERR_LINES)
        self._reading = threading.Condition()
        self._busy = False
        self._thread = threading.Thread(target=self._read, name="rcdbg-console", daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """The last lines of `errors`."""
        return list(self._lines)

    def note(self, lines: Iterable[bytes]) -> None:
        """Take lines for such as come from `errors`."""
        self._lines.extend(line.decode("utf-8", "replace") for line in lines if line.strip())

    def join(self, timeout: float | None = None) -> None:
        """Wait until both have ended, for so many seconds at the most."""
        self._thread.join(timeout)

    def settle(self, timeout: float) -> None:
        """Wait until all that has been printed is in `console`; raises DeadlineError."""
        with self._reading:
            if not self._reading.wait_for(
                lambda: not self._busy and not unread(self._serial), timeout
            ):
                raise DeadlineError(f"the console did not come to rest within {timeout:g} s")

    def _read(self) -> None:
        poll = select.poll()
        for descriptor in (self._serial, self._errors):
            poll.register(descriptor, select.POLLIN)
        pending = b""
        open_ends = {self._serial, self._errors}
        while open_ends:
            for descriptor, _ in poll.poll():
                with self._reading:
                    self._busy = True
                    data = _read_some(descriptor)
                if descriptor == self._serial:
                    self._console.feed(data)
                else:
                    *lines, pending = (pending + (data or b"\n")).split(b"\n")
                    self.note(lines)
                if not data:
                    poll.unregister(descriptor)
                    open_ends.remove(descriptor)
                with self._reading:
                    self._busy = False
                    self._reading.notify_all()


def unread(descriptor: int) -> int:
    """Bytes that wait to be read: ioctl_tty(2), FIONREAD."""
    waiting = array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except ConnectionResetError:
        return b""  # QEMU was killed with our typing unread: its end all the same
