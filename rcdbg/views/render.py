"""A renderable as a string, for places that have no terminal of their own (gdb, files, tests)."""

import os
import shutil
import sys
from io import StringIO

from rich.console import Console, RenderableType
from rich.text import Text

from rcdbg.views.layout import hanging

Drawing = RenderableType
"""What a view returns, for those who only hand it on."""

PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""


def render_text(renderable: RenderableType, width: int = 100, color: bool = False) -> str:
    """`renderable` at `width` columns, without trailing blanks, ending in a newline.

    With `color`, ANSI escape sequences for sixteen colours; NO_COLOR in the environment removes
    the colours again.
    """
    file = StringIO()
    console = Console(
        file=file,
        width=max(width, 20),
        height=100,  # without it, TERM=dumb makes every width 80
        force_terminal=color,
        color_system="standard" if color else None,
        force_interactive=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in file.getvalue().removesuffix("\n").split("\n"))


def show(renderable: RenderableType) -> None:
    """Print to stdout: in colour and at its width if it is a terminal, else plain and wide.

    COLUMNS in the environment sets the width of both.
    """
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    text = render_text(renderable, width if terminal or "COLUMNS" in os.environ else PLAIN_WIDTH,
                       color=terminal)  # fmt: skip
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))


class Printer:
    """Prints one thing after the other to stdout, many of them fast, each as soon as it comes.

    On a terminal in colour and at its width; else plain, and then single lines are not wrapped, so
    that `grep` finds them whole. COLUMNS in the environment sets the width of both. With `width`,
    stdout is what somebody else shows: everything is wrapped there, and coloured with `color`.
    """

    def __init__(self, width: int | None = None, color: bool = False) -> None:
        self._encoding = sys.stdout.encoding or "utf-8"
        self._terminal = sys.stdout.isatty()
        self._width: int | None
        if width is not None:
            self._terminal, self._width = color, width
            return
        asked = "COLUMNS" in os.environ
        columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
        self._width = columns if self._terminal or asked else None

    def line(self, text: Text, indent: int) -> None:
        """Print a line; where it has to be wrapped, it continues `indent` columns further in."""
        if self._width is None or (not self._terminal and text.cell_len <= self._width):
            self._write(text.plain.rstrip() + "\n")
        else:
            self.show(hanging(text, self._width, min(indent, self._width // 2)))

    def show(self, renderable: RenderableType) -> None:
        """Print anything."""
        width = self._width or PLAIN_WIDTH
        self._write(render_text(renderable, width, color=self._terminal))

    def _write(self, text: str) -> None:
        sys.stdout.write(text.encode(self._encoding, "replace").decode(self._encoding))
        if self._terminal:
            sys.stdout.flush()
