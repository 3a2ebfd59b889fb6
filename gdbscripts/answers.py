"""What a command shows of the kernel, as text that fits gdb's terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import gdb

if TYPE_CHECKING:
    # Imported by the first command that needs it: `source` stays quick.
    from rcdbg.views.render import Drawing

_DEFAULT_WIDTH = 120


def show(drawing: Drawing) -> None:
    """Print it as wide as gdb's terminal is, in colour if gdb has colours."""
    from rcdbg.views.render import render_text

    color = bool(gdb.parameter("style enabled"))
    gdb.write(render_text(drawing, width=width(), color=color))


def width() -> int:
    """Columns for output: gdb's, or the terminal's. Not from $COLUMNS, which gdb makes up."""
    if limit := int(gdb.parameter("width") or 0):
        return limit
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return _DEFAULT_WIDTH
