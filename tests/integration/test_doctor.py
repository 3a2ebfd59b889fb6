"""The doctor on the real kernel: silent while it is healthy, right when a fault is put in.

Faults are put into the memory and the registers of a kernel that stands: what is wrong is known by
construction. Kernels that really have one are in tests/mutants.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rcdbg.doctor.examine import Diagnosis, examine
from rcdbg.doctor.finding import Severity
from rcdbg.image.elf import load_image
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.threads.processor import read_processor
from rcdbg.riscv.pages import PAGE_SHIFT
from rcdbg.riscv.paging import walk
from rcdbg.riscv.registers import unsigned
from rcdbg.trace.conditions import place
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.story.faults import Memory, RegisterFile

SECONDS = 60.0
_WORD = 8


@pytest.fixture
def run(rcdbg_kernel: Path) -> Iterator[Run]:
    """At a timer interrupt of a thread, with others that wait."""
    image = load_image(rcdbg_kernel)
    with Run(Boot(rcdbg_kernel, "scenario=preempt ticks=50", "128M"), image) as run:
        run.until(place("handle_interrupt:6", image), SECONDS)
        yield run


def said(found: Diagnosis) -> dict[str, str]:
    """The codes of all that is more than a note, with what was said."""
    return {f.code: f.title for f in found.findings if f.severity is not Severity.NOTE}


def test_silence_at_every_step_through_the_handler(run: Run) -> None:
    """In the middle of each operation: locks just taken, a queue half linked."""
    for number in range(400):
        if number % 4 == 0:
            found = examine(run.kernel())
            assert not said(found), run.kernel().place(unsigned(run.kernel().registers.pc))
            failed = [left.why for left in found.not_checked if "failed" in left.why]
            assert not failed
        run.stub.step()


def _write(run: Run, address: int, value: int) -> None:
    Memory(run.stub, run.kernel).write(address, value.to_bytes(_WORD, "little"))


def _waiting(kernel: Kernel) -> int:
    """The address of the parked Context of the thread that runs next."""
    context = read_processor(kernel).ready[0].context
    assert context is not None
    return context.address


def _sepc_of_data(run: Run) -> str:
    kernel = run.kernel()
    context = read_processor(kernel).ready[0].context
    assert context is not None
    size = 34 * _WORD
    words = kernel.memory.read(context.address, size)
    at = words.rfind(context.sepc.address.to_bytes(_WORD, "little"))
    _write(run, context.address + at, kernel.symbol("ekernel") or 0)
    return "RC0402"


def _sp_below(run: Run) -> str:
    kernel = run.kernel()
    thread = read_processor(kernel).ready[0]
    assert thread.stack is not None
    _write(run, _waiting(kernel) + 2 * _WORD, thread.stack.start - 48)
    return "RC0501"


def _page_of_the_stack(kernel: Kernel) -> tuple[int, int]:
    """The physical address of the PTE of a waiting thread's stack, and its frame."""
    thread = read_processor(kernel).ready[0]
    assert thread.stack is not None
    found = walk(kernel.target.read_phys, kernel.memory.satp, thread.stack.start)
    step = found.steps[-1]
    assert found.physical is not None
    return step.pte_address, found.physical >> PAGE_SHIFT


def _leaf_of_a_free_frame(run: Run) -> str:
    kernel = run.kernel()
    address, frame = _page_of_the_stack(kernel)
    bits = int.from_bytes(kernel.target.read_phys(address, _WORD), "little")
    free = read_frames(kernel).free[0].start
    with run.stub.memory.physical():
        changed = bits - (frame << 10) + (free << 10)
        run.stub.memory.write(address, changed.to_bytes(_WORD, "little"))
    return "RC0602"


def _write_without_read(run: Run) -> str:
    kernel = run.kernel()
    address, _ = _page_of_the_stack(kernel)
    bits = int.from_bytes(kernel.target.read_phys(address, _WORD), "little")
    with run.stub.memory.physical():
        run.stub.memory.write(address, (bits & ~2).to_bytes(_WORD, "little"))
    return "RC0303"


def _code(run: Run) -> str:
    address = run.kernel().symbol("handle_interrupt") or 0
    Memory(run.stub, run.kernel).write(address + 16, bytes(8))
    return "RC0902"


def _crooked_sp(run: Run) -> str:
    registers = RegisterFile(run.stub)
    registers["sp"] = registers["sp"] - 8
    return "RC0504"


def _stack_unmapped(run: Run) -> str:
    registers = RegisterFile(run.stub)
    registers["sp"] = 0x3000_0000
    return "RC0503"


FAULTS = (
    _sepc_of_data, _sp_below, _leaf_of_a_free_frame, _write_without_read, _code, _crooked_sp,
    _stack_unmapped,
)  # fmt: skip


@pytest.mark.parametrize("break_it", FAULTS, ids=lambda fault: fault.__name__[1:])
def test_a_fault_that_was_put_in_is_named(run: Run, break_it: Callable[[Run], str]) -> None:
    assert not said(examine(run.kernel()))
    code = break_it(run)
    found = said(examine(run.kernel()))
    assert code in found, found


def _doctor(kernel: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "rcdbg.cli.main", "doctor", "--kernel", str(kernel), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_panic_is_grave_and_its_line_is_shown(rcdbg_kernel: Path) -> None:
    """What is right is the scenario's source."""
    done = _doctor(rcdbg_kernel, "--scenario", "panic")
    assert done.returncode == 3
    assert "error[RC0101]: the kernel panics at os/src/scenarios/panic.rs:7" in done.stdout
    assert "as the scenario wants" in done.stdout
    source = Path(__file__).parents[2] / "kernel" / "os" / "src" / "scenarios" / "panic.rs"
    assert f"> 7 | {source.read_text().splitlines()[6]}" in done.stdout


def test_a_healthy_kernel_is_told_so_in_json(rcdbg_kernel: Path) -> None:
    done = _doctor(rcdbg_kernel, "--scenario", "processes", "--json")
    document = json.loads(done.stdout)["diagnosis"]
    assert done.returncode == 0
    assert document["findings"] == []
    assert len(document["checked"]) > 10
