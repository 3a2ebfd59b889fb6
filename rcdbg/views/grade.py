"""Grades of kernels as a table."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.machine.host.suite import Grade
from rcdbg.views import palette
from rcdbg.views.common import count, guest, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, listing

_STYLES = {"passed": palette.GOOD, "failed": palette.PROBLEM, "error": palette.WARNING}


def view(grades: Sequence[Grade]) -> RenderableType:
    """A row for each kernel: how many tests passed, and why the first one did not."""
    return Group(
        Fitted(lambda width: _table(grades, width)), Fitted(lambda width: _sum(grades, width))
    )


def _table(grades: Sequence[Grade], width: int) -> RenderableType:
    columns = [
        Column("kernel"),
        Column("grade"),
        Column("passed", right=True),
        Column("failed", right=True),
        Column("seconds", right=True),
    ]
    rows = []
    for grade in grades:
        cells = (
            guest(grade.kernel, palette.SYMBOL),
            styled(grade.outcome, _STYLES[grade.outcome]),
            Text(str(grade.count("passed"))),
            Text(str(grade.count("failed", "error"))),
            Text(f"{grade.seconds:.1f}"),
        )
        rows.append(Row(cells, (Text("    ") + guest(grade.cause),) if grade.cause else ()))
    return listing(columns, rows, width)


def _sum(grades: Sequence[Grade], width: int) -> Text:
    words = {"passed": "passed", "failed": "failed", "error": "could not be tested to the end"}
    cells = [Text(count(len(grades), "kernel"))]
    for outcome, said in words.items():
        number = sum(grade.outcome == outcome for grade in grades)
        if number:
            cells.append(styled(f"{number} {said}", _STYLES[outcome]))
    return flow(cells, width)
