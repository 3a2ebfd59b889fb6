"""What is wrong with a kernel, as a compiler tells what is wrong with a program."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.doctor.examine import Diagnosis, NotChecked
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity
from rcdbg.doctor.pasted import Clue
from rcdbg.image.lines import source_path
from rcdbg.model.state import Place
from rcdbg.views import palette
from rcdbg.views.common import count, guest, place_cells, source, styled
from rcdbg.views.layout import Fitted, flow, hanging

_LINES_AROUND = 2
_MAX_SOURCE = 1 << 22
_SOURCES = (".rs", ".c", ".h", ".s", ".S", ".asm")
"""What an ELF calls its source may be any file: only such are shown."""
_STYLES = {
    Severity.ERROR: palette.PROBLEM,
    Severity.WARNING: palette.WARNING,
    Severity.NOTE: palette.NOTE,
}


def view(diagnosis: Diagnosis) -> RenderableType:
    """Each finding with its place, evidence and help; without one, what was checked."""
    parts: list[RenderableType] = []
    for finding in diagnosis.findings:
        parts += [whole(finding), Text("")]
    if not diagnosis.findings:
        parts.append(_all_well(diagnosis))
    parts += _not_checked(diagnosis.not_checked)
    if parts and isinstance(parts[-1], Text) and not parts[-1].plain:
        parts.pop()
    return Group(*parts)


def summary(diagnosis: Diagnosis) -> RenderableType:
    """A line for each finding, and how many rules looked."""
    lines: list[RenderableType] = [_hanging(headline(found)) for found in diagnosis.findings]
    if not lines:
        lines.append(_all_well(diagnosis))
    return Group(*lines)


def pasted(clues: Sequence[Clue]) -> RenderableType:
    """What the text of a console means, clue by clue."""
    parts: list[RenderableType] = []
    for clue in clues:
        line = guest(clue.said, palette.HEADING)
        parts.append(_hanging(line.append_text(guest(f": {clue.meaning}", palette.PLAIN))))
        if clue.place is not None:
            parts += _place(clue.place)
    if not parts:
        parts.append(styled("no panic, no cause and no address in this text", palette.NOTE))
    return Group(*parts)


def headline(finding: Finding) -> Text:
    """`error[RC0101]: the kernel panics at ...`."""
    style = _STYLES[finding.severity]
    line = styled(f"{finding.severity.value}[{finding.code}]", style)
    if finding.confidence is not Confidence.CERTAIN:
        line.append(f" ({finding.confidence.value})", palette.QUIET)
    return line.append(": ").append_text(guest(finding.title, palette.HEADING))


def whole(finding: Finding) -> RenderableType:
    """A finding in full."""
    parts: list[RenderableType] = [_hanging(headline(finding))]
    if finding.place is not None:
        parts += _place(finding.place)
    for fact in finding.evidence:
        parts.append(_fact(fact))
    for label, text in (
        ("cause", finding.cause),
        ("help", finding.help),
        ("may be wrong when", finding.may_be_wrong_when),
    ):
        if text:
            line = Text("  = ").append_text(styled(f"{label}: ", palette.LABEL))
            parts.append(_hanging(line.append_text(guest(text))))
    more = Text("  = ").append_text(styled("more: ", palette.LABEL))
    parts.append(more.append(f"rcdbg explain {finding.code}", palette.SOURCE))
    return Group(*parts)


def _hanging(line: Text) -> Fitted:
    return Fitted(lambda width: hanging(line, width, 4))


def _place(place: Place) -> Iterator[RenderableType]:
    arrow = styled("  --> ", palette.QUIET)
    if (where := source(place)) is not None:
        arrow.append_text(where).append("  ")
    cells = [cell for cell in place_cells(place) if where is None or cell.plain != where.plain]
    yield _hanging(arrow.append_text(Text("  ").join(cells)))
    yield from excerpt(place)


def excerpt(place: Place) -> Iterator[Text]:
    """The lines of the source around a place, as far as the source is on this machine."""
    path = source_path(place.file) if place.file else None
    if path is None or place.line is None or path.suffix not in _SOURCES:
        return
    try:
        if path.stat().st_size > _MAX_SOURCE:
            return
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    first = max(1, place.line - _LINES_AROUND)
    last = min(place.line + _LINES_AROUND, len(lines))
    if not first <= place.line <= last:
        return
    digits = len(str(last))
    for number in range(first, last + 1):
        is_here = number == place.line
        line = styled(f"  {'>' if is_here else ' '} {number:>{digits}} | ", palette.QUIET)
        line.append_text(guest(lines[number - 1].expandtabs(4),
                               palette.HEADING if is_here else palette.PLAIN))  # fmt: skip
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line


def _fact(fact: Fact) -> RenderableType:
    cells = [Text("  = ").append_text(guest(fact.text))]
    if fact.place is not None:
        cells.append(Text("  ").join(place_cells(fact.place)))
    if fact.command:
        cells.append(styled(f"[rcdbg {fact.command}]", palette.SOURCE))
    return Fitted(lambda width: flow(cells, width, indent=4))


def _all_well(diagnosis: Diagnosis) -> RenderableType:
    number = len(diagnosis.checked)
    names = ", ".join(dict.fromkeys(check.name for check in diagnosis.checked))
    line = styled(f"nothing found by {count(number, 'rule')}", palette.GOOD)
    return _hanging(line.append(f": {names}" if names else "", palette.QUIET))


def _not_checked(left: Sequence[NotChecked]) -> Iterator[RenderableType]:
    """The reasons, each with all that was not checked for it."""
    by_why = sorted(left, key=lambda item: item.why)
    for why, group in groupby(by_why, key=lambda item: item.why):
        names = ", ".join(dict.fromkeys(item.check.name for item in group))
        line = styled("not checked: ", palette.NOTE).append_text(guest(names))
        yield _hanging(line.append_text(guest(f" ({why})", palette.QUIET)))
