"""What a kernel does instead of going on: looks that are made up, on a kept snapshot."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Finding, Severity
from rcdbg.doctor.looks import Look, Looks
from rcdbg.doctor.rules.hang import verdict
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "three-threads-preempted.snap"
TIMER = "supervisor timer interrupt"


@cache
def kernel() -> Kernel:
    return kernel_in(SNAPSHOT, NOTHING)


def look(function: str, handling: str = "", privilege: int = 1, **csrs: int) -> Look:
    start = kernel().symbol(function)
    assert start is not None
    values = {**kernel().registers.csrs, **csrs}
    registers = replace(kernel().registers, pc=start, csrs=values, privilege=privilege)
    return Look(kernel().place(start), registers, handling)


def found(*looks: Look) -> Finding:
    (finding,) = verdict(Examination(kernel(), looks=Looks(looks)))
    return finding


def test_a_storm_is_an_interrupt_handled_at_every_look() -> None:
    cause = 1 << 63 | 5
    handling = [look(name, TIMER, scause=cause) for name in ("handle_interrupt", "rust_main")] * 6
    assert found(*handling).code == "RC0813"
    working = [look("rust_main", scause=cause, sepc=4 * i) for i in range(6)]
    assert found(*handling[:6], *working).code == "RC0816"


def test_what_computes_is_a_note_and_says_why_no_tick_comes() -> None:
    steps = [look("rust_main", sepc=4 * i) for i in range(8)]
    finding = found(*steps)
    assert (finding.code, finding.severity) == ("RC0816", Severity.NOTE)
    assert "100 % of 8 looks in rust_main" in finding.title
    off = found(*(look("rust_main", sie=0, sepc=4 * i) for i in range(8)))
    assert "STIE is off" in off.title


def test_firmware_that_does_not_come_back() -> None:
    assert found(*(look("rust_main", privilege=3) for _ in range(4))).code == "RC0814"


def test_without_looks_nothing_is_said() -> None:
    assert not list(verdict(Examination(kernel())))
