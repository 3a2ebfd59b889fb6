"""What is typed to gdb: commands, and the beginnings of some."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from rcdbg.escape import safe
from rcdbg.tui.deeds import Deeds
from rcdbg.tui.keys import TYPED_MOVES
from rcdbg.tui.link import Link
from rcdbg.views import palette
from rcdbg.views.common import guest, styled

_OFFERED: Final = 20
_NARROWEST: Final = 40


class GdbLine:
    """Gives to the session's gdb what the user has typed, and shows what it says."""

    def __init__(self, link: Link, deeds: Deeds) -> None:
        self._link = link
        self._deeds = deeds

    def command(self, text: str) -> None:
        """A whole line."""
        link = self._link
        link.note(guest(f"(gdb) {text}", palette.LABEL))
        if text in ("q", "quit", "exit"):
            self._deeds.leave()
        elif move := TYPED_MOVES.get(text):
            self._deeds.go(move)
        else:
            width = max(_NARROWEST, link.desk.gdb_panel.tail.size.width)
            link.course.command_begins()
            link.submit(partial(self._ask, text, width))

    def complete(self, text: str) -> None:
        """The beginning of one, for gdb to complete, which it does while the guest stands."""
        course = self._link.course
        if course.activity != "stopped" or course.console_is_busy:
            self._link.hint()
            return
        course.command_begins()
        self._link.submit(partial(self._find, text))

    def _ask(self, command: str, width: int) -> None:
        link = self._link
        try:
            answer = link.session.console_command(command, width).rstrip("\n")
        finally:
            link.course.command_ends()
        lines = [guest(line) for line in answer.split("\n")] if answer else []
        link.tell(partial(link.note, *lines))
        self._deeds.follower.look_again()

    def _find(self, text: str) -> None:
        try:
            found = self._link.session.completions(text)
        finally:
            self._link.course.command_ends()
        self._link.tell(partial(self._offer, text, found))

    def _offer(self, text: str, found: Sequence[str]) -> None:
        if len(found) != 1:
            more = [f"... {len(found) - _OFFERED} more"] if len(found) > _OFFERED else []
            said = [*found[:_OFFERED], *more] or ["nothing begins like that"]
            self._link.note(*(styled(safe(line), palette.QUIET) for line in said))
        self._link.desk.gdb_panel.line.complete(text, found)
