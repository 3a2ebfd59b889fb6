"""The panels: a titled box each, around a view, a console, or gdb's command line."""

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from rcdbg.tui.keys import bindings
from rcdbg.tui.widgets.guest_text import GuestText
from rcdbg.tui.widgets.strips import RenderableView, StripView, TailView

_MAX_HISTORY = 500


class Panel(Vertical):
    """A box with a title; below it, it says how many lines are out of sight."""

    def __init__(self, name: str, title: str, body: StripView) -> None:
        super().__init__(id=name)
        self.title = title
        self.body = body
        self._detail = self._below = ""
        self._labels = ("", "")
        body.when_moved = self._moved

    def compose(self) -> ComposeResult:
        """Textual asks for the children."""
        yield self.body

    def on_resize(self) -> None:
        """Textual has given it another size, and perhaps another border."""
        self._label()

    def _moved(self) -> None:
        below = self.body.hidden_below
        self._below = f"▼ {below} more" if below else ""
        self._label()

    def set_title(self, detail: str = "") -> None:
        """The title, with something that changes behind it."""
        self._detail = detail
        self._label()

    def _label(self) -> None:
        # Without a lower border, what it would say goes to the upper one.
        boxed = self.styles.border_bottom[0] not in ("", "none")
        parts = (self.title, self._detail, "" if boxed else self._below)
        title, subtitle = "  ".join(part for part in parts if part), self._below if boxed else ""
        if (title, subtitle) != self._labels:
            self._labels = title, subtitle
            self.border_title, self.border_subtitle = Content(title), Content(subtitle)


class ViewPanel(Panel):
    """A panel around a renderable from `views`."""

    def __init__(self, name: str, title: str) -> None:
        self.view = RenderableView(id=f"{name}-view")
        super().__init__(name, title, self.view)

    def show(self, build: Callable[[int], RenderableType]) -> None:
        """Show what `build(height in lines)` returns."""
        self.view.show(build)


class CommandLine(Input):
    """A line to type into, with what was typed before on the up and down keys."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("line")

    class Left(Message):
        """The user wants out of the line."""

    class Typed(Message):
        """The user has typed a whole line."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Unfinished(Message):
        """The user wants to know what the text before the cursor may become."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str, *, completes: bool = False) -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self._completes = completes
        self.history: list[str] = []
        self._position = 0
        self._draft = ""
        self.display = False

    async def _on_key(self, event: events.Key) -> None:
        # As a binding, Enter would come after the keys that were typed after it.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._submit()
        elif event.key == "tab" and self._completes and self.value.strip():
            event.stop()
            event.prevent_default()
            self.post_message(self.Unfinished(self.value[: self.cursor_position]))
        else:
            await super()._on_key(event)

    def complete(self, typed: str, found: Sequence[str]) -> None:
        """Go on as far as all that was found does, unless the user has typed on meanwhile."""
        common = _common_start(found)
        end = self.cursor_position
        if self.value[:end] == typed and common.startswith(typed):
            self.value = common + self.value[end:]
            self.cursor_position = len(common)

    def _submit(self) -> None:
        text = self.value
        if text and (not self.history or self.history[-1] != text):
            self.history.append(text)
            del self.history[:-_MAX_HISTORY]
        self._position = len(self.history)
        self.value = ""
        self.post_message(self.Typed(text))

    def action_older(self) -> None:
        """The line typed before."""
        if self._position == len(self.history):
            self._draft = self.value
        self._recall(self._position - 1)

    def action_newer(self) -> None:
        """The line typed after, in the end what was begun."""
        self._recall(self._position + 1)

    def action_leave(self) -> None:
        """Back to the panels."""
        self.post_message(self.Left())

    def _recall(self, position: int) -> None:
        if not 0 <= position <= len(self.history):
            return
        self._position = position
        self.value = self._draft if position == len(self.history) else self.history[position]
        self.cursor_position = len(self.value)


def _common_start(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    # All others lie between these two.
    first, last = min(lines), max(lines)
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: sum(takewhile(bool, same))]


class LinePanel(Panel):
    """A text that grows, with a line to type into that opens on demand."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("text")

    def __init__(self, name: str, title: str, prompt: str, *, completes: bool = False) -> None:
        self.tail = TailView(id=f"{name}-text")
        super().__init__(name, title, self.tail)
        self.line = CommandLine(prompt, completes=completes)

    def compose(self) -> ComposeResult:
        """Textual asks for the children."""
        yield self.body
        yield self.line

    def open_line(self) -> None:
        """Let the user type."""
        self.line.display = True
        self.screen.set_focus(self.line)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual asks whether a key is to be taken: in the open line, Enter is the line's own."""
        return action != "open_line" or self.screen.focused is not self.line

    def action_open_line(self) -> None:
        """Enter on the panel."""
        self.open_line()

    def on_command_line_left(self, event: CommandLine.Left) -> None:
        """Escape."""
        event.stop()
        self.line.display = False
        self.screen.set_focus(self.body)

    def on_click(self, event: events.Click) -> None:
        """A click on what is not the text."""
        if event.widget is not self.line:
            self.body.focus()


class ConsolePanel(LinePanel):
    """What the kernel prints; Enter opens a line to type to it."""

    class Typed(Message):
        """The user typed a line to the kernel."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__("console", "Console", "to the kernel; Esc leaves")
        self._guest = GuestText()

    def feed(self, text: str) -> None:
        """Show what the kernel has printed."""
        self.tail.append(self._guest.feed(text), replace_last=True)

    def begin_again(self) -> None:
        """A new machine prints from here on."""
        self._guest = GuestText()
        self.tail.clear()

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        """Enter in the line."""
        event.stop()
        self.post_message(self.Typed(event.text + "\n"))


class GdbPanel(LinePanel):
    """gdb's command line, what it answers, and what happened."""

    class Command(Message):
        """The user typed a command for gdb."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Unfinished(Message):
        """The user wants to know what a command for gdb may become."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__("gdb", "gdb", "a gdb command; Tab completes, Esc leaves", completes=True)

    def on_command_line_unfinished(self, event: CommandLine.Unfinished) -> None:
        """Tab in the line."""
        event.stop()
        self.post_message(self.Unfinished(event.text))

    def log_lines(self, lines: Sequence[Text]) -> None:
        """Add lines."""
        self.tail.append(lines)

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        """Enter in the line; an empty one repeats the last command, as in gdb."""
        event.stop()
        history = self.line.history
        text = event.text.strip() or (history[-1].strip() if history else "")
        if text:
            self.post_message(self.Command(text))
