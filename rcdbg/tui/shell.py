"""The full-screen program: panels around one session, painted anew at each stop."""

import asyncio
import os
import signal
import threading
from functools import partial
from typing import ClassVar, Final

from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from rcdbg.errors import RcdbgError
from rcdbg.tui import themes
from rcdbg.tui.course import GuestCourse
from rcdbg.tui.deeds import Deeds
from rcdbg.tui.follower import Follower
from rcdbg.tui.gdb_line import GdbLine
from rcdbg.tui.keys import bindings, pressed
from rcdbg.tui.link import Happened, Link
from rcdbg.tui.session import DebugSession
from rcdbg.tui.widgets.panels import ConsolePanel, GdbPanel
from rcdbg.views import palette
from rcdbg.views.common import styled

_END_SECONDS: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


class Shell(App[int]):
    """The debugger on the whole screen; it starts `session`, and the caller closes it.

    Here is what textual asks of an app; `deeds` has what the keys do, `follower` what the screen
    does about what the session tells.
    """

    TITLE = "rcdbg"
    CSS_PATH = "shell.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("anywhere")

    def __init__(self, session: DebugSession) -> None:
        super().__init__()
        # Lines that glide into place are lines that cannot be read yet.
        self.animation_level = "none"
        # Before there is a screen: afterwards textual would read all of its style sheets again.
        self.ansi_theme_dark, self.ansi_theme_light = themes.ANSI_DARK, themes.ANSI_LIGHT
        self.register_theme(themes.DARK)
        self.register_theme(themes.LIGHT)
        self.theme = themes.DARK.name
        self.start_error: RcdbgError | None = None
        """Why the session could not be started at all; the program has ended then."""
        self._link = Link(self, session)
        self._deeds = Deeds(self._link)
        self._gdb_line = GdbLine(self._link, self._deeds)

    @property
    def course(self) -> GuestCourse:
        """What is known of the guest."""
        return self._link.course

    @property
    def follower(self) -> Follower:
        """What the screen shows of it."""
        return self._deeds.follower

    def get_default_screen(self) -> Screen[None]:
        """Textual asks for the screen to begin with."""
        return self._link.desk

    def on_mount(self) -> None:
        """Textual is ready."""
        self._link.note(styled("press : for a gdb command, ? for the keys", palette.QUIET))
        for number in _SIGNALS:
            # The terminal has to be restored, which Python's own way of ending would not do.
            asyncio.get_running_loop().add_signal_handler(number, self._hang_up, 128 + number)
        self._link.submit(self._start)

    def _start(self) -> None:
        try:
            self._deeds.start()
        except RcdbgError as error:
            self._link.tell(partial(self._give_up, error))

    def _give_up(self, error: RcdbgError) -> None:
        self.start_error = error
        self.exit(2)

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
        self._link.desk.fit(event.size)

    def on_happened(self, event: Happened) -> None:
        """Follow it, in the thread of the screen."""
        event.follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks whether a key is to be taken; what is typed goes where it is typed."""
        if action != "press" or pressed(str(parameters[0])).while_typing:
            return True
        return not (isinstance(self.focused, Input) or self.screen.is_modal)

    def action_press(self, keys: str) -> None:
        """A key of the table that works anywhere."""
        self._deeds.press(pressed(keys))

    async def action_quit(self) -> None:
        """Textual's own way out."""
        self._deeds.leave()

    def on_gdb_panel_command(self, event: GdbPanel.Command) -> None:
        """The user has typed a gdb command."""
        self._gdb_line.command(event.text)

    def on_gdb_panel_unfinished(self, event: GdbPanel.Unfinished) -> None:
        """The user wants a command for gdb completed."""
        self._gdb_line.complete(event.text)

    def on_console_panel_typed(self, event: ConsolePanel.Typed) -> None:
        """The user has typed a line to the kernel."""
        self._link.submit(partial(self._link.session.write_console, event.text))

    def end(self) -> None:
        """Let the session's thread end; the session must be closed already."""
        self._link.end(_END_SECONDS)
