"""What could not be decoded, and why."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType

from rcdbg.model.state import KernelState, Problem
from rcdbg.views import palette
from rcdbg.views.common import styled
from rcdbg.views.layout import problem_lines


def view(problems: Iterable[Problem]) -> RenderableType:
    """A line for each problem, or the words that there is none."""
    lines = problem_lines(problems)
    return Group(*lines) if lines else styled("no problems", palette.GOOD)


def every(state: KernelState) -> Iterator[Problem]:
    """All problems of a state and its parts, each once, in the order of the panels."""
    parts = [state.problems, state.trap.problems]
    if state.trap.context:
        parts.append(state.trap.context.problems)
    parts += [state.page_table.problems, state.frames.problems, state.processor.problems]
    for thread in state.processor.threads:
        parts.append(thread.problems)
        if thread.context:
            parts.append(thread.context.problems)
    yield from dict.fromkeys(problem for part in parts for problem in part)
