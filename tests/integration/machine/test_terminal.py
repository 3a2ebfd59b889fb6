"""A killed full-screen program leaves a usable terminal."""

import os
import pty
import signal
import subprocess
import sys
import termios

from rcdbg.machine.host.terminal import RESTORE

PROGRAM = """
import signal, sys, tty
from rcdbg.machine.host.terminal import TerminalGuard
with TerminalGuard(1):
    tty.setraw(1)
    sys.stdout.write("raw now")
    sys.stdout.flush()
    if sys.argv[1] == "stay":
        signal.pause()
print("left in order")
"""


def start(how: str, theirs: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, how], stdin=theirs, stdout=theirs)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        found += os.read(descriptor, 1024)
    return found


def test_after_sigkill_the_modes_and_the_screen_are_restored() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    child = start("stay", theirs)
    try:
        read_until(ours, b"raw now")
        assert termios.tcgetattr(theirs) != before
        os.kill(child.pid, signal.SIGKILL)
        # The guard writes behind the modes that it sets: what comes last tells that all is done.
        read_until(ours, b"\x1b[?25h")
        assert termios.tcgetattr(theirs) == before
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(theirs)


def test_after_an_orderly_end_nothing_more_is_written() -> None:
    ours, theirs = pty.openpty()
    child = start("leave", theirs)
    try:
        said = read_until(ours, b"left in order")
        assert child.wait(20) == 0
        assert RESTORE.encode() not in said
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(theirs)
