"""Traps: what is saved, what is handled, and where it goes on."""

import pytest

from rcdbg.testing import BootKernel, Story, exited, reached, switch, trap_enter, trap_leave
from tests.traces.words import FAST, SOON, context_size, is_mapped, running, trap_stack

pytestmark = pytest.mark.every_kernel

STATUS_BITS = {"SPP": 8, "SPIE": 5, "SUM": 18}
"""What of sstatus decides how the interrupted code goes on (privileged spec, 4.1.1)."""


def test_there_is_no_trap_inside_a_trap(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", f"threads=2 {FAST}")
    for _ in range(5):
        trap = run.until(trap_enter(), ticks=SOON)
        assert trap.fields["depth"] == 1, (
            f"a trap inside a trap: {trap.fields['cause']} at {trap.fields['sepc']:#x}"
        )


def test_the_context_lies_at_the_top_of_the_kernel_stack(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("breakpoint")
    run.until(trap_enter(cause="breakpoint"), ticks=SOON)
    run.until(reached("handle_interrupt"), ticks=SOON)
    below = trap_stack(run).end - run.registers["a0"]
    size = context_size(run)
    assert below == size, (
        f"the Context is {below} bytes below the top of the kernel stack, but it has {size} bytes"
    )


def test_a_trap_ends_with_sscratch_ready_for_the_next_one(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", f"threads=2 {FAST}")
    for _ in range(4):
        run.until(trap_leave(), ticks=SOON)
        sscratch, top = run.registers["sscratch"], trap_stack(run).end
        assert sscratch == top, (
            f"sscratch is {sscratch:#x} at the end of a trap, not the top of the kernel stack,"
            f" {top:#x}: the next trap would be saved there"
        )


@pytest.mark.parametrize("scenario", ["preempt", "breakpoint"])
def test_a_trap_ends_with_the_sstatus_of_its_context(rcdbg_boot: BootKernel, scenario: str) -> None:
    run = rcdbg_boot(scenario, FAST)
    for _ in range(4):
        run.until(reached("__restore"), ticks=SOON)
        context = run.state().trap.context
        assert context is not None
        assert context.sstatus is not None
        run.until(trap_leave(), ticks=SOON)
        for name, bit in STATUS_BITS.items():
            is_now, saved = (
                v >> bit & 1 for v in (run.registers["sstatus"], context.sstatus.value)
            )
            assert is_now == saved, (
                f"sstatus.{name} is {is_now} at the end of a trap, and {saved} in the Context"
            )


def instruction_length(run: Story, address: int) -> int:
    """By the two low bits of the instruction (RISC-V unprivileged spec, 1.5)."""
    low = int.from_bytes(run.memory.read(address, 2), "little")
    return 4 if low & 3 == 3 else 2


def test_a_breakpoint_goes_on_behind_the_ebreak(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("breakpoint")
    lengths = set()
    for _ in range(6):
        trap = run.until(trap_enter(cause="breakpoint"), ticks=SOON)
        before = run.kernel().registers.x
        sepc = trap.fields["sepc"]
        length = instruction_length(run, sepc)
        lengths.add(length)
        run.until(reached("__restore"), ticks=SOON)
        context = run.state().trap.context
        assert context is not None
        by = context.sepc.address - sepc
        assert by == length, f"sepc went on by {by} over an ebreak of {length} bytes"
        changed = [f"x{n}" for n in range(1, 32) if context.x[n] != before[n]]
        assert not changed, f"a breakpoint has changed {', '.join(changed)}"
        assert f"Breakpoint at {sepc:#x}" in run.console
    assert lengths == {2, 4}, "both kinds were met"


def test_a_fault_ends_its_thread_and_no_other(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("fault", FAST)
    fault = run.until(trap_enter(cause="load page fault"), ticks=SOON)
    assert not is_mapped(run.state(), fault.fields["stval"]), "a fault for a reason"
    run.until(trap_leave(), ticks=SOON)
    on = running(run.state()).id
    assert on != fault.thread, f"thread {on} went on after its load page fault"
    assert fault.thread not in {t.id for t in run.state().processor.threads}
    assert f"thread {fault.thread} killed" in run.console
    run.never(switch(to=fault.thread), until=exited(status=0), ticks=SOON)
    assert "the other thread goes on" in run.console
