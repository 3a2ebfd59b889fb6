"""The way into traps and out of them: stvec, the entry, the Context, sepc, the stack."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.model.faults.instruction import code_bytes, is_inside_an_instruction
from rcdbg.model.faults.moment import FaultMoment, fault_moment, vector_of
from rcdbg.model.faults.place import in_the_entry
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.trap import kernel_stack, read_trap
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.registers import unsigned

_SP = 2
_USER = 0
_VECTORED = 1
_CSRS, _CONTEXT, _STACK = "show csr", "show context", "show backtrace"
_EXPECTED = (3, 8)
"""Breakpoints and system calls, behind which the code goes on."""


def loop(examination: Examination) -> Iterator[Finding]:
    """A trap's entry that traps by itself: nothing else is ever executed again."""
    kernel, moment = examination.kernel, fault_moment(examination.kernel)
    pc, vector = unsigned(kernel.registers.pc), vector_of(kernel)
    if moment is None or vector is None or moment.code is None or moment.privilege == "U":
        return
    sepc = moment.sepc.address
    starts_again = pc == vector and (sepc == vector or in_the_entry(kernel, sepc))
    if not starts_again:
        return
    evidence = (
        Fact(f"pc and stvec are {vector:#x}", kernel.place(vector), _CSRS),
        Fact(f"sepc is {sepc:#x}, in that entry: it was what trapped", moment.sepc, _CSRS),
        Fact(f"{moment.cause} at {moment.stval:#x}", None, "show fault"),
    )
    yield Finding(
        "RC0210",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"an endless trap loop: the entry at {vector:#x} traps by itself, with {moment.cause}",
        evidence,
        bucket_of("RC0210", moment.cause),
        moment.sepc,
        "A trap inside the trap's entry begins the entry anew. What first led there is overwritten "
        "in scause, sepc and stval: only the trap log still has it.",
        "Run `rcdbg trace traps` and look at the first trap that is not in order.",
        because_of=("RC0209", "RC0213"),
    )


def nested(examination: Examination) -> Iterator[Finding]:
    """A trap that came while another was being handled, on the one stack that there is."""
    kernel, moment = examination.kernel, fault_moment(examination.kernel)
    names = kernel.description.kernel_stack
    if moment is None or not moment.is_now or moment.x is None or moment.privilege != "S":
        return
    if not (names.type or names.at):
        return
    try:
        stack = kernel_stack(kernel)
    except DecodeError:
        return
    sp = moment.x[_SP]
    if not stack.start <= sp < stack.end:
        return
    evidence = (
        Fact(f"this trap came from {moment.sepc.address:#x}", moment.sepc, _CONTEXT),
        Fact(f"the code that trapped had sp {sp:#x}, on the stack for traps", None, _CONTEXT),
        Fact(f"that stack is {stack.start:#x}..{stack.end:#x}; each entry saves at its top",
             None, _STACK),
    )  # fmt: skip
    yield Finding(
        "RC0211",
        Severity.ERROR,
        Confidence.CERTAIN,
        f"a trap ({moment.cause}) inside a trap's handler, on the same stack: the Context of the "
        "first one is overwritten",
        evidence,
        bucket_of("RC0211", moment.cause),
        moment.sepc,
        "The handler faulted, or interrupts were on in it. The entry saves the new Context over "
        "the old one, since sscratch still names the same top of the stack.",
        "Mend the fault in the handler first; keep sstatus.SIE off until the trap's exit.",
        because_of=("RC0201", "RC0202", "RC0203", "RC0205", "RC0209"),
    )


def sepc(examination: Examination) -> Iterator[Finding]:
    """A Context that goes on in the middle of an instruction."""
    kernel, moment = examination.kernel, fault_moment(examination.kernel)
    if moment is None or not moment.is_now or moment.code is None:
        return
    inside = is_inside_an_instruction(kernel, moment)
    if inside is not None:
        yield _wrong_sepc(
            f"the hart was sent into the middle of an instruction: sepc is "
            f"{moment.sepc.address:#x}, and that instruction begins at {inside:#x}",
            Fact(f"the ELF has an instruction at {inside:#x}", moment.sepc, _CSRS),
            moment,
        )
        return
    context, code = read_trap(kernel).context, code_bytes(kernel, moment)
    if context is None or code is None or moment.code not in _EXPECTED:
        return
    moved = context.sepc.address - moment.sepc.address
    if moved in (2, 4) and moved != len(code):
        yield _wrong_sepc(
            f"sepc was moved on by {moved} bytes behind an instruction of {len(code)}",
            Fact(f"the Context goes on at {context.sepc.address:#x}", context.sepc, _CONTEXT),
            moment,
        )


def _wrong_sepc(title: str, fact: Fact, moment: FaultMoment) -> Finding:
    return Finding(
        "RC0212",
        Severity.ERROR,
        Confidence.CERTAIN,
        title,
        (fact, Fact(f"{moment.cause} at {moment.sepc.address:#x}", moment.sepc, "show fault")),
        bucket_of("RC0212", moment.cause),
        moment.sepc,
        "Behind a breakpoint or an ecall the handler adds the instruction's length to sepc. An "
        "ecall always has 4 bytes; an ebreak has 2 where the compiler may use the C extension.",
        "Read the halfword at sepc: if its lowest two bits are both set it has 4 bytes, else 2.",
    )


def stvec(examination: Examination) -> Iterator[Finding]:
    """A trap vector that leads to no entry of the kernel."""
    kernel = examination.kernel
    value, vector = kernel.csr("stvec"), vector_of(kernel)
    if value is None or vector is None or not _is_set_up(kernel):
        return
    names = kernel.description
    if names.portal.type or names.context.outer_sp:
        raise UndecidedError("this kernel sets it anew for each visit to user code")
    place = kernel.place(vector)
    shown = Fact(f"stvec is {value:#x}", place, _CSRS)
    linked = kernel.linked(vector)
    is_code = any(
        "x" in s.flags and s.address <= linked < s.address + s.size for s in kernel.image.sections
    )
    entry = kernel.first_symbol(kernel.description.trap.entry)
    title = ""
    if not is_code:
        title = f"stvec is {value:#x}, where no code of the kernel is: the next trap is lost"
    elif value & 3 == _VECTORED and entry is not None and linked == entry:
        title = f"stvec is {value:#x}, vectored: interrupt N goes to the entry plus 4 times N"
    elif linked != entry and place.symbol is not None and place.offset:
        title = f"stvec leads into the middle of {place.symbol}, not to a function's beginning"
    if not title:
        return
    yield Finding(
        "RC0213",
        Severity.ERROR,
        Confidence.CERTAIN if not is_code else Confidence.LIKELY,
        title,
        (shown,),
        bucket_of("RC0213", title.split(":")[0].split(",")[-1]),
        place if place.symbol else None,
        "The low two bits of stvec are its mode; the rest is the entry's address, which has to be "
        "a multiple of 4, and mapped in every page table.",
        "Set stvec to the entry's address with `.align 2` before its label, once paging is as it "
        "will stay.",
        "the kernel is just starting, and takes no traps yet",
    )


def _is_set_up(kernel: Kernel) -> bool:
    """Whether the kernel expects traps: user code runs, or a trap was taken, or interrupts are on.

    Before, stvec may still be what the firmware left there.
    """
    if kernel.registers.privilege == _USER:
        return True
    sstatus, moment = kernel.csr("sstatus") or 0, fault_moment(kernel)
    pc, vector = unsigned(kernel.registers.pc), vector_of(kernel)
    if moment is not None and pc == vector and kernel.csr("sepc") == vector:
        return True
    return bool(sstatus & 2) and kernel.memory.satp.translates
