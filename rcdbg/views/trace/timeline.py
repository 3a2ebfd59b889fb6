"""The timeline of a trace in a terminal: a row for each thread, time to the right."""

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from rcdbg.trace.analysis.timeline import Doing, ThreadRow, Timeline
from rcdbg.views import palette
from rcdbg.views.common import count, note_line, styled
from rcdbg.views.layout import Fitted, flow
from rcdbg.views.trace.axis import axis_marks
from rcdbg.views.trace.drawings import sort_of
from rcdbg.views.trace.listing import heading
from rcdbg.views.trace.marks import cell_of, in_cells, shares, used

MAX_ROWS = 64
_MIN_CELLS = 8
_LABEL_EVERY = 9
_SHADES = ((7 / 8, "█"), (1 / 2, "▓"), (1 / 4, "▒"), (0.0, "░"))
_READY = "─"
_ASLEEP = "z"


def view(timeline: Timeline) -> RenderableType:
    """The timeline with its axis and a legend; as wide as there is room."""
    notes = [note_line(note) for note in timeline.notes]
    if not timeline.rows:
        return Group(heading(timeline.header), note_line("no events to draw"))
    return Group(heading(timeline.header), Fitted(lambda width: _picture(timeline, width)), *notes)


def _picture(timeline: Timeline, width: int) -> RenderableType:
    rows = timeline.rows[:MAX_ROWS]
    label = max(len(row.name) for row in rows) + 1
    cells = max(_MIN_CELLS, width - label)
    lines = []
    if len(rows) < len(timeline.rows):
        every = count(len(timeline.rows), "thread")
        lines.append(note_line(f"{len(rows)} of {every}: choose others with --thread"))
    lines += [line for row in rows for line in _row(timeline, row, label, cells)]
    lines += _axis(timeline, label, cells)
    return Group(*lines, _legend(timeline, width))


def _row(timeline: Timeline, row: ThreadRow, label: int, cells: int) -> list[Text]:
    line = Text(row.name.ljust(label), no_wrap=True)
    for share in shares(timeline, row, cells):
        line.append(*_cell(share))
    marks = in_cells(timeline, row.marks, cells)
    if not marks:
        return [line]
    below = Text(" " * label, no_wrap=True)
    for cell in range(max(marks) + 1):
        if cell in marks:
            sort = sort_of(marks[cell][0])
            below.append(sort.character, sort.style)
        else:
            below.append(" ")
    return [line, below]


def _cell(share: dict[Doing, float]) -> tuple[str, Style]:
    if (part := share.get("run", 0.0)) > 0:
        return next(shade for least, shade in _SHADES if part >= least), palette.RUNNING
    ready, asleep = share.get("ready", 0.0), share.get("asleep", 0.0)
    if not ready and not asleep:
        return " ", palette.PLAIN
    return (_ASLEEP, palette.SLEEPING) if asleep > ready else (_READY, palette.READY)


def _axis(timeline: Timeline, label: int, cells: int) -> list[Text]:
    rule, names = ["╌"] * cells, [" "] * cells
    free = 0
    for at, text in axis_marks(timeline, cells // _LABEL_EVERY):
        cell = cell_of(timeline, at, cells)
        rule[cell] = "┴"
        if cell >= free and cell + len(text) <= cells:
            names[cell : cell + len(text)] = text
            free = cell + len(text) + 1
    return [
        styled(" " * label + "".join(line), palette.QUIET)
        for line in (rule, names)
        if any(c != " " for c in line)
    ]


def _legend(timeline: Timeline, width: int) -> Text:
    doing = {piece.doing for row in timeline.rows for piece in row.slices}
    cells = []
    if "run" in doing:
        cells.append(
            styled("█▓▒░", palette.RUNNING) + styled(" runs, all the time or less", palette.QUIET)
        )
    if "ready" in doing:
        cells.append(styled(_READY * 2, palette.READY) + styled(" ready", palette.QUIET))
    if "asleep" in doing:
        cells.append(styled(_ASLEEP * 2, palette.SLEEPING) + styled(" asleep", palette.QUIET))
    for sort in used(timeline):
        cells.append(styled(sort.character, sort.style) + styled(f" {sort.words}", palette.QUIET))
    return flow(cells, width)
