"""A trap explained: what the hart wanted, which rule forbade it, what is near, and what that means.

`kind` is the short stable name of what it comes down to; the doctor's rules go by it.
"""

from collections import Counter
from dataclasses import dataclass, replace

from rcdbg.model.faults.devices import Device, device_at
from rcdbg.model.faults.instruction import TrappedInstruction, trapped_instruction, why_illegal
from rcdbg.model.faults.moment import NO_TRAP, PAGE_FAULTS, FaultMoment, fault_moment
from rcdbg.model.faults.neighbours import Neighbour, neighbours
from rcdbg.model.faults.nothing import FieldOfNothing, field_of_nothing
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.programs.code import user_place
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Place, StackFrame
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.model.unwinding.cursor import Cursor
from rcdbg.model.unwinding.user_stack import user_stack
from rcdbg.riscv.access import MXR, SUM, Verdict, verdict
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.paging import Walk, walk

_SP, _RA = 2, 1
_REACH = 1 << 16
"""How far below a stack an access may be to be one of its overflow: a large stack frame."""
_TOP = 1 << 64
_MOST_FRAMES = 4096
_FEW = 8


@dataclass(frozen=True, slots=True)
class Repeated:
    """The function that a call stack has most often."""

    name: str
    times: int
    frames: int
    """Of the whole call stack."""


@dataclass(frozen=True, slots=True)
class FaultReport:
    """Why the hart trapped."""

    moment: FaultMoment | None
    kind: str
    """What it comes down to: `unmapped`, `privilege`, `rights`, `reserved`, `stale`, `overflow`,
    `null`, `canonical`, `device`, `no-memory`, `illegal`, `alignment`, `call`, `breakpoint`,
    `interrupt`, or "" for none of these."""
    headline: str
    """One sentence."""
    instruction: TrappedInstruction | None = None
    address: Place | None = None
    """stval, for faults of memory, with its symbol."""
    walk: Walk | None = None
    verdict: Verdict | None = None
    near: tuple[Neighbour, ...] = ()
    device: Device | None = None
    field: FieldOfNothing | None = None
    repeated: Repeated | None = None
    remarks: tuple[str, ...] = ()
    """More that was seen, each a sentence."""

    @property
    def matches(self) -> bool | None:
        """Whether the instruction's address is in stval; None where it is not known."""
        if self.instruction is None or self.instruction.address is None or self.address is None:
            return None
        width = 8 if (memory := self.instruction.decoded.memory) is None else memory.width
        # An access across two pages may fail in its second one.
        return 0 <= self.address.address - self.instruction.address < width


@once_a_moment
def read_fault(kernel: Kernel) -> FaultReport:
    """The trap that is being handled, or the last one, explained; never fails."""
    moment = fault_moment(kernel)
    if moment is None:
        why = NO_TRAP if kernel.csr("scause") is not None else "the target does not give scause"
        return FaultReport(None, "", why)
    # One that could not be fetched was none.
    fetched = moment.access != "fetch"
    instruction = trapped_instruction(kernel, moment) if fetched else None
    if moment.code is None:
        headline = f"{moment.cause} at {_at(moment.sepc)}: no fault"
        return FaultReport(moment, "interrupt", headline, instruction)
    if moment.access is None:
        return _no_access(moment, instruction)
    return _access(kernel, moment, instruction)


def _at(place: Place) -> str:
    name = "" if place.program is None else f"{place.program}:"
    if place.symbol is None:
        return f"{place.address:#x}"
    return f"{name}{place.symbol}" + (f"+{place.offset:#x}" if place.offset else "")


def _from(moment: FaultMoment) -> str:
    return "" if moment.privilege is None else f" from {moment.privilege}-mode"


def _no_access(moment: FaultMoment, instruction: TrappedInstruction | None) -> FaultReport:
    where = f"{moment.cause}{_from(moment)} at {_at(moment.sepc)}"
    if moment.code == 2:
        why = why_illegal(moment, instruction)
        words = "" if instruction is None else f": {instruction.decoded.text}"
        return FaultReport(
            moment, "illegal", f"{where}{words}" + (f": {why}" if why else ""), instruction
        )
    if moment.code == 3:
        return FaultReport(moment, "breakpoint", f"{where}: a stop that was asked for", instruction)
    if moment.code in (8, 9):
        return FaultReport(moment, "call", f"{moment.cause} at {_at(moment.sepc)}: no fault",
                           instruction)  # fmt: skip
    return FaultReport(moment, "", where, instruction)


def _access(
    kernel: Kernel, moment: FaultMoment, instruction: TrappedInstruction | None
) -> FaultReport:
    stval = moment.stval
    found = walk(kernel.target.read_phys, moment.satp, stval)
    decided = None
    if moment.access is not None and moment.privilege is not None:
        bits = moment.sstatus or 0
        decided = verdict(
            found, moment.access, moment.privilege, sum_=bool(bits & SUM), mxr=bool(bits & MXR)
        )
    place = user_place(kernel, moment.satp, stval) if moment.privilege == "U" else None
    place = kernel.place(stval) if place is None or place.symbol is None else place
    report = FaultReport(
        moment,
        "",
        "",
        instruction,
        place,
        found,
        decided,
        neighbours(kernel, moment, stval)[:_FEW],
        device_at(kernel, _physicals(kernel, found)),
    )
    report = replace(report, field=field_of_nothing(kernel, moment, instruction))
    kind, why = _reason(kernel, report)
    report = replace(report, kind=kind, remarks=tuple(_remarks(kernel, report, kind)))
    if kind == "overflow":
        report = replace(report, repeated=_repeated(kernel, moment))
        if (many := report.repeated) is not None and many.times > 1:
            why += f"; of {many.frames:,} calls {many.times:,} are of {many.name}"
    return replace(report, headline=f"{moment.cause} at {stval:#x}{_from(moment)}: {why}")


def _physicals(kernel: Kernel, found: Walk) -> tuple[int, ...]:
    """The physical addresses that an address may have been meant to lead to."""
    if found.physical is not None:
        return (found.physical,)
    offsets = {0}
    for section in kernel.image.sections:
        loaded = kernel.image.physical(section.address) if section.address else None
        if loaded is not None:
            offsets.add(section.address - loaded)
            break
    return tuple((found.va - offset) % _TOP for offset in sorted(offsets))


def _reason(kernel: Kernel, report: FaultReport) -> tuple[str, str]:
    """What it comes down to: kind, and words."""
    moment = report.moment
    assert moment is not None
    if moment.code in (0, 4, 6):
        return "alignment", "the address is no multiple of what is accessed"
    if moment.code not in PAGE_FAULTS:
        is_null = not moment.satp.translates and moment.stval < PAGE_SIZE
        return ("null", _null(report)) if is_null else _no_memory(kernel, report)
    if (stack := overflown(report)) is not None:
        return "overflow", f"stack overflow, {stack.words}"
    if report.walk is not None and report.walk.physical is None and _is_nothing(moment.stval):
        return "null", _null(report)
    decided = report.verdict
    if decided is None:
        return "", "whether the page table allows it depends on where it came from, not known here"
    if decided.allowed:
        return "stale", "today's page table allows it: a stale translation, or the table was " \
                        "changed since"  # fmt: skip
    rule = decided.broken[0].name if decided.broken else ""
    if rule == "canonical":
        return "canonical", "no address at all: its upper bits must all equal the highest one used"
    if rule in ("V", "unreadable"):
        return _unmapped(report)
    if rule in ("U", "U-fetch", "SUM"):
        return "privilege", _privilege_words(report, rule)
    if rule in ("R", "W", "X"):
        return "rights", _rights_words(report, rule)
    if rule in ("A", "D"):
        return "accessed", f"{decided.broken[0].why}"
    return "reserved", f"the entry is one that the hart must refuse: {decided.broken[0].why}"


def _is_nothing(address: int) -> bool:
    return address < PAGE_SIZE or address >= _TOP - PAGE_SIZE


def _null(report: FaultReport) -> str:
    moment, field = report.moment, report.field
    assert moment is not None
    if moment.access == "fetch":
        return "a jump to nowhere: a null function pointer or a return address that was lost"
    address = moment.stval if moment.stval < PAGE_SIZE else moment.stval - _TOP
    words = f"{address:#x} from null" if address else "a null pointer"
    if field is not None:
        words += f": `{field.field}` of a {field.type} at address {field.base:#x}"
    return words


def _unmapped(report: FaultReport) -> tuple[str, str]:
    device, near, found = report.device, report.near, report.walk
    level = found.steps[-1].level if found is not None and found.steps else None
    where = "" if level is None else f" (the walk ends at level {level})"
    if device is not None:
        return "device", f"the registers of the device {device.name} are there, not mapped{where}"
    why = f"nothing is mapped there{where}"
    if near:
        why += f"; it is {near[0].words}"
    return "unmapped", why


def _privilege_words(report: FaultReport, rule: str) -> str:
    what = ""
    if report.near and report.near[0].side == "in":
        what = f", {report.near[0].words}"
    if rule == "U":
        return f"the page is not for U-mode: U is clear{what}"
    if rule == "U-fetch":
        return f"S-mode never runs code of a user page: U is set{what}"
    return f"a user page, and sstatus.SUM is off: S-mode may not touch it{what}"


def _rights_words(report: FaultReport, rule: str) -> str:
    verb = {"R": "readable", "W": "writable", "X": "executable"}[rule]
    words = f"the page is not {verb}: {rule} is clear"
    place = report.address
    inside = [one for one in report.near if one.side == "in"]
    # Students know sections better than the segments that they are mapped by.
    inside = [one for one in inside if one.kind == "section"] or inside
    if place is not None and place.symbol is not None:
        words += f"; {_at(place)} is there"
    if inside:
        words += f"{',' if place and place.symbol else '; it is'} {inside[0].words}"
    return words


def _no_memory(kernel: Kernel, report: FaultReport) -> tuple[str, str]:
    """An access fault: the translation is fine, and behind it is nothing."""
    found, ram = report.walk, kernel.target.ram
    if found is None or found.physical is None:
        return "no-memory", "a page table lies where no memory is" if (
            found is not None and found.rule == "unreadable"
        ) else "the access was refused behind the page table"
    words = f"it leads to the physical address {found.physical:#x}"
    if report.device is not None:
        return "no-memory", f"{words}, of the device {report.device.name}, which refused it"
    if ram is not None and found.physical not in ram:
        return "no-memory", f"{words}, where no memory is ({ram.start:#x}..{ram.end:#x} is)"
    return "no-memory", f"{words}, which is protected from this mode (PMP), as firmware is"


def overflown(report: FaultReport) -> Neighbour | None:
    """The stack that a fault is the overflow of: right below it, with sp at or below its start.

    Where no stack is known there, it is the memory that sp has left downwards.
    """
    moment = report.moment
    if moment is None or moment.x is None or moment.access == "fetch":
        return None
    sp = moment.x[_SP]
    for one in report.near:
        if one.side != "below" or one.distance > _REACH or not one.writable:
            continue
        # The access may be above sp, or a large frame may be filled from its lower end on.
        limit = one.start + PAGE_SIZE if one.kind == "stack" else one.start
        if one.start - _REACH <= sp < limit and abs(moment.stval - sp) <= _REACH:
            return one
    return None


def _repeated(kernel: Kernel, moment: FaultMoment) -> Repeated | None:
    """Which function the call stack of the code that trapped has most often."""
    frames: tuple[StackFrame, ...]
    if moment.privilege == "U" and moment.x is not None:
        start = Cursor(moment.sepc.address, dict(enumerate(moment.x)), True)
        frames = user_stack(kernel, moment.satp, start, _MOST_FRAMES).frames
    else:
        frames = backtrace_now(kernel, _MOST_FRAMES).frames
        last = [i for i, frame in enumerate(frames) if frame.is_trap]
        frames = frames[last[0] + 1 :] if last else frames
    counted = Counter(frame.pc.symbol for frame in frames if frame.pc.symbol is not None)
    if not counted:
        return None
    name, times = counted.most_common(1)[0]
    return Repeated(name or "", times, len(frames))


def _remarks(kernel: Kernel, report: FaultReport, kind: str) -> list[str]:
    moment, found = report.moment, report.walk
    assert moment is not None
    remarks = []
    if report.matches is False:
        remarks.append(
            "the instruction's own address is not the one in stval: registers, code or stval "
            "are of another trap"
        )
    if moment.access == "fetch" and moment.x is not None:
        remarks.append(f"ra is {_at(kernel.place(moment.x[_RA]))}: the last call came from there")
    if found is not None and found.physical is not None and found.leaf is not None:
        frame = found.physical >> PAGE_SHIFT
        allocator = read_frames(kernel)
        if allocator.is_known and any(i.start <= frame < i.end for i in allocator.free):
            remarks.append(f"its frame {frame:#x} is free: given back while it is mapped")
    guarded = next((one for one in report.near if one.kind == "stack" and one.guarded), None)
    if kind == "overflow" and guarded is not None and guarded.side == "below":
        remarks.append("the page below that stack is left unmapped on purpose: a guard page")
    if report.device is not None and report.device.is_assumed:
        remarks.append("where devices are is assumed: no device tree was found")
    return remarks
