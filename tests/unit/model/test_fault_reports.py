"""A trap explained, on a kept snapshot of a fault whose CSRs are set to those of others.

What is right follows from the specification's table of causes and from the snapshot's own page
table, which other tests hold against QEMU.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdbg.kernels.reading import NOTHING
from rcdbg.model.faults.explain import FaultReport, overflown, read_fault
from rcdbg.model.faults.instruction import TrappedInstruction, why_illegal
from rcdbg.model.faults.moment import FaultMoment
from rcdbg.model.faults.neighbours import Neighbour
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel
from rcdbg.model.serial.faults import fault
from rcdbg.model.state import Place
from rcdbg.riscv.access import Privilege
from rcdbg.riscv.instructions.decode import decode
from rcdbg.riscv.paging import Satp
from rcdbg.views.hart.fault import view
from rcdbg.views.render import render_text

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "load-page-fault-in-a-thread.snap"
NOWHERE = 0x6000_0000
SUM = 1 << 18


@cache
def snapshot() -> Kernel:
    return kernel_in(SNAPSHOT, NOTHING)


def with_csrs(**values: int) -> Kernel:
    """The kernel of the snapshot at a moment with other CSRs; no trap's Context is looked at."""
    kernel = snapshot()
    vector = kernel.csr("stvec") or 0
    csrs = {**kernel.registers.csrs, **values}
    registers = replace(kernel.registers, pc=vector, csrs=csrs)
    return Kernel(kernel.image, kernel.target, registers, kernel.memory)


def fault_at(cause: int, stval: int, *, user: bool = False, sum_: bool = False) -> FaultReport:
    sstatus = (0 if user else 1 << 8) | (SUM if sum_ else 0)
    return read_fault(with_csrs(scause=cause, stval=stval, sepc=0x1234_5678, sstatus=sstatus))


def test_the_fault_of_the_snapshot() -> None:
    """The scenario loads from an address that nothing is mapped at, by a0."""
    report = read_fault(snapshot())
    assert report.kind == "unmapped"
    assert report.matches is True
    assert report.instruction is not None
    assert report.instruction.decoded.text == "ld zero, 0(a0)"
    assert report.moment is not None
    assert (report.moment.stval, report.moment.privilege) == (NOWHERE, "S")
    assert report.moment.is_now
    assert (report.moment.sepc.symbol or "").endswith("fault::load")
    assert report.headline.startswith(
        "load page fault at 0x60000000 from S-mode: nothing is mapped"
    )
    assert report.walk is not None
    assert report.walk.steps[-1].level == 2


def section(name: str) -> int:
    found = snapshot().image.section(name)
    assert found is not None
    return found.address + 8


@pytest.mark.parametrize(
    ("cause", "stval", "user", "kind", "words"),
    [
        (15, 0, False, "null", "a null pointer"),
        (13, 0x18, False, "null", "0x18 from null"),
        (12, 0, True, "null", "a jump to nowhere"),
        (13, 1 << 62, False, "canonical", "upper bits"),
        (15, ".text", False, "rights", "W is clear"),
        (15, ".rodata", False, "rights", "in .rodata of the kernel"),
        (12, ".data", False, "rights", "X is clear"),
        (13, ".data", True, "privilege", "not for U-mode"),
        (13, ".data", False, "stale", "allows it"),
        (13, 0x1000_0000, False, "device", "serial"),
        (13, 0xFFFF_FFFF_0C00_0004, False, "device", "plic"),
        (5, 0x18, False, "no-memory", "refused"),
        (4, 0x1001, False, "alignment", "no multiple"),
        (9, 0, False, "call", "no fault"),
        (3, 0, False, "breakpoint", "a stop"),
        (1 << 63 | 5, 0, False, "interrupt", "no fault"),
        (24, 0, False, "", "reserved or custom"),
    ],
)  # fmt: skip
def test_what_it_comes_down_to(
    cause: int, stval: int | str, user: bool, kind: str, words: str
) -> None:
    address = section(stval) if isinstance(stval, str) else stval
    report = fault_at(cause, address, user=user)
    assert (report.kind, words in report.headline) == (kind, True), report.headline
    assert render_text(view(report)).strip()
    assert fault(report)["kind"] == kind


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20), st.integers(0, (1 << 64) - 1), st.booleans())
def test_whatever_the_csrs_hold(cause: int, stval: int, user: bool) -> None:
    report = fault_at(cause, stval, user=user)
    assert report.headline
    assert render_text(view(report))
    assert fault(report)["headline"] == report.headline


def test_before_the_first_trap_there_is_nothing_to_explain() -> None:
    report = read_fault(with_csrs(scause=0, stval=0, sepc=0))
    assert report.moment is None
    assert report.headline == "no trap has been taken yet"


def moment(code: int, stval: int, sp: int, privilege: Privilege = "U") -> FaultMoment:
    x = (0, 0, sp, *(0 for _ in range(29)))
    place = Place(0x1000, "main")
    return FaultMoment(code, stval, place, privilege, x, 0, Satp(0), is_now=True)


def above(
    stval: int, start: int, kind: Literal["stack", "segment"] = "stack", *, writable: bool = True
) -> Neighbour:
    """A stack, or other memory, that begins at `start`, above stval."""
    return Neighbour("it", kind, start, start + 0x2000, "below", start - stval, writable=writable)


@pytest.mark.parametrize(
    ("stval", "sp", "near", "is_one"),
    [
        (0xFFF8, 0xFFC0, above(0xFFF8, 0x1_0000), True),
        (0xFFF8, 0x1_0010, above(0xFFF8, 0x1_0000), True),  # sp still in its last page
        (0xFFF8, 0x1_1800, above(0xFFF8, 0x1_0000), False),  # a stray pointer
        (0xFFF8, 0xFFC0, above(0xFFF8, 0x1_0000, "segment"), True),
        (0xFFF8, 0xFFC0, above(0xFFF8, 0x1_0000, "segment", writable=False), False),  # code
        (0xFFF8, 0x1_0010, above(0xFFF8, 0x1_0000, "segment"), False),
    ],
)
def test_an_overflow_is_one_only_where_sp_has_gone_there(
    stval: int, sp: int, near: Neighbour, is_one: bool
) -> None:
    report = FaultReport(moment(15, stval, sp), "", "", near=(near,))
    assert (overflown(report) == near) is is_one


@pytest.mark.parametrize(
    ("encoding", "privilege", "words"),
    [
        (0x1020_0073, "U", "sret is for S-mode"),
        (0x1050_1073, "U", "stvec is for S-mode"),  # csrw stvec, zero
        (0x3000_2573, "S", "mstatus is for M-mode"),  # csrr a0, mstatus
        (0xC000_1073, "S", ""),  # unimp
        (0x3020_0073, "S", "mret is for M-mode"),
        (0x2988, "U", "sstatus.FS is off"),  # c.fld
        (0, "S", "never to be reached"),
        (0xFFFF_FFFF, "S", "no instruction"),
    ],
)
def test_why_an_instruction_is_illegal(encoding: int, privilege: Privilege, words: str) -> None:
    """By the privileged specification, sections 2.1, 3.1.6.6 and 3.3.2."""
    why = why_illegal(moment(2, 0, 0, privilege), TrappedInstruction(decode(encoding), None))
    assert words in why
    assert why
