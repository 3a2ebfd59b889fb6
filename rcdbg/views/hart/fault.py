"""A trap explained: the sentence, the place, the instruction, the walk, what is near."""

from rich.console import Group, RenderableType
from rich.text import Text

from rcdbg.model.faults.explain import FaultReport
from rcdbg.model.faults.moment import FaultMoment
from rcdbg.riscv.paging import Step
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.views import palette
from rcdbg.views.common import guest, hexadecimal, note_line, place_cells, styled
from rcdbg.views.layout import Fitted, flow, hanging

_LABEL = 12


def view(report: FaultReport) -> RenderableType:
    """The whole of it; where there was no trap, only the note that says so."""
    moment = report.moment
    if moment is None:
        return note_line(report.headline)
    lines = [guest(report.headline, palette.HEADING)]
    if moment.note:
        lines.append(note_line(moment.note))
    lines.append(_labelled("at", *place_cells(moment.sepc)))
    lines += _instruction(report)
    if report.address is not None:
        lines += _address(report)
        lines += _walk(report, moment)
    for remark in report.remarks:
        lines.append(_labelled("note", guest(remark)))
    return Fitted(lambda width: Group(*(_within(line, width) for line in lines)))


def _within(line: Text, width: int) -> Text:
    return hanging(line, width, _LABEL)


def _labelled(label: str, *cells: Text) -> Text:
    return styled(label.ljust(_LABEL), palette.LABEL) + flow(cells, 1 << 16)


def _instruction(report: FaultReport) -> list[Text]:
    found = report.instruction
    if found is None and report.moment is not None and report.moment.access == "fetch":
        return []
    if found is None:
        return [_labelled("instruction", note_line("cannot be read"))]
    cells = [guest(found.decoded.text, palette.VALUE)]
    cells += [Text(f"{ABI_NAMES[number]}={hexadecimal(value)}") for number, value in found.values]
    lines = [_labelled("instruction", *cells)]
    memory = found.decoded.memory
    if memory is not None:
        verb = {"read": "reads", "write": "writes", "atomic": "reads and writes"}[memory.use]
        where = "at an address that is not known: its registers are not" if (
            found.address is None
        ) else f"at {found.address:#x}"  # fmt: skip
        same = {True: ", as stval says", False: ", and stval says another", None: ""}
        plural = "byte" if memory.width == 1 else "bytes"
        words = f"{verb} {memory.width} {plural} {where}{same[report.matches]}"
        lines.append(_labelled("", guest(words)))
    return lines


def _address(report: FaultReport) -> list[Text]:
    assert report.address is not None
    lines = [_labelled("stval", *place_cells(report.address))]
    for index, one in enumerate(report.near):
        lines.append(_labelled("near" if not index else "", guest(one.words)))
    return lines


def _walk(report: FaultReport, moment: FaultMoment) -> list[Text]:
    walk = report.walk
    if walk is None or not moment.satp.translates:
        return []
    lines = [_step(step, first=step is walk.steps[0]) for step in walk.steps]
    if walk.fault is not None:
        lines.append(_labelled("", styled(walk.fault, palette.PROBLEM)))
    elif walk.physical is not None:
        lines.append(_labelled("", guest(f"physical {walk.physical:#x}")))
    decided = report.verdict
    if decided is not None and walk.fault is None:
        why = "; ".join(f"{rule.name}: {rule.why}" for rule in decided.broken) or "allowed today"
        lines.append(_labelled("rule", guest(f"{decided.access} from {decided.privilege}: {why}")))
    return lines


def _step(step: Step, *, first: bool) -> Text:
    flags = "v" + step.pte.flags if step.pte.valid else "not valid"
    words = f"level {step.level}[{step.index}] at {step.pte_address:#x}: "
    words += f"{hexadecimal(step.pte.bits)} {flags}"
    return _labelled("walk" if first else "", guest(words))
