"""What is said of a hart whose trap entry traps by itself: a kept snapshot with such CSRs."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.trap import read_hart, read_trap, trap_depth
from rcdbg.model.threads.unwind import backtrace_now
from rcdbg.views.hart import csr
from rcdbg.views.render import render_text

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "three-threads-preempted.snap"
S_MODE = 1 << 8


@cache
def snapshot() -> Kernel:
    return kernel_in(SNAPSHOT, NOTHING)


def entry() -> int:
    found = snapshot().symbol("__interrupt")
    assert found is not None
    return found


def at_the_entry(sepc: int, sstatus: int = S_MODE, scause: int = 12) -> Kernel:
    kernel = snapshot()
    csrs = {**kernel.registers.csrs, "sepc": sepc, "scause": scause, "sstatus": sstatus}
    csrs |= {"stval": sepc, "stvec": entry(), "sscratch": entry() + 4}
    registers = replace(kernel.registers, pc=entry(), csrs=csrs)
    return Kernel(kernel.image, kernel.target, registers, kernel.memory)


def test_a_loop_is_called_one_and_drawn_once() -> None:
    kernel = at_the_entry(entry())
    trap = read_trap(kernel)
    assert trap.note.startswith("an endless trap loop")
    assert trap.cause == "instruction page fault"
    stack = backtrace_now(kernel)
    assert len(stack.frames) == 1
    assert "for ever" in stack.note
    assert trap_depth(kernel) == 1


def test_a_first_trap_is_none() -> None:
    """From elsewhere, from U-mode, and an interrupt that came before the first instruction."""
    start = snapshot().symbol("rust_main")
    assert start is not None
    loops = [
        read_trap(kernel).note.startswith("an endless")
        for kernel in (
            at_the_entry(start),
            at_the_entry(entry(), sstatus=0),
            at_the_entry(entry(), scause=1 << 63 | 5),
        )
    ]
    assert loops == [False, False, False]


def test_csrs_that_hold_an_address_have_its_symbol() -> None:
    text = render_text(csr.view(read_hart(at_the_entry(entry() + 8))), 160)
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "__interrupt" in rows["stvec"]
    assert "__interrupt+0x4" in rows["sscratch"]
    assert "__interrupt+0x8" in rows["sepc"]


def test_what_a_program_left_in_sepc_is_no_symbol_of_the_kernels() -> None:
    text = render_text(csr.view(read_hart(at_the_entry(entry() + 8, sstatus=0))), 160)
    (row,) = (line for line in text.splitlines() if line.startswith("sepc"))
    assert "__interrupt" not in row
