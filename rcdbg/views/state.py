"""The parts of one moment, each drawn from the whole of it, and the box around a part."""

from collections.abc import Callable, Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.style import Style

from rcdbg.model.state import KernelState, Place
from rcdbg.views import palette, problems
from rcdbg.views.common import styled
from rcdbg.views.hart import context, csr, hart
from rcdbg.views.layout import GuardedView
from rcdbg.views.memory import frames, page_table
from rcdbg.views.threads import threads

_BORDER = Style(dim=True)


def hart_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The hart's registers."""
    return hart.view(state.hart, before.hart if before else None)


def context_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The trap that is being handled."""
    return context.view(state.trap, before.trap if before else None)


def csr_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The CSRs, with what the state knows of the addresses in them."""
    return csr.view(state.hart, before.hart if before else None, known_places(state))


def page_table_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The page table in satp."""
    return page_table.view(state.page_table, before.page_table if before else None)


def frames_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The physical frames."""
    return frames.view(state.frames, before.frames if before else None)


def threads_panel(state: KernelState, before: KernelState | None = None) -> RenderableType:
    """The threads, the running one where the hart stands."""
    return threads.view(state.processor, before.processor if before else None, state.hart.pc)


def problems_panel(state: KernelState) -> RenderableType:
    """What is wrong with the whole."""
    return problems.whole(state)


def known_places(state: KernelState) -> dict[int, Place]:
    """Every address of the hart of which the state knows the symbol.

    What a program that does not run has at an address is nothing that the hart's could mean.
    """
    found = [state.hart.pc]
    if state.trap.context is not None:
        found += [state.trap.context.sepc, state.trap.context.ra]
    for thread in state.processor.threads:
        if (parked := thread.context) is not None:
            found += [place for place in (parked.sepc, parked.ra) if place.program is None]
    return {place.address: place for place in reversed(found) if place.symbol is not None}


def boxed(title: str, draw: Callable[..., RenderableType], *parts: object) -> Panel:
    """What `draw` returns for the parts in a titled panel, or in it why that failed."""
    return Panel(
        GuardedView(lambda: draw(*parts)),
        title=styled(f" {title} ", palette.HEADING),
        title_align="left",
        border_style=_BORDER,
        box=box.ROUNDED,
        padding=(0, 1),
    )


def stacked(parts: Iterable[RenderableType]) -> RenderableType:
    """One below the other."""
    return Group(*parts)
