"""What the keys do that work anywhere: one method for each action in the table of keys."""

from functools import partial

from rcdbg.tui import themes
from rcdbg.tui.follower import Follower
from rcdbg.tui.keys import Key
from rcdbg.tui.link import Link, in_one_line
from rcdbg.tui.session import Move
from rcdbg.views import palette
from rcdbg.views.common import guest, styled


class Deeds:
    """Does what a key asks for, if the kernel is doing what the table says it must."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.follower = Follower(link, self.go)

    def press(self, key: Key) -> None:
        """A key, or its name typed to gdb."""
        course = self._link.course
        if isinstance(key.does, Move):
            self.go(key.does)
        elif course.activity in key.when or (key.does == "interrupt" and course.interruptible):
            getattr(self, key.does)()
        else:
            self._link.hint()

    def go(self, move: Move) -> None:
        """Let the guest run; a step during a step is done after it."""
        course = self._link.course
        if course.ask(move):
            self._link.submit(partial(self._go, move))
        elif not course.steps_on(move):
            self._link.hint()

    def _go(self, move: Move) -> None:
        try:
            self._link.session.go(move)
        except Exception:
            self._link.course.refuse()
            raise

    def interrupt(self) -> None:
        """Stop the running guest, or what gdb does."""
        if self._link.course.activity == "running":
            self._link.course.interrupt()
        self._link.interrupt()

    def ask_breakpoint(self) -> None:
        """Ask where to stop."""
        # Only now: it is not needed for the first painted screen.
        from rcdbg.tui.widgets.prompts import AskSymbol

        def take(location: str | None) -> None:
            if location:
                self._link.submit(partial(self._set_breakpoint, location))

        self._link.app.push_screen(AskSymbol("Breakpoint at", self._link.session.symbols()), take)

    def _set_breakpoint(self, location: str) -> None:
        said = self._link.session.add_breakpoint(location)
        self._link.tell(partial(self._link.note, guest(said)))
        self.follower.look_again()

    def next_thread(self) -> None:
        """Show the next thread that waits, or the hart again."""
        self._link.submit(self._next_thread)

    def _next_thread(self) -> None:
        said = self._link.session.select_next()
        self._link.tell(partial(self._link.note, guest(said)))
        self.follower.look_again()

    def write_snapshot(self) -> None:
        """Write the stopped kernel to a file."""
        self._link.submit(self._write_snapshot)

    def _write_snapshot(self) -> None:
        said = self._link.session.write_snapshot()
        self._link.tell(partial(self._link.note, guest(said)))

    def start(self) -> None:
        """Boot, in the session's thread; raises RcdbgError."""
        self._link.session.start(self.follower)

    def restart(self) -> None:
        """Boot again."""
        if self._link.course.interruptible:
            # A gdb command may be what runs the guest, and what the session's thread waits for.
            self._link.interrupt()
        self._link.course.leave()
        self.follower.begin_again()
        self._link.note(styled("restarted", palette.QUIET))
        self._link.submit(self._restart)

    def _restart(self) -> None:
        self._link.course.boot()
        try:
            self._link.session.restart()
        except Exception as error:  # noqa: BLE001
            # Without a machine there is nothing to do but to try again.
            self.follower.on_exit(in_one_line(error))

    def gdb_line(self) -> None:
        """Let the user type a gdb command."""
        self._link.desk.open_gdb_line()

    def console_line(self) -> None:
        """Let the user type to the kernel."""
        self._link.desk.open_console_line()

    def toggle_light(self) -> None:
        """The other of the two themes."""
        app = self._link.app
        app.theme = themes.DARK.name if app.theme == themes.LIGHT.name else themes.LIGHT.name

    def help(self) -> None:
        """Show the keys."""
        from rcdbg.tui.widgets.prompts import Help

        self._link.app.push_screen(Help())

    def leave(self) -> None:
        """End the program; whoever started it ends the session."""
        self._link.app.exit(0)
