"""Gives the terminal back as it was, also when rcdbg is killed while it, or gdb, has changed it.

Run as a program of its own, by path, with nothing but the standard library:

    python -I -S terminal.py CONTROL TERMINAL MODES SCREEN

CONTROL is the read end of a pipe that rcdbg holds: a byte on it means that rcdbg has restored the
terminal itself; its end of file without one, that rcdbg was killed. TERMINAL is then set to MODES,
which are Python's of `termios.tcgetattr`, and, if SCREEN is "full", told to leave the full screen.
"""

import ast
import contextlib
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Self

RESTORE = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l"  # no mouse reports
    "\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[<u"  # no focus and paste reports, keys as usual
    "\x1b[?1049l\x1b[?25h\x1b[0m\r\n"  # the normal screen, a cursor, no colours
)
"""Undoes what a full-screen program may have asked for (xterm's control sequences)."""

RESTORE_LINE = "\x1b[?2004l\x1b[?25h\x1b[0m\r\n"
"""The same for a program that edits lines: to leave a screen that it is not in moves the cursor."""

_FAREWELL = b"."


class TerminalGuard:
    """While it is open, a killed rcdbg leaves the terminal behind `descriptor` as it found it.

    To be made before the terminal is changed. A child that changes it may inherit `held`: then its
    end is waited for, too. Raises termios.error if it is no terminal.
    """

    def __init__(self, descriptor: int, *, full_screen: bool = True) -> None:
        self._descriptor = descriptor
        self._modes = modes = termios.tcgetattr(descriptor)
        read, self.held = os.pipe()
        own = os.dup(descriptor)  # 0 is something else in the guard
        try:
            self._guard = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(__file__).resolve())),
                    *(str(read), str(own), repr(modes)),
                    "full" if full_screen else "line",
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(read, own),
                # Out of reach of the terminal's signals: it has to outlive us.
                start_new_session=True,
            )
        finally:
            os.close(read)
            os.close(own)

    def give_back(self) -> None:
        """Set the terminal's modes as they were; nothing happens if it is gone."""
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)

    def close(self) -> None:
        """The terminal is restored already: let the guard go."""
        with contextlib.suppress(BrokenPipeError):  # the guard was killed
            os.write(self.held, _FAREWELL)
        os.close(self.held)
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def guard(control: int, terminal: int, modes: str, screen: str) -> None:
    """Wait for rcdbg's end, and restore the terminal if it did not do so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        if os.read(control, 1) == _FAREWELL:
            return
        termios.tcsetattr(terminal, termios.TCSAFLUSH, ast.literal_eval(modes))
        os.write(terminal, (RESTORE if screen == "full" else RESTORE_LINE).encode())
    except (OSError, termios.error):
        # The terminal is gone too: there is nothing to give back.
        return


if __name__ == "__main__":
    guard(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
