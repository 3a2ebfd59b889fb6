"""The hart as it stands: pc, privilege, registers."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Hart
from rcdbg.riscv.registers import PRIVILEGES
from rcdbg.views import palette
from rcdbg.views.common import note_line, styled
from rcdbg.views.hart import registers
from rcdbg.views.hart.context import place_line
from rcdbg.views.layout import Fitted, hanging

_PRIVILEGE_WORDS = {"U": "U-mode (user)", "S": "S-mode (kernel)", "M": "M-mode (firmware)"}


def privilege(level: int | None) -> str:
    """The privilege level in words."""
    if level is None:
        return "privilege not known"
    name = PRIVILEGES.get(level)
    return _PRIVILEGE_WORDS[name] if name else f"privilege {level}, which is reserved"


def one_of(hart: int | None, harts: int, drawing: RenderableType) -> RenderableType:
    """A drawing of one of several harts, below a line that says so."""
    which = "a hart whose number is not known" if hart is None else f"hart {hart}"
    line = f"{which}, of {harts}: the others may stand elsewhere"
    return Group(Fitted(lambda width: hanging(note_line(line), width)), drawing)


def view(hart: Hart, previous: Hart | None = None) -> RenderableType:
    """Where the hart stands, in which mode, and its registers."""
    return Group(
        Fitted(lambda width: place_line("pc", hart.pc, previous.pc if previous else None, width)),
        styled("mode".ljust(9), palette.LABEL) + Text(privilege(hart.privilege)),
        *([note_line(hart.note)] if hart.note else []),
        registers.view(hart.x, previous.x if previous else None),
    )
