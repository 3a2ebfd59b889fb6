"""Boot: from the firmware's jump to the first line of Rust."""

import re

import pytest

from rcdbg.testing import BootKernel, console, exited, reached
from tests.traces.words import SOON, symbol, trap_stack

pytestmark = pytest.mark.every_kernel


def test_the_kernel_is_entered_with_paging_off(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    state = run.state()
    assert state.hart.note.startswith("in M-mode"), "the firmware has the hart first"
    run.until(reached("_start"), ticks=SOON)
    state = run.state()
    assert state.hart.pc.address == run.image.physical(run.image.entry)
    assert state.page_table.mode == "bare"


def test_bss_is_zero_whatever_the_memory_held_before(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    start, end = symbol(run, "bss_start"), symbol(run, "kernel_end")
    places = [start, (start + end) // 2, end - 1]
    for address in places:
        run.memory.write(address, b"\xa5")
    run.until(reached("rust_main"), ticks=SOON)
    for address in places:
        (byte,) = run.memory.read(address, 1)
        assert byte == 0, f"{address:#x} in .bss is {byte:#x} when rust_main begins"


def test_traps_go_to_the_vector_and_to_the_kernel_stack(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    run.until(console(re.compile(r"^os .* on hart \d+$")), ticks=SOON)
    stvec, vector = run.registers["stvec"], symbol(run, "__interrupt")
    assert stvec & 3 == 0, f"stvec is {stvec:#x}: its mode is vectored, not direct"
    assert stvec == vector, f"stvec is {stvec:#x}, and __interrupt is at {vector:#x}"
    sscratch, stack = run.registers["sscratch"], trap_stack(run)
    assert sscratch == stack.end, (
        f"sscratch is {sscratch:#x}, not the top of the kernel stack, {stack.end:#x}"
    )


def test_an_unknown_scenario_is_refused_in_words(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("nonsense")
    run.until(exited(status=1), ticks=SOON)
    assert 'unknown scenario "nonsense"; known: threads' in run.console
