"""The report: one moment in panels, the entries of the table that have a title."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rcdbg.lazy import named
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.serial import state as serial
from rcdbg.model.state import KernelState
from rcdbg.subjects import table
from rcdbg.subjects.subject import Subject
from rcdbg.views import state as drawn
from rcdbg.views.render import Drawing


@dataclass(frozen=True, slots=True)
class Report:
    """A KernelState and, by subject, what takes longer to find out."""

    state: KernelState
    beside: Mapping[str, Any]


def panels() -> tuple[Subject, ...]:
    """The subjects that are drawn from a KernelState, at every stop, in order."""
    return tuple(entry for entry in table.SUBJECTS if entry.title and entry.panel)


def _beside() -> tuple[Subject, ...]:
    return tuple(entry for entry in table.SUBJECTS if entry.title and not entry.panel)


def keys() -> tuple[str, ...]:
    """What its document holds."""
    return ("hart", "trap", "page_table", "frames", "threads",
            *(entry.reading.key for entry in _beside()), "problems")  # fmt: skip


def read_report(kernel: Kernel) -> Report:
    """Every decoder's answer; nonsense in memory becomes Problems in the part that met it."""
    return Report(
        read_state(kernel), {entry.name: entry.answer(kernel).found for entry in _beside()}
    )


def serialise(report: Report) -> serial.Json:
    """The state, and what is beside it by its own keys."""
    return serial.state(report.state) | {
        entry.reading.key: named(entry.reading.serialise)(report.beside[entry.name])
        for entry in _beside()
    }


def draw(entry: Subject, state: KernelState, before: KernelState | None = None) -> Drawing:
    """A part of a moment; what differs from the one `before` is marked."""
    drawing: Drawing = named(entry.panel)(state, before)
    return drawing


def view(report: Report) -> Drawing:
    """Everything, in titled panels; a part that cannot be shown says so in its own panel."""
    return drawn.stacked(
        _of_state(report.state, None)
        + [
            drawn.boxed(
                entry.title, named(entry.summary or entry.reading.draw), report.beside[entry.name]
            )
            for entry in _beside()
        ]
        + _problems(report.state)
    )


def view_state(state: KernelState, before: KernelState | None = None) -> Drawing:
    """A KernelState in titled panels."""
    return drawn.stacked(_of_state(state, before) + _problems(state))


def _of_state(state: KernelState, before: KernelState | None) -> list[Drawing]:
    hart = drawn.boxed("Hart", drawn.hart_panel, state, before)
    return [hart, *(drawn.boxed(p.title, named(p.panel), state, before) for p in panels())]


def _problems(state: KernelState) -> list[Drawing]:
    return [drawn.boxed("Problems", drawn.problems_panel, state)]
