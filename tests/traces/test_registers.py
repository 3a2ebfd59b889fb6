"""Registers: a thread that is interrupted goes on with all 31 of them, whoever ran in between."""

import re

import pytest

from rcdbg.testing import BootKernel, Story, exited, trap_enter, trap_leave
from tests.traces.words import FAST, SOON, At, running, stack_of, symbol

pytestmark = pytest.mark.every_kernel


@pytest.mark.parametrize("scenario", ["registers", "preempt", "processes"])
def test_a_thread_goes_on_with_the_registers_it_had(rcdbg_boot: BootKernel, scenario: str) -> None:
    run = rcdbg_boot(scenario, f"threads=3 ticks=30 {FAST}")
    parked: dict[int | None, tuple[int, tuple[int, ...]]] = {}
    compared = 0
    while compared < 6:
        trap = run.until(trap_enter(cause="timer"), ticks=SOON)
        parked[running(run.state()).id] = trap.fields["sepc"], run.kernel().registers.x
        leave = run.until(trap_leave(), ticks=SOON)
        thread = running(run.state()).id
        if thread not in parked:
            continue
        sepc, before = parked.pop(thread)
        went_on = leave.fields["sepc"]
        assert went_on == sepc, f"thread {thread} went on at {went_on:#x}, not at {sepc:#x}"
        run.until(At(sepc), ticks=SOON)
        if running(run.state()).id != thread:
            # The next tick came before its first instruction; another has got to the same place.
            parked[thread] = sepc, before
            continue
        after = run.kernel().registers.x
        for n in range(1, 32):
            assert after[n] == before[n], (
                f"x{n} of thread {thread} was {before[n]:#x} when it was interrupted"
                f" and {after[n]:#x} when it went on"
            )
        compared += 1


def holds_its_pattern(run: Story, sepc: int) -> bool:
    """Whether all its registers are at work there: from registers_loop up to registers_check."""
    return symbol(run, "registers_loop") <= sepc < symbol(run, "registers_check")


def pattern(thread: int, number: int) -> int:
    """What register x<number> of the thread holds, by the formula in kernel/README.md."""
    return thread << 48 | number * 0x0101_0101_0101


def test_all_31_registers_hold_what_the_thread_put_there(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("registers", f"threads=3 ticks=8 {FAST}")
    seen: list[int] = []
    while len(seen) < 9:
        trap = run.until(trap_enter(cause="timer"), ticks=SOON)
        thread = trap.thread
        if thread is None or not holds_its_pattern(run, trap.fields["sepc"]):
            continue
        seen.append(thread)
        expected = [pattern(thread, n) for n in range(32)]
        expected[0], expected[2] = 0, stack_of(running(run.state())).end - 576
        found = run.kernel().registers.x
        for n in range(32):
            assert found[n] == expected[n], (
                f"x{n} of thread {thread} is {found[n]:#x} instead of {expected[n]:#x}"
            )
    assert set(seen) == {1, 2, 3}
    run.until(exited(status=0), ticks=SOON)
    said = re.findall(r"thread (\d+): all 31 registers survived (\d+) ticks", run.console)
    assert sorted(int(thread) for thread, _ in said) == [1, 2, 3]
    assert all(int(ticks) >= 8 for _, ticks in said)


@pytest.mark.parametrize("number", [1, 3, 5, 31])
def test_a_thread_notices_a_register_that_a_trap_loses(rcdbg_boot: BootKernel, number: int) -> None:
    run = rcdbg_boot("registers", f"threads=2 {FAST}")
    trap = run.until(
        trap_enter(cause="timer", sepc=lambda sepc: holds_its_pattern(run, sepc)), ticks=SOON
    )
    assert trap.thread is not None
    run.registers[f"x{number}"] = 0xBAD
    run.until(exited(status=1), ticks=SOON)
    wanted = pattern(trap.thread, number)
    assert f"thread {trap.thread}: x{number} is 0xbad instead of {wanted:#x}" in run.console
    assert run.console.count(" instead of ") == 1
