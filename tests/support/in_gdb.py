"""gdb as a program that is given commands, and what it prints."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rcdbg.trace.run import Run

SCRIPT = Path(__file__).resolve().parents[2] / "gdbscripts" / "rcdbg.py"
PIP_GDB = str(Path(sys.executable).with_name("gdb"))
GDBS = {"gdb-from-pip": PIP_GDB, "gdb-multiarch": "gdb-multiarch"}
TIMEOUT = 120

# gdb 13 says "Target disconnected.: Broken pipe.", gdb 18 "Target disconnected: error while
# writing: Broken pipe.".
_CLOSED = re.compile(
    r"Remote communication error\.  Target disconnected[.:][^\n]*"
    r"(Broken pipe|Connection reset by peer)\.\n\Z"
)


def batch(program: str, *commands: str) -> "subprocess.CompletedProcess[str]":
    """A gdb that does these, one after the other, whatever becomes of each.

    Its complaints are without the one with which it sometimes ends: after `detach`, `disconnect`
    or `kill` it may write once more, on a connection that QEMU has closed by then; whether it does
    is a race that neither of them can win.
    """
    done = subprocess.run(
        [program, "-nx", "-q", "-batch", *(a for c in commands for a in ("-ex", c))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    done.stderr = _CLOSED.sub("", done.stderr)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "Python Exception" not in done.stdout + done.stderr, done.stderr
    return done


class InGdb:
    """A kernel as it stands, and a gdb that connects to it by plain commands.

    `last` is how it parts: `disconnect` leaves the kernel standing, `detach` lets it run on.
    """

    def __init__(self, program: str, run: Run, *, last: str = "disconnect") -> None:
        self.program, self.run, self.last = program, run, last
        self.elf = run.image.path

    @property
    def connect(self) -> str:
        return f"target remote {self.run.qemu.gdb_socket}"

    def call(
        self, *commands: str, before: Sequence[str] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """`before` is done before the script is sourced."""
        self.run.stub.close()  # it serves one client
        first = ("set osabi none", "set confirm off", "set width 0", f"file {self.elf}")
        source = (*before, self.connect, f"source {SCRIPT}")
        return batch(self.program, *first, *source, *commands, self.last)

    def __call__(self, *commands: str, before: Sequence[str] = ()) -> str:
        """What gdb printed, and nothing was wrong; the monitor's answers are at the end."""
        done = self.call(*commands, before=before)
        if not any(command.startswith("monitor") for command in commands):
            assert done.stderr == "", done.stderr
        assert "rcdbg: " not in done.stderr, done.stderr
        return done.stdout + "\n" + done.stderr

    def refused(self, command: str) -> str:
        """The one line with which gdb refuses a command."""
        done = self.call(command)
        assert done.stderr.startswith("rcdbg: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents in gdb's output."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (start := text.find('{\n  "schema"', at)) >= 0:
        document, at = decoder.raw_decode(text, start)
        found.append(document)
    return found
