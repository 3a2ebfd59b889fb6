"""The trap that is being handled, where it is a fault: one rule for each thing that it can be.

A fault of user code is the program's own affair, and what the kernel is there to handle, unless the
program's ELF says that it was in the right: then the kernel has loaded or mapped it wrongly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.model.faults.explain import FaultReport, read_fault
from rcdbg.model.faults.instruction import is_inside_an_instruction
from rcdbg.model.faults.moment import FaultMoment
from rcdbg.model.faults.place import in_the_entry, is_at_its_first_instruction
from rcdbg.model.kernel import Kernel
from rcdbg.riscv.registers import ABI_NAMES

_SHOW = "show fault"
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class _Words:
    """What a rule says beside what was seen."""

    cause: str
    help: str
    may_be_wrong_when: str = ""


_MISSING = _Words(
    "An address was used that the page table in satp does not map: a segment was forgotten (the "
    "device's range is, often), or the pointer is wrong.",
    "Look at the address: if it ought to be there, find who should have mapped it; else follow the "
    "register that it was computed from back to where it was made.",
    "the kernel maps pages only when they are touched: then this fault is how it learns of them",
)
_PRIVILEGE = _Words(
    "U in the page table's entry says who may use the page: U-mode only with it, S-mode only "
    "without it, or with sstatus.SUM set for loads and stores.",
    "Map what a program uses with U, and what the kernel uses without; copy from and to user "
    "memory by the program's own page table, or set SUM around the access.",
)
_RIGHTS = _Words(
    "The entry that maps the page does not give the right that the access needs, or is one that "
    "hardware must refuse.",
    "If the access is meant, the segment was mapped with too few rights; if not, the pointer leads "
    "to the wrong place: a `static` without interior mutability lies in .rodata.",
    "the kernel gives rights only when a page is first written to (copy on write)",
)
_STALE = _Words(
    "The hart keeps translations: after a change of a page table, or of satp, `sfence.vma` has to "
    "throw the old ones away.",
    "Execute `sfence.vma` after each unmap, remap and change of rights, and after writing satp.",
    "another hart has changed the table meanwhile, or the memory behind it was overwritten and "
    "written back",
)
_NULL = _Words(
    "A pointer was used that holds no address: what should have filled it never ran, or its memory "
    "was cleared or overwritten.",
    "Look at where the register comes from in the function that is shown; for a jump to nowhere at "
    "ra, which says who made it.",
)
_ILLEGAL = _Words(
    "The hart met bits that it does not execute: an instruction of a higher privilege, of an "
    "extension that is off, or no instruction at all.",
    "If the bits are no code, the jump that led here is wrong: look at ra and at the stack. If "
    "they are, the privilege or the CSR is.",
)
_NO_MEMORY = _Words(
    "The translation succeeded, and no memory or device answers at the physical address, or the "
    "firmware protects it from S-mode (PMP).",
    "Check the frame number in the entry: it is the physical address divided by 4096.",
)
_OVERFLOW = _Words(
    "The calls on this stack need more than it has: a recursion without an end, or a large local "
    "variable.",
    "Look at the call that repeats; else make the stack larger, or move large arrays to the heap.",
    "sp was overwritten, and only happens to lie there",
)
_ENTRY = _Words(
    "A trap's entry saves the registers where sp points once it has swapped sp with sscratch: if "
    "sscratch does not hold the kernel's stack then, the saving itself faults.",
    "Look at who writes sscratch: it has to hold the top of the kernel's stack while other code "
    "runs, and be set again before each return to it.",
)


def unmapped(examination: Examination) -> Iterator[Finding]:
    """An address that the page table does not map."""
    kinds = ("unmapped", "device", "canonical")
    yield from _of_kind(examination, "RC0201", kinds, _MISSING)


def privilege(examination: Examination) -> Iterator[Finding]:
    """A page for the other privilege."""
    yield from _of_kind(examination, "RC0202", ("privilege",), _PRIVILEGE)


def rights(examination: Examination) -> Iterator[Finding]:
    """A page without the right that the access needs, or an entry that hardware must refuse."""
    yield from _of_kind(examination, "RC0203", ("rights", "reserved", "accessed"), _RIGHTS)


def stale(examination: Examination) -> Iterator[Finding]:
    """A fault that the page table in memory would not have caused."""
    # Later the handler may have mended the table, as it should.
    if is_at_its_first_instruction(examination.kernel):
        yield from _of_kind(examination, "RC0204", ("stale",), _STALE)


def null(examination: Examination) -> Iterator[Finding]:
    """A null pointer."""
    yield from _of_kind(examination, "RC0205", ("null",), _NULL)


def illegal(examination: Examination) -> Iterator[Finding]:
    """An illegal instruction."""
    yield from _of_kind(examination, "RC0206", ("illegal",), _ILLEGAL)


def no_memory(examination: Examination) -> Iterator[Finding]:
    """A physical address where nothing is."""
    yield from _of_kind(examination, "RC0207", ("no-memory", "alignment"), _NO_MEMORY)


def overflow(examination: Examination) -> Iterator[Finding]:
    """A fault right below a stack that sp has left."""
    yield from _of_kind(examination, "RC0208", ("overflow",), _OVERFLOW)


def entry(examination: Examination) -> Iterator[Finding]:
    """A fault in the code that saves or restores the registers."""
    kernel, report = examination.kernel, read_fault(examination.kernel)
    moment = report.moment
    if moment is None or moment.privilege != "S" or not moment.is_now:
        return
    if moment.access not in ("read", "write"):  # else the entry is not mapped: RC0210
        return
    if not in_the_entry(kernel, moment.sepc.address):
        return
    evidence = [_trapped(report)]
    sscratch = kernel.csr("sscratch")
    if sscratch is not None:
        evidence.append(Fact(f"sscratch is {sscratch:#x}", kernel.place(sscratch), "show csr"))
    evidence += _near(report)
    yield Finding(
        "RC0209",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"the trap's own entry faults ({moment.cause} at {moment.stval:#x}): it does not save to a "
        "kernel stack, and each trap leads to the next",
        tuple(evidence),
        bucket_of("RC0209", moment.cause),
        moment.sepc,
        _ENTRY.cause,
        _ENTRY.help,
        because_of=("RC0213",),
    )


def _of_kind(
    examination: Examination, code: str, kinds: tuple[str, ...], words: _Words
) -> Iterator[Finding]:
    kernel, report = examination.kernel, read_fault(examination.kernel)
    moment = report.moment
    if moment is None or not moment.is_now or report.kind not in kinds:
        return
    severity, confidence = _gravity(kernel, report, moment)
    evidence = [_trapped(report)]
    if report.walk is not None and report.walk.steps:
        step = report.walk.steps[-1]
        text = f"the walk ends at level {step.level}: {step.pte.bits:#x} at {step.pte_address:#x}"
        evidence.append(Fact(text, None, f"walk {moment.stval:#x}"))
    evidence += _near(report)
    evidence += [Fact(remark, None, _SHOW) for remark in report.remarks]
    if report.repeated is not None and report.repeated.times > 1:
        many = report.repeated
        text = f"{many.times:,} of its {many.frames:,} calls are of {many.name}"
        evidence.append(Fact(text, None, "show backtrace"))
    yield Finding(
        code,
        severity,
        confidence,
        report.headline,
        tuple(evidence),
        bucket_of(code, moment.cause, moment.sepc.symbol),
        moment.sepc,
        words.cause,
        words.help,
        words.may_be_wrong_when,
        because_of=("RC0209", "RC0210", "RC0213"),
    )


def _trapped(report: FaultReport) -> Fact:
    moment, found = report.moment, report.instruction
    assert moment is not None
    if found is None:
        return Fact(f"{moment.cause}, stval {moment.stval:#x}", moment.sepc, _SHOW)
    values = "".join(f", {ABI_NAMES[number]}={value:#x}" for number, value in found.values)
    return Fact(f"`{found.decoded.text}` trapped{values}", moment.sepc, _SHOW)


def _near(report: FaultReport) -> list[Fact]:
    address = None if report.moment is None else f"{report.moment.stval:#x}"
    return [Fact(f"{address} is {one.words}", None, _SHOW) for one in report.near[:_MOST_NEAR]]


def _gravity(
    kernel: Kernel, report: FaultReport, moment: FaultMoment
) -> tuple[Severity, Confidence]:
    """A fault of the kernel is one; one of a program only where the kernel is to blame."""
    if moment.privilege == "S":
        return Severity.ERROR, Confidence.CERTAIN
    if moment.privilege is None:
        return Severity.WARNING, Confidence.POSSIBLE
    if report.kind == "stale":
        return Severity.ERROR, Confidence.LIKELY
    if _is_promised(report, moment):
        return Severity.WARNING, Confidence.LIKELY
    if report.kind == "illegal" and is_inside_an_instruction(kernel, moment) is not None:
        return Severity.WARNING, Confidence.LIKELY
    return Severity.NOTE, Confidence.CERTAIN


def _is_promised(report: FaultReport, moment: FaultMoment) -> bool:
    """Whether the program's own ELF gives it what it asked for, and the page table has it mapped.

    What is not mapped yet may come with this very fault.
    """
    if report.kind not in ("privilege", "rights", "reserved"):
        return False
    for one in report.near:
        if one.side == "in" and one.kind == "section" and one.of_program:
            wanted = {"read": "", "write": "w", "fetch": "x"}[moment.access or "read"]
            return wanted in one.flags
    return False
