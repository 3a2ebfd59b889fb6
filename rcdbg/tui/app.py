"""The way in: `run_tui`, which alone brings textual with it."""

import sys

from rcdbg.machine.host.terminal import TerminalGuard
from rcdbg.tui.live.session import LiveSession, SessionOptions

__all__ = ["SessionOptions", "run_tui"]


def run_tui(options: SessionOptions) -> int:
    """Debug a kernel on the whole screen until the user leaves; returns the exit status.

    Raises RcdbgError, with the terminal restored, if the kernel cannot be started at all.
    """
    session = LiveSession(options)
    session.prepare()
    try:
        from rcdbg.tui.shell import Shell  # while the machine boots

        shell = Shell(session)
        with TerminalGuard(sys.stdout.fileno()):
            status = shell.run()
    finally:
        session.close()
    shell.end()
    if shell.start_error is not None:
        raise shell.start_error
    # Without a status it has failed, and has said so.
    return 1 if status is None else status
