"""Widgets that show lines: a view that scrolls, and a text that grows at its end."""

from collections import deque
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rcdbg.views.layout import GuardedView

MAX_LINES = 4000
"""Of a text that grows, so many lines are kept."""


def strips_of(console: Console, renderable: RenderableType, width: int) -> list[Strip]:
    """A renderable as lines of at most `width` columns."""
    options = console.options.update(width=max(width, 8), height=None, highlight=False)
    return [Strip(line) for line in console.render_lines(renderable, options, pad=False)]


class StripView(ScrollView, can_focus=True):
    """Lines that scroll up and down without a scroll bar: `hidden_below` tells of the rest."""

    DEFAULT_CSS = """
    StripView { scrollbar-size: 0 0; overflow-x: hidden; overflow-y: scroll; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # textual's own name
        super().__init__(id=id)
        self.strips: Sequence[Strip] = ()
        self.when_moved: Callable[[], None] = lambda: None
        """Called when another part of the lines may be visible."""

    @property
    def hidden_below(self) -> int:
        """How many lines there are below the last one that is visible."""
        return max(0, len(self.strips) - self.scroll_offset.y - self.size.height)

    def show_strips(self, strips: Sequence[Strip]) -> None:
        """Replace the lines."""
        self.strips = strips
        self.virtual_size = Size(self.size.width, len(strips))
        self.refresh()
        self.when_moved()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Textual scrolls."""
        super().watch_scroll_y(old_value, new_value)
        self.when_moved()

    def render_line(self, y: int) -> Strip:
        """Textual asks for one line on the screen."""
        index, width, style = self.scroll_offset.y + y, self.size.width, self.rich_style
        if index >= len(self.strips):
            return Strip.blank(width, style)
        return self.strips[index].crop_extend(0, width, style).apply_style(style)


class RenderableView(StripView):
    """A renderable from `views`, painted again when it changes or the widget's size does.

    What fails while it is made or painted is shown in its place.
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._build: Callable[[int], RenderableType] | None = None
        self._painted_size = Size(0, 0)

    def show(self, build: Callable[[int], RenderableType]) -> None:
        """Show what `build(height in lines)` returns, now and after each change of the size."""
        self._build = build
        self._paint()

    def on_resize(self) -> None:
        """Textual has given it another size."""
        if self.size != self._painted_size:
            self._paint()

    def _paint(self) -> None:
        build, size = self._build, self.size
        if build is None or not size.width:
            return
        self._painted_size = size
        view = GuardedView(lambda: build(size.height))
        self.show_strips(strips_of(self.app.console, view, size.width))


class TailView(StripView):
    """A text that grows at its end, and is followed unless somebody has scrolled back."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: deque[Text] = deque(maxlen=MAX_LINES)
        self._heights: deque[int] = deque(maxlen=MAX_LINES)
        self._wrapped: list[Strip] = []
        self._wrapped_width = 0
        self._following = True
        """Whether the end is to stay in sight: not while somebody has scrolled back."""

    @property
    def plain(self) -> str:
        """The whole text."""
        return "\n".join(line.plain for line in self._lines)

    def append(self, lines: Sequence[Text], *, replace_last: bool = False) -> None:
        """Add lines; with `replace_last`, the first of them replaces the last there is."""
        if replace_last and self._lines:
            self._lines.pop()
            if self._heights:
                del self._wrapped[len(self._wrapped) - self._heights.pop() :]
        for line in lines[-MAX_LINES:]:
            if len(self._heights) == MAX_LINES:
                del self._wrapped[: self._heights[0]]
            self._lines.append(line)
            self._wrap(line)
        self._show()

    def clear(self) -> None:
        """Forget the text."""
        self._lines.clear()
        self._heights.clear()
        self._wrapped.clear()
        self._following = True
        self._show()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Textual scrolls."""
        super().watch_scroll_y(old_value, new_value)
        # A panel that grows moves its text back as well: that takes nobody to the end.
        if new_value > old_value:
            self._following = self.hidden_below == 0
        elif self.hidden_below:
            self._following = False

    def action_scroll_up(self) -> None:
        """Up."""
        self._leave_the_end()
        super().action_scroll_up()

    def action_page_up(self) -> None:
        """PgUp."""
        self._leave_the_end()
        super().action_page_up()

    def action_scroll_home(self) -> None:
        """Home."""
        self._leave_the_end()
        super().action_scroll_home()

    def _leave_the_end(self) -> None:
        """Follow no longer, from the key on: what comes before it has moved would undo it."""
        if self.max_scroll_y:
            self._following = False

    def on_resize(self) -> None:
        """Textual has given it another size."""
        if self.size.width != self._wrapped_width:
            self._wrapped_width = self.size.width
            self._heights.clear()
            self._wrapped.clear()
            for line in self._lines:
                self._wrap(line)
        self._show()

    def _wrap(self, line: Text) -> None:
        if not self._wrapped_width:
            return  # not on the screen yet: `on_resize` will come
        console = self.app.console
        parts = line.wrap(console, self._wrapped_width, overflow="fold") if line.plain else [line]
        for part in parts:
            segments = part.render(console, end="")
            self._wrapped.append(Strip(Segment.simplify(segments)))
        self._heights.append(len(parts))

    def _show(self) -> None:
        following = self._following
        self.show_strips(self._wrapped)
        if following:
            self.scroll_end(animate=False, immediate=True)
