"""What could not be decoded, and why."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType

from rcdbg.model.state import KernelState, Problem
from rcdbg.views import palette
from rcdbg.views.common import count, styled
from rcdbg.views.layout import problem_lines


def view(problems: Iterable[Problem]) -> RenderableType:
    """A line for each problem, or the words that there is none."""
    lines = problem_lines(problems)
    return Group(*lines) if lines else styled("no problems", palette.GOOD)


def whole(state: KernelState) -> RenderableType:
    """What is wrong with the whole; without anything, whether that is since nothing was read."""
    if state.problems:
        return view(state.problems)
    elsewhere = len(list(every(state)))
    missing = [*(["threads"] if state.processor.unknown else [])]
    missing += [] if state.frames.is_known else ["frames"]
    said = [styled(f"{count(elsewhere, 'problem')}, above", palette.PROBLEM)] * bool(elsewhere)
    said += [styled(f"not known: {', '.join(missing)}", palette.NOTE)] * bool(missing)
    return Group(*said) if said else view(())


def every(state: KernelState) -> Iterator[Problem]:
    """All problems of a state and its parts, each once, in the order of the panels."""
    parts = [state.problems, state.trap.problems]
    if state.trap.context:
        parts.append(state.trap.context.problems)
    # A part that is broken itself is shown as such in its own panel.
    decoded = (state.page_table, state.frames, state.processor)
    parts += [part.problems for part in decoded if part is not None]
    for thread in state.processor.threads:
        parts.append(thread.problems)
        if thread.context:
            parts.append(thread.context.problems)
    yield from dict.fromkeys(problem for part in parts for problem in part)
