"""What the session tells, and what the screen does about it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from rcdbg.model.state import KernelState
from rcdbg.tui.course import STEPS, State
from rcdbg.tui.link import Link
from rcdbg.tui.mailbox import Mailbox
from rcdbg.tui.session import Move, Stopped
from rcdbg.views import palette
from rcdbg.views.common import styled

STALE_SECONDS: Final = 0.15
"""A guest that runs for longer has its panels dimmed; a step must not make them blink."""

CONSOLE_SECONDS: Final = 0.05
"""The console is painted again after so long at the earliest."""

DIAGNOSIS_SECONDS: Final = 0.25
"""A guest that stands for so long is looked at by the doctor; who steps on is not kept waiting."""

IDLE_SECONDS: Final = 0.5
"""After the first stop, what can wait waits for so long."""


class Follower:
    """The session's listener.

    What it is told, in the session's threads, goes to the course at once; the screen follows in its
    own thread. `go` is called with the step that was asked for during the last one.
    """

    def __init__(self, link: Link, go: Callable[[Move], None]) -> None:
        self._link = link
        self._go = go
        self.shown = 0
        """The number of the stop that the panels show, since the last start; 0 before the first."""
        self.paint_seconds: deque[float] = deque(maxlen=1000)
        """For each stop, the time from its coming to its being on the screen."""
        self._stopped: Stopped | None = None
        self._before: KernelState | None = None
        self._stopped_at = 0.0
        self._printed = Mailbox()
        self._console_due = 0.0

    # From the session's threads

    def on_running(self) -> None:
        """The guest runs."""
        self._link.course.run()
        self._link.tell(self._follow_running)

    def on_stop(self) -> None:
        """The guest stands."""
        self._stopped_at = time.perf_counter()
        moment = self._link.course.stand()
        self._link.submit(partial(self._read_state, moment))

    def on_console_text(self, text: str) -> None:
        """The guest has printed something."""
        if self._printed.put(text):
            self._link.tell(self._follow_console)

    def on_exit(self, reason: str) -> None:
        """The guest or gdb is gone."""
        self._link.course.end()
        self._link.tell(partial(self._follow_exit, reason))

    # In the thread that asks the session

    def look_again(self) -> None:
        """Something may have changed registers, memory or breakpoints of a guest that stands."""
        if self._link.course.state is State.STOPPED:
            self._read_state(self._link.course.moment)

    def _read_state(self, moment: int) -> None:
        """Show the stop of that moment, unless the guest runs again already, or is gone."""
        course, number = self._link.course, self._link.course.stops
        if moment != course.moment or course.state not in (State.ARRIVED, State.STOPPED):
            return
        try:
            stopped = self._link.session.state()
        except Exception as error:  # noqa: BLE001
            # It stands all the same, and the keys must work: only what it shows is missing.
            self._link.tell(partial(self._follow_unreadable, error, moment))
            return
        self._link.tell(partial(self._follow_stop, stopped, moment, number))

    def _diagnose(self, stopped: Stopped, moment: int) -> None:
        """Have the doctor look at that stop, if it is still the one that the guest is at."""
        course = self._link.course
        if moment != course.moment or course.state is not State.STOPPED or not stopped.diagnose:
            return
        found = replace(stopped, diagnosis=stopped.diagnose())
        if moment == course.moment:
            self._link.tell(partial(self._follow_diagnosis, found, moment))

    # In the screen's thread

    def begin_again(self) -> None:
        """A new machine is about to start."""
        self._stopped = self._before = None
        self.shown = 0
        self._printed.take()
        self._link.desk.console_panel.begin_again()
        self._link.desk.show_activity("starting", "again")

    def _follow_running(self) -> None:
        course = self._link.course
        if course.state is State.INTERRUPTING:
            # gdb does not hear of an interrupt that comes before the guest runs.
            self._link.interrupt()
        self._link.later(STALE_SECONDS, partial(self._show_running, course.moment))

    def _show_running(self, moment: int) -> None:
        if self._link.course.activity == "running" and self._link.course.moment == moment:
            self._link.desk.show_activity("running", "x interrupts; the panels show the last stop")

    def _follow_stop(self, stopped: Stopped, moment: int, number: int) -> None:
        link, again = self._link, self.shown == number
        if link.course.activity == "starting":
            return  # of the machine before
        if self._stopped is None:
            # So that the first prompt opens at once; not now, when keys may be waiting.
            link.later(IDLE_SECONDS, lambda: link.submit(self._read_symbols))
        moved = link.course.show(moment)
        self._paint(stopped, number)
        if stopped.diagnose is not None:
            link.later(
                DIAGNOSIS_SECONDS, lambda: link.submit(partial(self._diagnose, stopped, moment))
            )
        if moved not in STEPS and not again:
            link.note(styled(stopped.reason, palette.QUIET))
        ahead = link.course.take_ahead() if link.course.state is State.STOPPED else None
        if ahead is not None:
            self._go(ahead)

    def _follow_diagnosis(self, stopped: Stopped, moment: int) -> None:
        if moment == self._link.course.moment:
            self._link.desk.show_diagnosis(stopped)

    def _follow_unreadable(self, error: Exception, moment: int) -> None:
        self._link.failed(error)
        self._link.course.show(moment)
        self._link.course.take_ahead()
        if self._link.course.state is State.STOPPED:
            self._link.desk.show_activity(
                "stopped", "the kernel's state cannot be read: see gdb's panel"
            )

    def _paint(self, stopped: Stopped, number: int) -> None:
        """All panels from one moment, in one go."""
        if self._stopped is not None and self.shown != number:
            self._before = self._stopped.state
        self._stopped, self.shown = stopped, number
        desk = self._link.desk
        with self._link.app.batch_update():
            # What comes too late to be true of the guest is still the last that is known of it.
            if self._link.course.activity == "stopped":
                desk.show_activity("stopped", stopped.reason)
            desk.paint(stopped, self._before)
        self._link.app.call_after_refresh(self._painted)

    def _painted(self) -> None:
        if self._stopped_at:
            self.paint_seconds.append(time.perf_counter() - self._stopped_at)
            self._stopped_at = 0.0

    def _follow_console(self) -> None:
        # Never more often than this: a kernel that prints without end must not stop the keys.
        left = self._console_due - time.monotonic()
        if left > 0:
            self._link.later(left, self._follow_console)
            return
        self._console_due = time.monotonic() + CONSOLE_SECONDS
        self._link.desk.console_panel.feed(self._printed.take())

    def _follow_exit(self, reason: str) -> None:
        if self._link.course.activity == "exited":
            self._link.desk.show_activity("exited", f"{reason}: r restarts, q quits")
        self._link.note(styled(reason, palette.WARNING))

    def _read_symbols(self) -> None:
        self._link.session.symbols()
