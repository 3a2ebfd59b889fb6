"""What the parts of the program share: screen, session, and the thread between them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from rich.text import Text
from textual.app import App
from textual.message import Message

from rcdbg.errors import RcdbgError
from rcdbg.tui.course import GuestCourse
from rcdbg.tui.session import DebugSession
from rcdbg.tui.widgets.desk import Desk
from rcdbg.tui.worker import Job, Worker
from rcdbg.views import palette
from rcdbg.views.common import guest

_HINT_SECONDS = 3


class Happened(Message):
    """Something in the session's threads that the screen has to follow."""

    def __init__(self, follow: Callable[[], None]) -> None:
        super().__init__()
        self.follow = follow


class Link:
    """The session, its thread, the screen of the panels, and what is known of the guest."""

    def __init__(self, app: App[int], session: DebugSession) -> None:
        self.app = app
        self.session = session
        self.desk = Desk(session.kernel_name, session.scenario)
        self.course = GuestCourse()
        self._worker = Worker(lambda error: self.tell(partial(self.failed, error)))

    # Between the threads

    def submit(self, job: Job) -> None:
        """Do `job` in the session's thread, after what was asked for before."""
        self._worker.submit(job)

    def tell(self, follow: Callable[[], None]) -> None:
        """Call `follow` in the screen's thread."""
        # The session's threads outlive the screen by a little; they have nobody to tell then.
        with suppress(RuntimeError):
            self.app.post_message(Happened(follow))

    def later(self, seconds: float, follow: Callable[[], None]) -> None:
        """The same after so many seconds; to be called in the screen's thread."""
        # A timer of textual's is skipped, for good, when the loop comes too late for it.
        asyncio.get_running_loop().call_later(seconds, self.tell, follow)

    def interrupt(self) -> None:
        """Ask the guest to stop, or gdb to leave off what it does; from any thread."""
        try:
            self.session.interrupt()
        except RcdbgError as error:
            self.tell(partial(self.failed, error))

    def end(self, seconds: float) -> None:
        """Let the session's thread end; the session must be closed already."""
        self._worker.close(seconds)

    # What the user reads, beside the panels

    def note(self, *lines: Text) -> None:
        """Add lines to gdb's panel."""
        self.desk.note(*lines)

    def failed(self, error: Exception) -> None:
        """Say in gdb's panel what went wrong."""
        self.note(guest("! " + in_one_line(error), palette.PROBLEM))

    def hint(self) -> None:
        """Say for a while why a key does nothing now."""
        self.app.notify(_HINTS[self.course.activity], timeout=_HINT_SECONDS)


_HINTS = {
    "starting": "the machine is starting",
    "exited": "the kernel has ended: r restarts it",
    "running": "the kernel runs: x interrupts it",
    "stopped": "the kernel stands already; q quits",
}


def in_one_line(error: Exception) -> str:
    """An error for the user, also if it is one of our own making."""
    known = isinstance(error, RcdbgError)
    line = str(error) if known else f"internal error: {type(error).__name__}: {error}"
    return " ".join(line.split())
