"""The report: one moment in panels, with the parts that the full-screen debugger leaves out."""

from rich.console import Group, RenderableType

from rcdbg.model.everything import Everything
from rcdbg.views.memory import frame_map, heap, memory_set
from rcdbg.views.state import PARTS, boxed, panel


def view(found: Everything) -> RenderableType:
    """Everything, in titled panels; a part that cannot be shown says so in its own panel."""
    *parts, last = PARTS  # the problems of the whole stay at the end
    return Group(
        *(panel(part, found.state) for part in parts),
        boxed("Memory sets", lambda: memory_set.view(found.memory_sets)),
        boxed("Owners of frames", lambda: frame_map.summary(found.owners)),
        boxed("Heap", lambda: heap.view(found.heap)),
        panel(last, found.state),
    )
