"""What each panel shows, and where it lies: one table.

A new panel is a row here. What it draws comes from the table of subjects, or is a function of the
stop; a panel without either is a widget of its own, which the desk makes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType

from rcdbg.model.state import KernelState
from rcdbg.subjects.report import draw
from rcdbg.subjects.table import subject
from rcdbg.tui.session import Stopped
from rcdbg.views import code, doctor, problems
from rcdbg.views.common import note_line
from rcdbg.views.hart import context, hart

Draw = Callable[[Stopped, KernelState | None, int], RenderableType]
"""The content, from the stop, the state before it, and the height in lines."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A column, from the left, and the share of its height."""

    column: int
    share: float


@dataclass(frozen=True, slots=True)
class Content:
    """A panel; `wide` and `narrow` are its places in three and in two columns."""

    name: str
    title: str
    wide: Spot
    narrow: Spot
    draw: Draw | None = None
    """None for a console, which is told what to show by others."""
    detail: Callable[[Stopped], str] | None = None
    """What stands behind the title."""


def _subject(
    name: str, wide: Spot, narrow: Spot, detail: Callable[[Stopped], str] | None = None
) -> Content:
    """The panel of a subject, as the table draws it."""
    entry = subject(name)
    return Content(
        entry.name,
        entry.title,
        wide,
        narrow,
        lambda stopped, before, height: draw(entry, stopped.state, before),
        detail,
    )


def _code(stopped: Stopped, before: KernelState | None, height: int) -> RenderableType:
    return code.view(stopped.code, height)


def _context(stopped: Stopped, before: KernelState | None, height: int) -> RenderableType:
    """The trap; where none is being handled, the hart's registers after the words that say so."""
    state = stopped.state
    parts = [context.view(state.trap, before.trap if before else None)]
    if state.trap.context is None:
        parts.append(hart.view(state.hart, before.hart if before else None))
    if state.problems:
        parts.append(problems.view(state.problems))
    return Group(*parts)


def _doctor(stopped: Stopped, before: KernelState | None, height: int) -> RenderableType:
    """What is wrong, as soon as the doctor has said it."""
    if stopped.diagnosis is None:
        return note_line("not looked at yet")
    return doctor.view(stopped.diagnosis)


def _whose_table(stopped: Stopped) -> str:
    return stopped.selected


def _whose_code(stopped: Stopped) -> str:
    where = code.where(stopped.code).plain
    return f"{stopped.selected}: {where}" if stopped.selected else where


def _whose_context(stopped: Stopped) -> str:
    if stopped.selected:
        return stopped.selected
    return "of the trap" if stopped.state.trap.context else "none; the hart's registers"


DOCTOR: Final = "doctor"

CONTENTS: Final = (
    Content("code", "Code", Spot(0, 22), Spot(0, 12), _code, _whose_code),
    Content("console", "Console", Spot(0, 14), Spot(0, 9)),
    Content("gdb", "gdb", Spot(0, 10), Spot(0, 6)),
    Content("context", "Context", Spot(2, 27), Spot(1, 7), _context, _whose_context),
    _subject("csr", Spot(2, 19), Spot(1, 5)),
    _subject("pagetable", Spot(1, 18), Spot(1, 6), _whose_table),
    _subject("threads", Spot(1, 15), Spot(1, 6)),
    _subject("frames", Spot(1, 13), Spot(1, 4)),
    Content(DOCTOR, "Doctor", Spot(0, 8), Spot(0, 4), _doctor),
)
"""All of them, in the order in which Tab goes through them; in a column, the first is the top."""

PANELS: Final = tuple(content.name for content in CONTENTS)
