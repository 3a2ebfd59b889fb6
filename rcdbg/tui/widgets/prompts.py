"""What opens over the panels: asking for a symbol, and the help."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from rcdbg.escape import safe
from rcdbg.tui.keys import KEYS, bindings
from rcdbg.tui.widgets.strips import RenderableView
from rcdbg.views import palette
from rcdbg.views.common import styled

_SHOWN: Final = 10


def matches(symbols: Sequence[str], typed: str, limit: int = _SHOWN) -> list[str]:
    """The symbols that `typed` may mean: by their last part first, then anywhere in them."""
    wanted = typed.strip().lower()
    if not wanted:
        return []
    found = []
    for name in symbols:
        at = name.lower().find(wanted)
        if at >= 0:
            last = name.lower().rpartition("::")[2]
            rank = (last != wanted, not last.startswith(wanted), wanted not in last)
            found.append((rank, len(name), name))
    return [name for *_, name in sorted(found)[:limit]]


class AskSymbol(ModalScreen[str | None]):
    """Asks for a place in the kernel; the result is None if the user changed their mind."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings("question")

    def __init__(self, title: str, symbols: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._symbols = symbols
        self._matches: list[str] = []
        self._chosen = 0
        self._early: list[events.Key] = []
        """Typed before there was a line to type into."""
        self._input = Input(placeholder="symbol, file:line or *0xaddress", compact=True)
        self._view = RenderableView(id="matches")
        self._view.can_focus = False

    def compose(self) -> ComposeResult:
        """Textual asks for the children."""
        with Vertical(id="ask") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("Tab completes  Enter takes  Esc leaves")
            yield self._input
            yield self._view

    def on_key(self, event: events.Key) -> None:
        """A key that nothing in it has taken."""
        if self.focused is None:
            self._early.append(event)

    def on_mount(self) -> None:
        """Textual is ready."""
        self.set_focus(self._input)
        for event in self._early:
            self._input.post_message(event)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The user types."""
        self._matches = matches(self._symbols, event.value)
        self._chosen = 0
        self._view.show(lambda height: self._list())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the marked symbol, or what was typed where no symbol is like it."""
        event.stop()
        typed = event.value.strip()
        self.dismiss(self._matches[self._chosen] if self._matches else typed or None)

    def action_move(self, by: int) -> None:
        """Mark another symbol."""
        if self._matches:
            self._chosen = (self._chosen + by) % len(self._matches)
            self._view.show(lambda height: self._list())

    def action_complete(self) -> None:
        """Take the marked symbol into the line."""
        if self._matches:
            self._input.value = self._matches[self._chosen]
            self._input.cursor_position = len(self._input.value)

    def action_cancel(self) -> None:
        """Escape."""
        self.dismiss(None)

    def _list(self) -> Text:
        if not self._matches:
            return styled("no symbol is like this: gdb is asked as it stands", palette.NOTE)
        return Text("\n").join(
            styled(f"▸ {safe(name)}" if i == self._chosen else f"  {safe(name)}",
                 palette.RUNNING if i == self._chosen else palette.PLAIN)
            for i, name in enumerate(self._matches)
        )  # fmt: skip


class Help(ModalScreen[None]):
    """The keys in words."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("help")

    def compose(self) -> ComposeResult:
        """Textual asks for the children."""
        with Vertical(id="help") as box:
            box.border_title = Content("Keys")
            box.border_subtitle = Content("Esc leaves")
            yield RenderableView(id="help-text")

    def on_mount(self) -> None:
        """Textual is ready."""
        view = self.query_one(RenderableView)
        view.show(lambda height: help_text())
        view.focus()

    def action_leave(self) -> None:
        """Back to the panels."""
        self.dismiss(None)


def help_text() -> Text:
    """All keys, and the marks in the panels."""
    text = Text()
    for key in KEYS:
        if key.help:
            text.append(f"{key.name:<22}", palette.LABEL).append(f"{key.help}\n")
    text.append("\n* ", palette.CHANGED).append("other than at the last stop\n")
    text.append("▸ ", palette.RUNNING).append("the pc, the running thread   ")
    text.append("● ", palette.PROBLEM).append("a breakpoint\n")
    text.append("! ", palette.PROBLEM).append("makes no sense, or cannot be read\n")
    return text.append("Not started yet, and other states, are said in words.", palette.NOTE)
