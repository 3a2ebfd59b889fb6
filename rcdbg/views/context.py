"""The trap being handled, and any saved Context."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Context, Place, Trap
from rcdbg.views import palette, registers
from rcdbg.views.common import MARK, address, guest, note_line, place_cells, styled
from rcdbg.views.csr import words_line
from rcdbg.views.layout import Fitted, flow, problem_lines

_LABEL_WIDTH = 8


def view(trap: Trap, previous: Trap | None = None) -> RenderableType:
    """The trap: its cause, where it came from, and the interrupted code's registers.

    Where no trap is being handled, only the note that says so.
    """
    head = note_line(trap.note)
    if trap.cause:
        head = head + Text(": ") + guest(trap.cause, palette.HEADING)
    parts: list[RenderableType] = [head]
    if trap.context is not None:
        parts.append(view_context(trap.context, previous.context if previous else None))
    # The Context has shown its own already.
    own = trap.context.problems if trap.context else ()
    return Group(*parts, *problem_lines(p for p in trap.problems if p not in own))


def view_context(context: Context, previous: Context | None = None) -> RenderableType:
    """One Context: sepc, ra, sstatus in words, where it lies, and its registers."""
    return Fitted(lambda width: _context(context, previous, width))


def _context(context: Context, previous: Context | None, width: int) -> RenderableType:
    before = previous.sstatus if previous else None
    return Group(
        place_line("sepc", context.sepc, previous.sepc if previous else None, width),
        place_line("ra", context.ra, previous.ra if previous else None, width),
        words_line(context.sstatus, before, width, _LABEL_WIDTH),
        styled("at".ljust(_LABEL_WIDTH + 1), palette.LABEL) + address(context.address),
        registers.view(context.x, previous.x if previous else None),
        *problem_lines(context.problems),
    )


def place_line(label: str, place: Place, previous: Place | None, width: int) -> Text:
    """`label  symbol+offset  file:line  address`, on as many lines as it takes."""
    changed = previous is not None and previous.address != place.address
    line = styled(label.ljust(_LABEL_WIDTH), palette.LABEL)
    line.append(MARK if changed else " ", palette.CHANGED)
    room = max(16, width - _LABEL_WIDTH - 1)
    rest = flow(place_cells(place, room), room, indent=0)
    if changed:
        rest.stylize(palette.CHANGED)
    return line + indented(rest, _LABEL_WIDTH + 1)


def indented(text: Text, columns: int) -> Text:
    """`text` with all lines but the first moved to the right."""
    if "\n" not in text.plain:
        return text
    return Text("\n" + " " * columns).join(text.split("\n"))
