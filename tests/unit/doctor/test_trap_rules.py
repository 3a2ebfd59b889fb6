"""Rules for traps: a kept snapshot with the CSRs of a faulty kernel, and near it a sound one."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.examine import examine
from rcdbg.doctor.finding import Confidence, Finding, Severity
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.trap import read_trap
from rcdbg.riscv.code import instructions, size_of

ROOT = Path(__file__).resolve().parents[3]
ENTRY = "__interrupt"
S_MODE, U_MODE, SIE = 1 << 8, 0, 1 << 1


@cache
def snapshot(name: str = "three-threads-preempted") -> Kernel:
    return kernel_in(ROOT / "tests" / "snapshots" / f"{name}.snap", NOTHING)


def symbol(name: str) -> int:
    found = snapshot().symbol(name)
    assert found is not None
    return found


def at(pc: int | None = None, privilege: int = 1, **csrs: int) -> Kernel:
    kernel = snapshot()
    values = {**kernel.registers.csrs, **csrs}
    where = symbol(ENTRY) if pc is None else pc
    # The snapshot is of a handler: here the hart is on the stack of the thread that it interrupted.
    context = read_trap(kernel).context
    assert context is not None
    registers = replace(kernel.registers, pc=where, x=context.x, csrs=values, privilege=privilege)
    return Kernel(kernel.image, kernel.target, registers, kernel.memory)


def found(kernel: Kernel) -> dict[str, Finding]:
    return {finding.code: finding for finding in examine(kernel).findings}


def faulting(cause: int, stval: int, sepc: int, *, user: bool = False) -> Kernel:
    return at(scause=cause, stval=stval, sepc=sepc, sstatus=U_MODE if user else S_MODE)


def text() -> int:
    section = snapshot().image.section(".text")
    assert section is not None
    return section.address


@pytest.mark.parametrize(
    ("code", "cause", "stval"),
    [
        ("RC0201", 13, 0x6000_0000),
        ("RC0203", 15, 0xFFFF_FFFF_8020_0000),
        ("RC0204", 13, 0xFFFF_FFFF_8020_0000),
        ("RC0205", 15, 8),
        ("RC0206", 2, 0),
        ("RC0207", 5, 0x6000_0000),
    ],
)
def test_a_fault_of_the_kernel_is_certain(code: str, cause: int, stval: int) -> None:
    findings = found(faulting(cause, stval, symbol("rust_main")))
    assert list(findings) == [code]
    finding = findings[code]
    assert finding.is_grave
    assert finding.evidence[0].command == "show fault"
    assert finding.place is not None
    assert finding.place.symbol == "rust_main"
    assert finding.bucket.startswith(code)


@pytest.mark.parametrize(("cause", "stval"), [(13, 0x6000_0000), (15, 8), (2, 0)])
def test_a_fault_of_a_program_is_its_own(cause: int, stval: int) -> None:
    (finding,) = found(faulting(cause, stval, 0x1_0000, user=True)).values()
    assert finding.severity is Severity.NOTE


@pytest.mark.parametrize("cause", [8, 9, 3, 1 << 63 | 5, 1 << 63 | 9])
def test_what_a_kernel_is_there_for_is_no_fault(cause: int) -> None:
    assert not found(faulting(cause, 0, symbol("rust_main")))


def test_a_translation_is_not_called_stale_once_the_handler_may_have_mended_it() -> None:
    inside = symbol("rust_main") + 4
    kernel = at(pc=inside, scause=13, stval=text(), sepc=inside, sstatus=S_MODE)
    assert "RC0204" not in found(kernel)


def test_an_entry_that_faults() -> None:
    """A store below address 0: sscratch was 0."""
    stored = symbol(ENTRY) + 8
    kernel = at(
        pc=stored, scause=15, stval=(1 << 64) - 272, sepc=stored, sstatus=S_MODE, sscratch=0
    )
    findings = found(kernel)
    assert findings["RC0209"].is_grave
    assert "sscratch is 0x0" in [fact.text for fact in findings["RC0209"].evidence]
    again = found(replace_pc(kernel, symbol(ENTRY)))
    assert {"RC0209", "RC0210"} <= again.keys()


def replace_pc(kernel: Kernel, pc: int) -> Kernel:
    registers = replace(kernel.registers, pc=pc)
    return Kernel(kernel.image, kernel.target, registers, kernel.memory)


def test_a_vector_that_is_no_code_comes_before_what_follows_from_it() -> None:
    """pc, sepc and stvec are the same: each trap is the next one's cause."""
    data = snapshot().image.section(".data")
    assert data is not None
    where = data.address
    kernel = at(pc=where, stvec=where, scause=12, stval=where, sepc=where, sstatus=S_MODE)
    codes = list(found(kernel))
    assert codes[0] == "RC0213"
    assert {"RC0203", "RC0210"} <= set(codes)


@pytest.mark.parametrize(
    ("offset", "confidence"), [(1, Confidence.LIKELY), (8, Confidence.LIKELY), (0, None)]
)
def test_stvec_has_to_be_the_entry(offset: int, confidence: Confidence | None) -> None:
    """Vectored, in the middle of the entry, and right."""
    kernel = at(
        pc=symbol("rust_main"), privilege=0, stvec=symbol(ENTRY) + offset, scause=8, sstatus=U_MODE
    )
    finding = found(kernel).get("RC0213")
    assert (None if finding is None else finding.confidence) == confidence


def test_before_traps_are_expected_stvec_may_be_anything() -> None:
    """OpenSBI leaves the kernel's own first instruction there."""
    kernel = at(pc=symbol("rust_main"), stvec=0, scause=0, stval=0, sepc=0, sstatus=0)
    assert "RC0213" not in found(kernel)


def test_the_middle_of_an_instruction() -> None:
    """The first instruction of 4 bytes in a function, by the ELF's own code."""
    image, start = snapshot().image, symbol("handle_interrupt")
    code = image.read(start, 64)
    assert code is not None
    long = next(place for place, word in instructions(code, start) if size_of(word) == 4)
    findings = found(faulting(2, 0, long + 2))
    assert findings["RC0212"].is_grave
    assert f"begins at {long:#x}" in findings["RC0212"].title
    assert "RC0212" not in found(faulting(2, 0, long))


def test_a_trap_from_the_handlers_own_stack() -> None:
    """The snapshot's registers are those of the handler."""
    kernel = faulting(1 << 63 | 5, 0, symbol("handle_interrupt"))
    assert "RC0211" not in found(kernel)
    registers = replace(kernel.registers, x=snapshot().registers.x)
    nested = Kernel(kernel.image, kernel.target, registers, kernel.memory)
    assert found(nested)["RC0211"].is_grave


def test_nothing_is_known_of_a_machine_without_these_csrs() -> None:
    kernel = snapshot()
    registers = replace(kernel.registers, csrs={"satp": kernel.csr("satp") or 0})
    bare = Kernel(kernel.image, kernel.target, registers, kernel.memory)
    assert not [code for code in found(bare) if code.startswith("RC02")]
    assert Examination(bare).events is None
