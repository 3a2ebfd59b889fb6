"""The programs for U-mode that are known."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.programs.listed import ListedProgram, Programs
from rcdbg.views import palette
from rcdbg.views.common import address, guest, note_line, styled
from rcdbg.views.layout import Column, Fitted, Row, listing, problem_lines

_COLUMNS = (Column("program"), Column("found"), Column("entry", "entry"), Column("has"))


def view(found: Programs) -> RenderableType:
    """A row for each."""
    if not found.programs:
        note = "no program was found: --programs says where they are"
        return Group(note_line(note), *problem_lines(found.problems))
    rows = [Row(_cells(program)) for program in found.programs]
    table = Fitted(lambda width: listing(_COLUMNS, rows, width))
    return Group(table, *problem_lines(found.problems))


def _cells(program: ListedProgram) -> tuple[Text, ...]:
    unknown = styled("not known", palette.NOTE)
    return (
        guest(program.name, palette.SYMBOL),
        guest(program.origin),
        unknown if program.entry is None else address(program.entry),
        Text(program.tells) if program.tells else unknown,
    )
