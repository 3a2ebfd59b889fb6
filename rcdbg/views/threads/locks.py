"""The locks and cells that are taken."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.tasks.locks import KernelLock, KernelLocks
from rcdbg.views import palette
from rcdbg.views.common import address, guest, note_line, styled
from rcdbg.views.layout import Column, Fitted, Row, listing, problem_lines

_COLUMNS = (Column("lock"), Column("type"), Column("state"), Column("held by", "held by"),
            Column("at"))  # fmt: skip


def view(found: KernelLocks) -> RenderableType:
    """A row for each that is taken, and how many there are."""
    parts: list[RenderableType] = [note_line(found.note)] if found.note else []
    if found.count:
        taken = len(found.taken)
        head = Text(f"{taken:,} of {found.count:,} locks and cells ")
        parts.append(head.append("are taken" if taken != 1 else "is taken"))
    if found.taken:
        rows = [Row(_cells(lock)) for lock in found.taken]
        parts.append(Fitted(lambda width: listing(_COLUMNS, rows, width)))
    return Group(*parts, *problem_lines(found.problems))


def _cells(lock: KernelLock) -> tuple[Text, ...]:
    holder = guest(lock.holder) if lock.holder else styled("not known", palette.NOTE)
    return (
        guest(lock.path, palette.SYMBOL),
        guest(lock.kind),
        styled(lock.state, palette.WARNING),
        holder,
        address(lock.address),
    )
