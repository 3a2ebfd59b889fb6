"""Processes under a warden: started here, ended with us (see `warden.py`)."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from rcdbg.errors import MachineError
from rcdbg.machine.host import warden
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.host.session import Session

_START_SECONDS = 20.0
_END_SECONDS = 10.0


class Process:
    """A command that ends when this object is closed, and when rcdbg ends in whatever way.

    `stdin`, `stdout` and `stderr` are descriptors as for subprocess.Popen; with None the command
    shares ours. The command inherits `pass_fds`. With `foreground` it stays in our process group
    and gets the terminal's keys and Ctrl-C; otherwise it is out of the terminal's reach.
    `session`, if given, is removed by the warden when all is over. It starts in `folder`, else in
    ours.

    Raises MachineError if the command cannot be executed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        session: Session | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.DEVNULL,
        stderr: int | None = None,
        pass_fds: Sequence[int] = (),
        foreground: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.command = tuple(command)
        self._lock = threading.Lock()
        self._closed = False
        self._code: int | None = None
        self._reports = b""
        control_read, self._control = os.pipe()
        self._status, status_write = os.pipe()
        held = (control_read, status_write, *((session.lock,) if session else ()))
        try:
            self._warden = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(warden.__file__).resolve())),
                    *(str(control_read), str(status_write)),
                    ",".join(str(descriptor) for descriptor in pass_fds),
                    str(session.path) if session else "",
                    "shared" if foreground else "own",
                    *command,
                ],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(*held, *pass_fds),
                start_new_session=not foreground,
                cwd=folder,
            )
        except OSError as error:
            os.close(self._control)
            os.close(self._status)
            raise MachineError(f"cannot start {sys.executable}: {error.strerror}") from error
        finally:
            os.close(control_read)
            os.close(status_write)
        self._pidfd = -1
        try:
            self.pid = self._await_start()
        except BaseException:
            self.close()
            raise

    def _await_start(self) -> int:
        deadline = Deadline(_START_SECONDS)
        while (pid := self._reported(warden.STARTED)) is None:
            failure = self._reported(warden.FAILED)
            if failure is not None:
                raise MachineError(f"cannot run {self.command[0]}: {os.strerror(failure)}")
            if not self._read_reports(deadline.remaining):
                raise MachineError(f"{self.command[0]} did not start: its warden was killed")
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            # It has ended already: only the status pipe tells of it from here on.
            self._pidfd = os.dup(self._status)
        return pid

    def _reported(self, fact: str) -> int | None:
        for line in self._reports.decode().splitlines():
            word, _, value = line.partition(" ")
            if word == fact:
                return int(value)
        return None

    def _read_reports(self, seconds: float) -> bool:
        """Wait for the next report; False at the end of file, raises DeadlineError."""
        if not _readable(self._status, seconds):
            raise DeadlineError(
                f"{self.command[0]} (pid of its warden {self._warden.pid}) is stuck"
            )
        data = os.read(self._status, 4096)
        self._reports += data
        return bool(data)

    @property
    def warden_pid(self) -> int:
        """The process id of the warden."""
        return self._warden.pid

    @property
    def alive(self) -> bool:
        """Whether the command still runs."""
        return self._code is None and not self._closed and not _readable(self._pidfd, 0)

    def wait(self, timeout: float) -> int:
        """The exit status; -N if signal N ended it. Raises DeadlineError after `timeout` s.

        If the warden was killed, the status is that of the SIGKILL that the kernel then sends.
        """
        deadline = Deadline(timeout)
        late = DeadlineError(f"{Path(self.command[0]).name} did not end within {timeout:g} s")
        if not self._lock.acquire(timeout=deadline.remaining):
            raise late
        try:
            while self._code is None:
                self._code = self._reported(warden.EXITED)
                if self._code is None and not _readable(self._status, deadline.remaining):
                    raise late
                if self._code is None and not self._read_reports(0):
                    if not _readable(self._pidfd, deadline.remaining):
                        raise DeadlineError(f"process {self.pid} does not end, although killed")
                    self._code = -signal.SIGKILL
            return self._code
        finally:
            self._lock.release()

    def send_signal(self, number: signal.Signals) -> None:
        """Send the command a signal; nothing happens if it has ended."""
        if self.alive:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return  # it ended between the two lines: the same as not alive

    def close(self) -> None:
        """Kill the command if it runs, and wait until it and its warden are gone."""
        if self._closed:
            return
        if self._control >= 0:
            # A signal may end this in its middle: told again, it goes on from there.
            control, self._control = self._control, -1
            os.close(control)
        try:
            self._warden.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._warden.kill()
            self._warden.wait()
        if self._code is None and self._pidfd >= 0:
            self.wait(_END_SECONDS)
        self._closed = True
        os.close(self._status)
        if self._pidfd >= 0:
            os.close(self._pidfd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
