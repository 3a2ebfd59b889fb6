"""Programs in U-mode on the machine: stops in one process alone, and the way through the kernel."""

from pathlib import Path

import pytest

from rcdbg.model.programs.explained import place_now
from rcdbg.model.threads.call_stacks import read_hart_stack
from rcdbg.trace.conditions import place
from rcdbg.trace.run import Boot, Run

APPEND = "scenario=processes interval=100000 ticks=1000"
PROGRAM = 0x1_0000


@pytest.mark.parametrize("who", ["user_program", "3"])
def test_a_stop_in_one_process(rcdbg_kernel: Path, who: str) -> None:
    with Run(Boot(rcdbg_kernel, APPEND)) as run:
        kernel = run.until(place(f"{who}:{PROGRAM:#x}", run.image))
        assert kernel is not None
        # The registers are QEMU's; the scenario says what the program begins with.
        assert (kernel.registers.pc, kernel.registers.privilege) == (PROGRAM, 0)
        assert kernel.registers.x[10] == 0x4000_0000
        found = place_now(kernel)
        assert (found.program, found.symbol, found.offset) == (
            "user_program",
            "user_program_start",
            0,
        )
        start = run.image.symbols.address_of("user_program_start")
        assert start is not None
        assert kernel.memory.read(PROGRAM, 64) == run.image.read(start, 64)


def test_from_the_kernel_into_the_program_that_it_works_for(rcdbg_kernel: Path) -> None:
    with Run(Boot(rcdbg_kernel, APPEND)) as run:
        run.until(place(f"user_program:{PROGRAM:#x}", run.image))
        kernel = run.until(place("handle_interrupt", run.image))
        assert kernel is not None
        sepc = kernel.csr("sepc")
        stack = read_hart_stack(kernel)
        last = stack.backtrace.frames[-1].pc
        assert (last.address, last.program) == (sepc, "user_program")
        assert stack.backtrace.problems == ()
        context = stack.trap.context
        assert context is not None
        assert (context.sepc.address, context.sepc.program) == (sepc, "user_program")
