"""The whole of one moment, in panels."""

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.style import Style

from rcdbg.model.state import KernelState, Place
from rcdbg.views import palette, problems
from rcdbg.views.common import styled
from rcdbg.views.hart import context, csr, hart
from rcdbg.views.layout import Guarded
from rcdbg.views.memory import frames, page_table
from rcdbg.views.threads import threads

_BORDER = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Part:
    """A titled part of a report."""

    name: str
    title: str
    view: Callable[[KernelState, KernelState | None], RenderableType]


def known_places(state: KernelState) -> dict[int, Place]:
    """Every address of which the state knows the symbol."""
    found = [state.hart.pc]
    contexts = [state.trap.context, *(thread.context for thread in state.processor.threads)]
    for item in contexts:
        if item is not None:
            found += [item.sepc, item.ra]
    return {place.address: place for place in found if place.symbol is not None}


PARTS: tuple[Part, ...] = (
    Part("hart", "Hart", lambda s, p: hart.view(s.hart, p.hart if p else None)),
    Part("context", "Context", lambda s, p: context.view(s.trap, p.trap if p else None)),
    Part("csr", "CSRs", lambda s, p: csr.view(s.hart, p.hart if p else None, known_places(s))),
    Part(
        "page_table",
        "Page table",
        lambda s, p: page_table.view(s.page_table, p.page_table if p else None),
    ),
    Part("frames", "Frames", lambda s, p: frames.view(s.frames, p.frames if p else None)),
    Part(
        "threads",
        "Threads",
        lambda s, p: threads.view(s.processor, p.processor if p else None, s.hart.pc),
    ),
    Part("problems", "Problems", lambda s, p: problems.view(s.problems)),
)
"""The parts of a report, in order."""


def view(state: KernelState, previous: KernelState | None = None) -> RenderableType:
    """Everything, in titled panels; a part that cannot be shown says so in its own panel."""
    return Group(*(panel(part, state, previous) for part in PARTS))


def panel(part: Part, state: KernelState, previous: KernelState | None = None) -> Panel:
    """One part in its panel."""
    return boxed(part.title, lambda: part.view(state, previous))


def boxed(title: str, draw: Callable[[], RenderableType]) -> Panel:
    """What `draw` returns in a titled panel, or in it why that failed."""
    return Panel(
        Guarded(draw),
        title=styled(f" {title} ", palette.HEADING),
        title_align="left",
        border_style=_BORDER,
        box=box.ROUNDED,
        padding=(0, 1),
    )
