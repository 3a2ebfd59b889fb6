"""The full-screen program: panels around one session, painted anew at each stop."""

import asyncio
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen

from rcdbg.errors import RcdbgError
from rcdbg.model.state import KernelState
from rcdbg.tui import themes
from rcdbg.tui.mailbox import Mailbox
from rcdbg.tui.session import DebugSession, Stopped
from rcdbg.tui.widgets.bars import Activity
from rcdbg.tui.widgets.desk import Desk
from rcdbg.tui.widgets.panels import ConsolePanel, GdbPanel
from rcdbg.tui.worker import Worker
from rcdbg.views import palette
from rcdbg.views.common import guest, safe, styled

STALE_SECONDS: Final = 0.15
"""A guest that runs for longer has its panels dimmed; a step must not make them blink."""

CONSOLE_SECONDS: Final = 0.05
"""The console is painted again after so long at the earliest."""

IDLE_SECONDS: Final = 0.5
"""After the first stop, what can wait waits for so long."""

_END_SECONDS: Final = 10.0
_OFFERED: Final = 20
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


MOVES: Final = {
    "s": "step_line",
    "n": "next_line",
    "i": "step_instruction",
    "f": "finish",
    "c": "resume",
    "t": "until_next_trap",
}
"""The keys that let the guest run, and the method of a session that each of them is."""


class Happened(Message):
    """Something in the session's threads that the screen has to follow."""

    def __init__(self, follow: Callable[[], None]) -> None:
        super().__init__()
        self.follow = follow


class Shell(App[int]):
    """The debugger on the whole screen; it starts `session`, and the caller closes it."""

    TITLE = "rcdbg"
    CSS_PATH = "shell.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        *(Binding(key, f"go({method!r})") for key, method in MOVES.items()),
        Binding("x", "interrupt"),
        Binding("ctrl+c", "interrupt", priority=True),
        Binding("b", "ask_breakpoint"),
        Binding("w", "write_snapshot"),
        Binding("r", "restart"),
        Binding("colon", "gdb_line"),
        Binding("k", "console_line"),
        Binding("L", "toggle_light"),
        Binding("question_mark", "help"),
        Binding("q", "quit"),
    ]

    def __init__(self, session: DebugSession) -> None:
        super().__init__()
        # Lines that glide into place are lines that cannot be read yet.
        self.animation_level = "none"
        self.session = session
        self.activity: Activity = "starting"
        self.stopped: Stopped | None = None
        self._before: KernelState | None = None
        self.start_error: RcdbgError | None = None
        """Why the session could not be started at all; the program has ended then."""
        self.paint_seconds: deque[float] = deque(maxlen=1000)
        """For each stop, the time from its coming to its being on the screen."""
        self._desk = Desk(session.kernel_name, session.scenario)
        self._moving: str | None = None
        self._queued: str | None = None
        self._asking = 0
        self._runs = 0
        self._stopped_at = 0.0
        self._printed = Mailbox()
        self._console_due = 0.0
        self._worker: Worker | None = None

    # The screen

    def get_default_screen(self) -> Screen[None]:
        """Textual asks for the screen to begin with."""
        return self._desk

    def on_mount(self) -> None:
        """Textual is ready."""
        self.ansi_theme_dark, self.ansi_theme_light = themes.ANSI_DARK, themes.ANSI_LIGHT
        self.register_theme(themes.DARK)
        self.register_theme(themes.LIGHT)
        self.theme = themes.DARK.name
        self._note(styled("press : for a gdb command, ? for the keys", palette.QUIET))
        for number in _SIGNALS:
            # The terminal has to be restored, which Python's own way of ending would not do.
            asyncio.get_running_loop().add_signal_handler(number, self._hang_up, 128 + number)
        self._worker = Worker(lambda error: self._tell(partial(self._failed, error)))
        self._worker.submit(self._start)

    def _hang_up(self, status: int) -> None:
        """End, also if the terminal is gone: then textual may wait for its writer for ever.

        What rcdbg has started ends with it in any case: that is its wardens' work.
        """
        last_resort = threading.Timer(_END_SECONDS, os._exit, (status,))
        last_resort.daemon = True
        last_resort.start()
        self.exit(status)

    def on_unmount(self) -> None:
        """Textual is about to end."""
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size."""
        self._desk.fit(event.size)

    def _show_activity(self, activity: Activity, reason: str) -> None:
        self.activity = activity
        self._desk.show_activity(activity, reason)

    def _paint(self, stopped: Stopped) -> None:
        """All panels from one moment, in one go."""
        if self.stopped is not None and self.stopped.number != stopped.number:
            self._before = self.stopped.state
        self.stopped = stopped
        with self.batch_update():
            self._show_activity("stopped", stopped.reason)
            self._desk.paint(stopped, self._before)
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        if self._stopped_at:
            self.paint_seconds.append(time.perf_counter() - self._stopped_at)
            self._stopped_at = 0.0

    # What the session tells, from its threads

    def _tell(self, follow: Callable[[], None]) -> None:
        # The session's threads outlive the screen by a little; they have nobody to tell then.
        with suppress(RuntimeError):
            self.post_message(Happened(follow))

    def _later(self, seconds: float, follow: Callable[[], None]) -> None:
        # A timer of textual's is skipped, for good, when the loop comes too late for it.
        asyncio.get_running_loop().call_later(seconds, self._tell, follow)

    def on_happened(self, event: Happened) -> None:
        """Follow it, in the thread of the screen."""
        event.follow()

    def on_running(self) -> None:
        """The guest runs."""
        self._runs += 1
        self._tell(self._follow_running)

    def on_stop(self) -> None:
        """The guest stands."""
        self._stopped_at = time.perf_counter()
        self._submit(partial(self._read_state, self._runs))

    def on_console_text(self, text: str) -> None:
        """The guest has printed something."""
        if self._printed.put(text):
            self._tell(self._follow_console)

    def on_exit(self, reason: str) -> None:
        """The guest or gdb is gone."""
        self._tell(lambda: self._follow_exit(reason))

    # What the screen does about it

    def _follow_running(self) -> None:
        self.activity = "running"
        self._later(STALE_SECONDS, self._show_running)

    def _show_running(self) -> None:
        if self.activity == "running":
            self._show_activity("running", "x interrupts; the panels show the last stop")

    def _follow_stop(self, stopped: Stopped) -> None:
        moved, self._moving = self._moving, None
        if self.stopped is None:
            # So that the first prompt opens at once; not now, when keys may be waiting.
            self._later(IDLE_SECONDS, lambda: self._submit(self._read_symbols))
        again = self.stopped is not None and self.stopped.number == stopped.number
        self._paint(stopped)
        if moved not in _STEPS and not again:
            self._note(styled(stopped.reason, palette.QUIET))
        queued, self._queued = self._queued, None
        if queued is not None:
            self.action_go(queued)

    def _follow_unreadable(self, error: Exception) -> None:
        self._failed(error)
        self._show_activity("stopped", "the kernel's state cannot be read: see gdb's panel")

    def _follow_answer(self) -> None:
        self._asking -= 1

    def _follow_console(self) -> None:
        # Never more often than this: a kernel that prints without end must not stop the keys.
        left = self._console_due - time.monotonic()
        if left > 0:
            self._later(left, self._follow_console)
            return
        self._console_due = time.monotonic() + CONSOLE_SECONDS
        self._desk.console_panel.feed(self._printed.take())

    def _follow_exit(self, reason: str) -> None:
        self._moving = self._queued = None
        self._show_activity("exited", f"{reason}: r restarts, q quits")
        self._note(styled(reason, palette.WARNING))

    def _failed(self, error: Exception) -> None:
        self._moving = self._queued = None
        known = isinstance(error, RcdbgError)
        line = str(error) if known else f"internal error: {type(error).__name__}: {error}"
        self._note(guest("! " + " ".join(line.split()), palette.PROBLEM))

    def _note(self, *lines: Text) -> None:
        self._desk.note(*lines)

    # Jobs, in the session's thread

    def _submit(self, job: Callable[[], None]) -> None:
        if self._worker is not None:
            self._worker.submit(job)

    def _start(self) -> None:
        try:
            self.session.start(self)
        except RcdbgError as error:
            self._tell(partial(self._give_up, error))

    def _give_up(self, error: RcdbgError) -> None:
        self.start_error = error
        self.exit(2)

    def _restart(self) -> None:
        try:
            self.session.restart()
        except RcdbgError as error:
            self.on_exit(str(error))

    def _read_state(self, run: int) -> None:
        """Show the stop that ended the `run`-th run, unless the guest runs again already."""
        if run != self._runs:
            return
        try:
            stopped = self.session.state()
        except Exception as error:  # noqa: BLE001
            # It stands all the same, and the keys must work: only what it shows is missing.
            if run == self._runs:
                self._tell(partial(self._follow_unreadable, error))
            return
        self._tell(partial(self._follow_stop, stopped))

    def _read_symbols(self) -> None:
        self.session.symbols()

    def _ask_gdb(self, command: str, width: int) -> None:
        try:
            answer = self.session.console_command(command, width).rstrip("\n")
            lines = [guest(line) for line in answer.split("\n")] if answer else []
            self._tell(partial(self._note, *lines))
        finally:
            self._tell(self._follow_answer)
        if self.activity == "stopped":
            # It may have changed registers, memory or breakpoints.
            self._read_state(self._runs)

    def _complete_command(self, text: str) -> None:
        try:
            found = self.session.completions(text)
            self._tell(partial(self._follow_completions, text, found))
        finally:
            self._tell(self._follow_answer)

    def _follow_completions(self, text: str, found: Sequence[str]) -> None:
        if len(found) != 1:
            more = [f"... {len(found) - _OFFERED} more"] if len(found) > _OFFERED else []
            said = [*found[:_OFFERED], *more] or ["nothing begins like that"]
            self._note(*(styled(safe(line), palette.QUIET) for line in said))
        self._desk.gdb_panel.line.complete(text, found)

    def _set_breakpoint(self, location: str) -> None:
        said = self.session.add_breakpoint(location)
        self._tell(lambda: self._note(guest(said)))
        if self.activity == "stopped":
            self._read_state(self._runs)

    # What the user asks for

    def action_go(self, method: str) -> None:
        """Let the guest run, in one of the ways of a session."""
        if self._moving in _STEPS and method in _STEPS:
            # A held key: one step ahead is enough, more would run on after the key is up.
            self._queued = method
        elif self.activity == "stopped" and self._moving is None:
            self._moving = method
            self._submit(getattr(self.session, method))
        else:
            self._hint()

    def _hint(self) -> None:
        hints = {
            "starting": "the machine is starting",
            "exited": "the kernel has ended: r restarts it",
            "running": "the kernel runs: x interrupts it",
            "stopped": "the kernel runs: x interrupts it",
        }
        self.notify(hints[self.activity], timeout=3)

    def action_interrupt(self) -> None:
        """Stop the running guest."""
        if self.activity == "running" or self._moving or self._asking:
            self._interrupt()
        elif self.activity == "stopped":
            self.notify("the kernel stands already; q quits", timeout=3)
        else:
            self._hint()

    def _interrupt(self) -> None:
        try:
            self.session.interrupt()
        except RcdbgError as error:
            self._failed(error)

    def action_ask_breakpoint(self) -> None:
        """Ask where to stop."""
        if self.activity not in ("running", "stopped"):
            self._hint()
            return
        # Only now: it is not needed for the first painted screen.
        from rcdbg.tui.widgets.prompts import AskSymbol

        def take(location: str | None) -> None:
            if location:
                self._submit(lambda: self._set_breakpoint(location))

        self.push_screen(AskSymbol("Breakpoint at", self.session.symbols()), take)

    def action_write_snapshot(self) -> None:
        """Write the stopped kernel to a file."""
        if self.activity != "stopped" or self._moving is not None:
            self._hint()
            return
        self._submit(self._write_snapshot)

    def _write_snapshot(self) -> None:
        said = self.session.write_snapshot()
        self._tell(lambda: self._note(guest(said)))

    def action_restart(self) -> None:
        """Boot again."""
        if self.activity == "starting":
            self._hint()
            return
        if self.activity == "running" or self._asking:
            # A gdb command may be what runs the guest, and what the session's thread waits for.
            self._interrupt()
        self.stopped = self._before = self._moving = self._queued = None
        self._show_activity("starting", "again")
        self._printed.take()
        self._desk.console_panel.begin_again()
        self._note(styled("restarted", palette.QUIET))
        self._submit(self._restart)

    def action_gdb_line(self) -> None:
        """Let the user type a gdb command."""
        self._desk.open_gdb_line()

    def action_console_line(self) -> None:
        """Let the user type to the kernel."""
        self._desk.open_console_line()

    def on_gdb_panel_command(self, event: GdbPanel.Command) -> None:
        """The user has typed a gdb command."""
        command = event.text
        self._note(guest(f"(gdb) {command}", palette.LABEL))
        if command in ("q", "quit", "exit"):
            self.exit(0)
            return
        if method := _TYPED_MOVES.get(command):
            self.action_go(method)
            return
        width = max(40, self._desk.gdb_panel.tail.size.width)
        self._asking += 1
        self._submit(lambda: self._ask_gdb(command, width))

    def on_gdb_panel_unfinished(self, event: GdbPanel.Unfinished) -> None:
        """The user wants a command for gdb completed; gdb does it, while the guest stands."""
        if self.activity != "stopped" or self._asking:
            self._hint()
            return
        self._asking += 1
        self._submit(lambda: self._complete_command(event.text))

    def on_console_panel_typed(self, event: ConsolePanel.Typed) -> None:
        """The user has typed a line to the kernel."""
        self._submit(lambda: self.session.write_console(event.text))

    def action_toggle_light(self) -> None:
        """The other of the two themes."""
        light = self.theme == themes.LIGHT.name
        self.theme = themes.DARK.name if light else themes.LIGHT.name

    def action_help(self) -> None:
        """Show the keys."""
        from rcdbg.tui.widgets.prompts import Help

        self.push_screen(Help())

    async def action_quit(self) -> None:
        """Leave; whoever started the program ends the session."""
        self.exit(0)

    def end(self) -> None:
        """Let the session's thread end; the session must be closed already."""
        if self._worker is not None:
            self._worker.close(_END_SECONDS)


_STEPS: Final = frozenset({"step_line", "next_line", "step_instruction", "finish"})
_TYPED_MOVES: Final = {
    **dict.fromkeys(("c", "continue"), "resume"),
    **dict.fromkeys(("s", "step"), "step_line"),
    **dict.fromkeys(("n", "next"), "next_line"),
    **dict.fromkeys(("si", "stepi"), "step_instruction"),
    **dict.fromkeys(("fin", "finish"), "finish"),
}
"""What gdb calls the keys' actions: typed, they do the same, and the screen stays awake."""
