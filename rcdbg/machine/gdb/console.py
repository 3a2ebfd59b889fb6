"""Commands of gdb's console: what they print, and when they are over."""

import re
import threading

from rcdbg.machine.gdb.mi import GdbError, MiChannel, Record, quote
from rcdbg.machine.host.deadline import Deadline, DeadlineError

_NEEDS_MORE_LINES = re.compile(
    r"\s*(?:(?:commands|define|document|if|while|while-stepping|python-interactive|pi)\b"
    r"|(?:python|py|guile|gu)\s*$)"
)


class GdbConsole:
    """gdb's console, for one command at a time; `take` is given all that gdb tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._capture: _Capture | None = None
        self._busy = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether gdb works at a command, also at one that nobody waits for any more."""
        return self._busy.is_set()

    def take(self, record: Record) -> None:
        """Take what gdb tells; from its thread."""
        capture = self._capture
        if capture is not None:
            capture.take(record)

    def execute(self, channel: MiChannel, text: str, timeout: float) -> str:
        """What a command prints. It is over when gdb is ready for the next.

        If it sets the guest going, that is when the guest stands again. Raises GdbError (with the
        `output` so far) and DeadlineError.
        """
        if _NEEDS_MORE_LINES.match(text):
            raise GdbError(f"{text.split()[0]!r} needs more lines: write a file and source it")
        deadline = Deadline(timeout)
        if not self._lock.acquire(timeout=timeout):
            raise DeadlineError("gdb's console is busy with an earlier command")
        try:
            capture = self._capture = _Capture()
            self._busy.set()
            try:
                capture.token, future = channel.send(f"-interpreter-exec console {quote(text)}")
                # `^running` comes long before a command's end: this second one waits for that.
                _, barrier = channel.send("-gdb-show width")
            except GdbError:
                self._busy.clear()
                raise
            # Not when we give up waiting: gdb is blocked all the same.
            barrier.add_done_callback(lambda _: self._busy.clear())
            try:
                channel.await_result(future, text, deadline.remaining)
            except GdbError as error:
                capture.error = capture.error or str(error)
            channel.await_result(barrier, text, deadline.remaining)
            if capture.error is not None:
                raise GdbError(capture.error, capture.text)
            return capture.text
        finally:
            self._capture = None
            self._lock.release()


class _Capture:
    """What one console command prints, and whether it fails after having begun to run."""

    def __init__(self) -> None:
        self.token = 0
        self.error: str | None = None
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, record: Record) -> None:
        if record.kind in ("console", "log", "target"):
            self._pieces.append(record.payload)
        elif record.kind == "output":
            self._pieces.append(record.payload + "\n")
        elif record.kind == "result" and record.token == self.token and record.message == "error":
            self.error = (record.payload or {}).get("msg") or "gdb failed without saying why"
