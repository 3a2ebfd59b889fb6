"""What a command shows of the kernel: as text that fits gdb's terminal, or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import gdb

from gdbscripts.framework import JSON, one_line_errors
from gdbscripts.kernel import fresh_kernel

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer

_DEFAULT_WIDTH = 120


def take_json(words: list[str]) -> bool:
    """Whether --json is among the words, which then have it no more."""
    found = JSON in words
    words[:] = [w for w in words if w != JSON]
    return found


def answer(ask: Callable[[Kernel], Answer], as_json: bool) -> None:
    """Print what `ask` says of the kernel at this stop."""
    with one_line_errors():
        found = ask(fresh_kernel())
    if as_json:
        gdb.write(json.dumps(found.document, indent=2) + "\n")
        return
    from rcdbg.views.render import render_text

    color = bool(gdb.parameter("style enabled"))
    gdb.write(render_text(found.view, width=width(), color=color))


def width() -> int:
    """Columns for output: gdb's, or the terminal's. Not from $COLUMNS, which gdb makes up."""
    if limit := int(gdb.parameter("width") or 0):
        return limit
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return _DEFAULT_WIDTH
