"""The trap being handled, and any saved Context."""

from collections.abc import Collection
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Context, Place, Trap
from rcdbg.model.syscalls.call import Syscall, number_text
from rcdbg.riscv.csr import Csr
from rcdbg.riscv.pages import PAGE_SHIFT
from rcdbg.views import palette
from rcdbg.views.common import MARK, address, guest, note_line, place_cells, styled
from rcdbg.views.hart import registers
from rcdbg.views.hart.csr import words_line
from rcdbg.views.layout import Fitted, flow, problem_lines

SINCE = registers.SINCE
_LABEL_WIDTH = 8


def view(trap: Trap, previous: Trap | None = None) -> RenderableType:
    """The trap: its cause, where it came from, and the interrupted code's registers.

    Where no trap is being handled, only the note that says so.
    """
    head = note_line(trap.note)
    if trap.cause:
        head = head + Text(": ") + guest(trap.cause, palette.HEADING)
    parts: list[RenderableType] = [head]
    if trap.syscall is not None:
        parts.append(_syscall(trap.syscall))
    if trap.context is not None:
        before = previous.context if previous else None
        parts.append(view_context(trap.context, before, trap.changed))
        if trap.changed:
            parts.append(styled(f"{SINCE} another value on the hart now", palette.QUIET))
    for number, outer in enumerate(trap.outer, start=2):
        parts.append(Fitted(partial(_outer, number, outer)))
    # The Context has shown its own already.
    own = trap.context.problems if trap.context else ()
    return Group(*parts, *problem_lines(p for p in trap.problems if p not in own))


def _syscall(call: Syscall) -> RenderableType:
    """What user code asks for, and where its pointers lead to."""
    lines = [guest(f"{'next: ' * call.is_next}{call.shown}", palette.VALUE)]
    if call.name is None:
        words = ", ".join(
            f"a{n}={'?' if word is None else number_text(word)}"
            for n, word in enumerate(call.words)
        )
        lines.append(styled(f"  {words}", palette.QUIET))
    if call.note:
        lines.append(note_line(call.note))
    for argument in call.arguments:
        if argument.physical is not None:
            line = styled(f"  {argument.parameter.name} ", palette.LABEL)
            line.append(f"{argument.shown} at physical ").append_text(address(argument.physical))
            line.append(f" (frame {argument.physical >> PAGE_SHIFT:#x})", palette.QUIET)
            if argument.area is not None:
                start, end = argument.area
                line.append(f" in the area {start:#x}..{end:#x}", palette.QUIET)
            lines.append(line)
        if argument.text is not None and argument.text.note:
            lines.append(
                styled(f"  {argument.parameter.name}: ", palette.LABEL)
                + guest(argument.text.note, palette.PROBLEM)
            )
    return Group(*lines)


def view_context(
    context: Context, previous: Context | None = None, since: Collection[int] = ()
) -> RenderableType:
    """One Context: sepc, ra, sstatus in words, where it lies, and its registers.

    `since` are the registers that the hart has other values in by now.
    """
    return Fitted(lambda width: _context(context, previous, since, width))


def _outer(number: int, context: Context, width: int) -> RenderableType:
    """A trap that another one interrupted, in short."""
    return Group(
        styled(f"trap {number}, interrupted by the one above", palette.HEADING),
        place_line("sepc", context.sepc, None, width),
        *_sstatus(context, None, width),
        styled("at".ljust(_LABEL_WIDTH + 1), palette.LABEL) + address(context.address),
        *problem_lines(context.problems),
    )


def _context(
    context: Context, previous: Context | None, since: Collection[int], width: int
) -> RenderableType:
    before = previous.sstatus if previous else None
    return Group(
        place_line("sepc", context.sepc, previous.sepc if previous else None, width),
        place_line("ra", context.ra, previous.ra if previous else None, width),
        *_sstatus(context, before, width),
        styled("at".ljust(_LABEL_WIDTH + 1), palette.LABEL) + address(context.address),
        registers.view(context.x, previous.x if previous else None, since),
        *problem_lines(context.problems),
    )


def _sstatus(context: Context, previous: Csr | None, width: int) -> tuple[Text, ...]:
    """sstatus in words; nothing in kernels that do not save it."""
    if context.sstatus is None:
        return ()
    return (words_line(context.sstatus, previous, width, _LABEL_WIDTH),)


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
