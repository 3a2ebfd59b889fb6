"""A gdb spoken to in its machine interface: requests with tokens, records as they come.

Format: gdb manual, chapter "The GDB/MI Interface", node "GDB/MI Output Syntax"; parsed by pygdbmi,
whose own controller waits 0.2 s a command, which is why the pipes are handled here.
"""

import itertools
import logging
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Literal, cast

from pygdbmi.gdbmiparser import parse_response

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.host.process import Process

_LOG = logging.getLogger(__name__)

Kind = Literal["result", "notify", "console", "log", "target", "output", "done"]
Payload = dict[str, Any]


class GdbError(MachineError):
    """gdb refuses a command (the message is gdb's), or has ended.

    `output` is what the command printed before it failed.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.output = output


@dataclass(frozen=True, slots=True)
class Record:
    """One line from gdb.

    `kind` is pygdbmi's: a `result` (of the request with `token`), a `notify` (`message` is its
    class: stopped, running, breakpoint-modified, ...), text for the `console` or the `log`,
    `output` that is no MI, or `done`, gdb's prompt. `payload` is a dictionary, or the text.
    """

    kind: Kind
    message: str | None
    payload: Any
    token: int | None


class MiChannel:
    """gdb as a child process; `command` must start it with an MI interpreter.

    Every record, results included, is given to `listener` from the reader thread, in order; at
    gdb's end, None. Raises MachineError if gdb cannot be started.
    """

    def __init__(self, command: Sequence[str], listener: Callable[[Record | None], None]) -> None:
        self._listener = listener
        self._tokens = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Payload]] = {}
        self._last_output: deque[str] = deque(maxlen=3)
        self._ended = False
        self._closed = False
        stdin, self._commands = os.pipe()
        self._records, stdout = os.pipe()
        try:
            self._process = Process(command, stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT)
        except BaseException:
            os.close(self._commands)
            os.close(self._records)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)
        self._reader = threading.Thread(target=self._read, name="rcdbg-gdb", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """gdb's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether gdb still runs."""
        return not self._ended

    def send(self, text: str) -> tuple[int, "Future[Payload]"]:
        """Send an MI command; returns its token and the future result, which may be a GdbError."""
        if threading.current_thread() is self._reader:
            raise GdbError("a listener to gdb's records cannot wait for gdb: use another thread")
        if "\n" in text or "\r" in text:
            raise GdbError("a gdb command cannot span lines: source a file instead")
        token = next(self._tokens)
        future: Future[Payload] = Future()
        with self._lock:
            if self._ended or self._closed:
                raise self._obituary()
            self._pending[token] = future
            line = f"{token}{text}\n".encode()
            try:
                while line:
                    line = line[os.write(self._commands, line) :]
            except BrokenPipeError as error:
                del self._pending[token]
                raise self._obituary() from error
        return token, future

    def await_result(self, future: "Future[Payload]", text: str, timeout: float) -> Payload:
        """The payload of a result; raises GdbError, or DeadlineError after `timeout` seconds."""
        try:
            return future.result(timeout)
        except FutureTimeoutError as error:
            raise DeadlineError(f"gdb did not answer {text!r} within {timeout:g} s") from error

    def request(self, text: str, timeout: float) -> Payload:
        """Send an MI command and wait for its result."""
        _, future = self.send(text)
        return self.await_result(future, text, timeout)

    def interrupt(self) -> None:
        """What Ctrl-C does to a gdb in a terminal."""
        self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Kill gdb and wait for its end. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._process.close()
        self._reader.join()
        with self._lock:
            os.close(self._commands)

    def _read(self) -> None:
        with os.fdopen(self._records, "rb") as lines:
            for line in lines:
                record = _parse(line.decode("utf-8", "replace").rstrip("\r\n"))
                if record.kind == "output":
                    self._last_output.append(str(record.payload))
                self._tell(record)
                if record.kind == "result" and record.token is not None:
                    self._settle(record)
        with self._lock:
            self._ended = True
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(self._obituary())
        self._tell(None)

    def _tell(self, record: Record | None) -> None:
        try:
            self._listener(record)
        except Exception:  # noqa: BLE001
            # A broken listener must not end the conversation.
            _LOG.exception("a listener to gdb's records failed")

    def _settle(self, record: Record) -> None:
        with self._lock:
            future = self._pending.pop(cast(int, record.token), None)
        if future is None:
            return  # a command that failed after its `^running`
        if record.message == "error":
            message = (record.payload or {}).get("msg", "")
            future.set_exception(GdbError(message or "gdb failed without saying why"))
        else:
            future.set_result(record.payload or {})

    def _obituary(self) -> GdbError:
        if self._closed:
            return GdbError("gdb has been closed")
        last = f": {self._last_output[-1]}" if self._last_output else ""
        return GdbError(f"gdb has ended{last}")


def quote(text: str) -> str:
    """`text` as an MI c-string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _parse(line: str) -> Record:
    try:
        found = parse_response(line)
    except (TypeError, ValueError, LookupError, AssertionError, RecursionError):
        # A cut-off or garbled line; the parser has no error of its own for it.
        found = {"type": "output", "message": None, "payload": line}
    payload = found["payload"]
    if found["type"] in ("result", "notify") and not isinstance(payload, dict):
        payload = None
    return Record(found["type"], found["message"], payload, found.get("token"))
