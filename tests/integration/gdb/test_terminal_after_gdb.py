"""What `rcdbg gdb` leaves of the terminal, however it ends."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rcdbg.machine.host.terminal import RESTORE_LINE
from tests.integration.tui.terminal import descendants

SECONDS = 60


class Pty:
    """A terminal of which `rcdbg gdb` has the one end."""

    def __init__(self, gdb: str, kernel: Path) -> None:
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        command = [sys.executable, "-m", "rcdbg.cli.main", "gdb", "--gdb", gdb,
                   "--kernel", str(kernel), "-x", "echo it is-here\\n"]  # fmt: skip
        self.said = b""
        self.process = subprocess.Popen(
            command, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True, env={**os.environ, "TERM": "xterm", "HOME": "/nonexistent"},
        )  # fmt: skip

    def wait_for(self, wanted: bytes, after: int = 0) -> int:
        """Read until it is there; returns where it ends."""
        deadline = time.monotonic() + SECONDS
        while wanted not in self.said[after:]:
            assert select.select([self.ours], [], [], deadline - time.monotonic())[0], self.said
            self.said += os.read(self.ours, 4096)
        return self.said.index(wanted, after) + len(wanted)

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def gdb(self) -> int:
        """The process id of gdb."""
        return next(
            child
            for child in descendants(self.process.pid)
            if b"-ex" in (words := Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"))
            and not any(b"warden" in word for word in words)
        )

    def close(self) -> None:
        """End it all."""
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def at_prompt(gdb: str, rcdbg_kernel: Path) -> Iterator[Pty]:
    """`rcdbg gdb` at its prompt, where gdb has taken the echo away."""
    terminal = Pty(gdb, rcdbg_kernel)
    try:
        terminal.wait_for(b"(gdb) ", terminal.wait_for(b"is-here"))
        assert not terminal.echoes, "gdb edits lines itself"
        yield terminal
    finally:
        terminal.close()


@pytest.mark.one_kernel
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_after_a_signal_it_echoes(at_prompt: Pty, number: signal.Signals) -> None:
    at_prompt.process.send_signal(number)
    assert at_prompt.process.wait(SECONDS) == 128 + number
    assert termios.tcgetattr(at_prompt.theirs) == at_prompt.before


@pytest.mark.one_kernel
def test_after_sigkill_it_echoes(at_prompt: Pty) -> None:
    at_prompt.process.kill()
    at_prompt.wait_for(RESTORE_LINE.rstrip().encode())
    assert termios.tcgetattr(at_prompt.theirs) == at_prompt.before


@pytest.mark.one_kernel
def test_after_the_end_of_gdb_itself_it_echoes(at_prompt: Pty) -> None:
    os.kill(at_prompt.gdb(), signal.SIGKILL)
    at_prompt.process.wait(SECONDS)
    assert termios.tcgetattr(at_prompt.theirs) == at_prompt.before


@pytest.mark.one_kernel
def test_after_quit_nothing_more_is_written(at_prompt: Pty) -> None:
    os.write(at_prompt.ours, b"quit\n")
    assert at_prompt.process.wait(SECONDS) == 0
    assert termios.tcgetattr(at_prompt.theirs) == at_prompt.before
