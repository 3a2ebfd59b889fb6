"""Processes: an address space for each, a program in U-mode, and its system calls."""

import re

import pytest

from rcdbg.testing import BootKernel, exited, trap_enter, trap_leave
from tests.traces.words import FAST, SOON, running

pytestmark = pytest.mark.every_kernel


def test_each_process_runs_in_its_own_address_space(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("processes", FAST)
    seen: set[int | None] = set()
    while len(seen) < 3:
        run.until(trap_leave(), ticks=SOON)
        state = run.state()
        thread, root = running(state).id, state.page_table.root_ppn << 12
        said = re.findall(r"process (\d+): root page table (0x\w+)", run.console)
        roots = {int(number): int(table, 16) for number, table in said}
        assert len(set(roots.values())) == 3, "a table for each process"
        assert thread in roots, f"thread {thread} runs, which belongs to no process"
        assert root == roots[thread], (
            f"thread {thread} goes on with the page table {root:#x}, and that of its process is"
            f" {roots[thread]:#x}"
        )
        seen.add(thread)


def test_a_program_in_u_mode_calls_the_kernel(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("processes", FAST)
    calls = 0
    while calls < 3:
        call = run.until(trap_enter(cause="environment call from U-mode"), ticks=SOON)
        assert call.fields["privilege"] == "U"
        caller = running(run.state())
        assert caller.is_user
        assert run.kernel().place(call.fields["sepc"]).symbol is None, "not the kernel's code"
        back = run.until(trap_leave(), ticks=SOON)
        assert running(run.state()).id == caller.id
        by = back.fields["sepc"] - call.fields["sepc"]
        assert by == 4, f"a system call of thread {caller.id} returned to +{by} instead of +4"
        assert back.fields["privilege"] == "U"
        calls += 1


def test_processes_keep_their_own_values_at_one_address(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("processes", FAST)
    run.until(exited(status=0), ticks=SOON)
    frames = re.findall(r"process \d+: 0x40000000 -> (0x\w+) rw-u", run.console)
    assert len(set(frames)) == len(frames) == 3
    assert run.console.count("its own value all the time") == 3
