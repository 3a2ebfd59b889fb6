"""Gives the terminal back as it was, also when rcdbg is killed while it owns the whole screen.

Run as a program of its own, by path, with nothing but the standard library:

    python -I -S terminal.py CONTROL TERMINAL MODES

CONTROL is the read end of a pipe that rcdbg holds: a byte on it means that rcdbg has restored the
terminal itself; its end of file without one, that rcdbg was killed. TERMINAL is then set to MODES,
which are Python's of `termios.tcgetattr`, and told to leave the full screen.
"""

import ast
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

_FAREWELL = b"."


class TerminalGuard:
    """While it is open, a killed rcdbg leaves the terminal behind `descriptor` as it found it.

    To be made before the terminal is changed. Raises termios.error if it is no terminal.
    """

    def __init__(self, descriptor: int) -> None:
        modes = termios.tcgetattr(descriptor)
        read, self._control = os.pipe()
        try:
            self._guard = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(__file__).resolve())),
                    *(str(read), str(descriptor), repr(modes)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(read, descriptor),
                # Out of reach of the terminal's signals: it has to outlive us.
                start_new_session=True,
            )
        finally:
            os.close(read)

    def close(self) -> None:
        """The terminal is restored already: let the guard go."""
        os.write(self._control, _FAREWELL)
        os.close(self._control)
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def guard(control: int, terminal: int, modes: str) -> None:
    """Wait for rcdbg's end, and restore the terminal if it did not do so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        if os.read(control, 1) == _FAREWELL:
            return
        termios.tcsetattr(terminal, termios.TCSAFLUSH, ast.literal_eval(modes))
        os.write(terminal, RESTORE.encode())
    except (OSError, termios.error):
        # The terminal is gone too: there is nothing to give back.
        return


if __name__ == "__main__":
    guard(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
