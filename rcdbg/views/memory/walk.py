"""One address on its way through the page table."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.state import Translation
from rcdbg.riscv.access import UNDECIDED
from rcdbg.riscv.pages import PAGE_SHIFT, index, page_size
from rcdbg.riscv.paging import Step
from rcdbg.riscv.pte import Pte
from rcdbg.views import palette
from rcdbg.views.common import address, guest, hexadecimal, note_line, place_cells, size, styled
from rcdbg.views.layout import Column, Fitted, Row, flow, listing
from rcdbg.views.memory.page_table import rights

_COLUMNS = (
    Column("level"),
    Column("index", "index", right=True),
    Column("PTE at", "PTE at"),
    Column("PTE", "PTE"),
    Column("flags"),
    Column("so"),
)


_ACCESS_COLUMNS = (Column("from"), Column("access"), Column("allowed"))
_MARKS = {
    True: ("✓", palette.GOOD),
    False: ("✗ page fault:", palette.PROBLEM),
    None: ("? depends on the hart:", palette.WARNING),
}


def view(translation: Translation) -> RenderableType:
    """Each level's index, entry and flags, what follows from it, and the result or the fault."""
    walk = translation.walk
    parts: list[RenderableType] = [Fitted(lambda width: _head(translation, width))]
    if translation.note:
        parts.append(note_line(translation.note))
    if walk.steps:
        rows = [_row(step, translation) for step in walk.steps]
        parts.append(Fitted(lambda width: listing(_COLUMNS, rows, width)))
    parts.append(_result(translation))
    if translation.verdicts:
        parts.append(Fitted(lambda width: _accesses(translation, width)))
    if translation.content is not None:
        parts += _dump(translation.content)
    elif walk.physical is not None:
        parts.append(note_line("no RAM at this physical address"))
    return Group(*parts)


def _head(translation: Translation, width: int) -> Text:
    walk = translation.walk
    cells = [styled(f"{walk.va:#x}", palette.HEADING)]
    if translation.place.symbol is not None:
        cells += place_cells(translation.place)[:-1]
    if walk.steps:
        cells.append(guest(translation.mode) + Text(", root table ") +
                     address(translation.root_ppn << 12))  # fmt: skip
        levels = range(walk.steps[0].level, -1, -1)
        vpn = " ".join(f"VPN[{level}]={index(walk.va, level)}" for level in levels)
        cells.append(styled(f"{vpn} offset={walk.va & 0xFFF:#x}", palette.QUIET))
    elif translation.mode == "bare":
        cells.append(Text("bare: no translation"))
    return flow(cells, width)


def _row(step: Step, translation: Translation) -> Row:
    return Row(
        (
            styled(f"level {step.level}", palette.LABEL),
            Text(str(step.index)),
            address(step.pte_address),
            Text(hexadecimal(step.pte.bits)),
            _flags(step.pte),
            _decision(step, translation),
        )
    )


def _flags(pte: Pte) -> Text:
    if not pte.valid:
        return styled("not valid", palette.PROBLEM)
    text = styled("v", palette.QUIET).append_text(rights(pte.flags))
    return text.append(f" RSW={pte.rsw}", palette.QUIET) if pte.rsw else text


def _decision(step: Step, translation: Translation) -> Text:
    walk = translation.walk
    if step is walk.steps[-1] and walk.fault:
        return styled("the walk ends here", palette.PROBLEM)
    if step.pte.leaf:
        base = step.pte.mapped(walk.va & -page_size(step.level), step.level)
        text = Text(f"maps a {size(page_size(step.level))} page at ") + address(base)
        said = step.pte.attributes
        return text.append(f", {said}", palette.NOTE) if said else text
    return Text("next table at ") + address(step.pte.address)


def _result(translation: Translation) -> Text:
    walk = translation.walk
    if walk.rule in UNDECIDED:
        return styled("? depends on the hart: ", palette.WARNING) + guest(walk.fault or "not known")
    if walk.physical is None:
        return styled("✗ no translation: ", palette.PROBLEM) + guest(walk.fault or "not known")
    result = styled("✓ physical ", palette.GOOD)
    result.append(f"{walk.physical:#x}", palette.HEADING)
    if walk.leaf is not None:
        result.append(f" (frame {walk.physical >> PAGE_SHIFT:#x})", palette.QUIET)
    return result


def _accesses(translation: Translation, width: int) -> RenderableType:
    """A line for each privilege and access, those with the same answer as one."""
    groups: dict[tuple[str, bool | None, str], list[str]] = {}
    for item in translation.verdicts:
        why = "; ".join(f"{rule.name}: {rule.why}" for rule in item.broken)
        groups.setdefault((item.privilege, item.allowed, why), []).append(item.access)
    rows = []
    for (privilege, allowed, why), names in groups.items():
        mark, style = _MARKS[allowed]
        if why.startswith("unreadable"):
            mark = mark.replace("page fault", "access fault")
        rows.append(
            Row(
                (
                    styled(f"{privilege}-mode", palette.LABEL),
                    Text(" ".join(names)),
                    styled(mark, style).append_text(guest(f" {why}" if why else "")),
                )
            )
        )
    table = listing(_ACCESS_COLUMNS, rows, width)
    if translation.sum is None and translation.walk.steps:
        return Group(table, note_line("SUM and MXR are not known; taken as off"))
    if translation.walk.leaf is None:
        return table
    words = [f"{name} {'on' if bit else 'off'}" for name, bit in
             (("SUM", translation.sum), ("MXR", translation.mxr)) if bit is not None]  # fmt: skip
    return (
        Group(table, styled(f"under sstatus: {', '.join(words)}", palette.QUIET))
        if words
        else table
    )


def _dump(content: bytes) -> list[Text]:
    lines = []
    for start in range(0, len(content), 8):
        part = content[start : start + 8]
        line = styled(f"+{start:#04x} ", palette.QUIET)
        line.append(part.hex(" ").ljust(23) + "  ")
        line.append("".join(chr(b) if 32 <= b < 127 else "·" for b in part), palette.QUIET)
        lines.append(line)
    return lines
