"""What the kernel does, scenario by scenario, told as runs from event to event.

Every test here takes the kernel under test as a reader of its documentation would: by the names of
its functions, by its traps and threads, and by what it prints.
"""

import re
from itertools import pairwise

import pytest

from rcdbg.model.state import KernelState
from rcdbg.pytest_plugin import BootKernel
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.trace.events import exited, reached, switch, trap
from rcdbg.trace.run import EventMissedError, Run

pytestmark = pytest.mark.every_kernel

FAST = "interval=100000"
UNDISTURBED = "interval=100000000"
"""Ten seconds between ticks: nobody is interrupted before it has done its part."""


def running(state: KernelState) -> int:
    """The id of the current thread."""
    assert state.processor.current is not None
    assert state.processor.current.id is not None
    return state.processor.current.id


def pages_mapped(state: KernelState, va: int) -> bool:
    return any(r.va <= va < r.va + r.size for r in state.page_table.ranges)


@pytest.mark.parametrize(
    "scenario",
    [
        "threads",
        "heap",
        "frames",
        "mapping",
        "breakpoint",
        "timer",
        "sleepers",
        "registers",
        "processes",
    ],
)
def test_every_finite_scenario_passes_and_shuts_down(rcdbg_boot: BootKernel, scenario: str) -> None:
    run = rcdbg_boot(scenario, FAST)
    run.until(exited(status=0))
    assert f"scenario {scenario} passed" in run.console


def test_an_unknown_scenario_is_refused_in_words(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("nonsense")
    with pytest.raises(EventMissedError, match="nonsense"):
        run.until(exited(status=0))
    assert run.qemu.wait(10) != 0


def test_paging_is_off_at_first_then_the_boot_table_then_exact_rights(
    rcdbg_boot: BootKernel,
) -> None:
    run = rcdbg_boot("heap")
    state = run.state()
    assert "bare" in state.page_table.note
    assert state.hart.note.startswith("in M-mode")
    run.until(reached("rust_main"))
    boot_table = run.state().page_table
    assert {r.page_size for r in boot_table.ranges} == {1 << 30}
    assert "rwx--" in {r.rights for r in boot_table.ranges}
    run.until(reached("scenarios::shutdown"))
    table = run.state().page_table
    assert not [r for r in table.ranges if "w" in r.rights and "x" in r.rights]
    sections = {s: r.rights for r in table.ranges if r.section for s in r.section.split()}
    assert sections[".text"] == "r-x--"
    assert sections[".rodata"] == "r----"
    assert sections[".data"] == sections[".bss"] == "rw---"


def test_threads_run_in_fifo_order(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=8 {UNDISTURBED}")
    order = []
    for _ in range(8):
        run.until(switch())
        order.append(running(run.state()))
    assert order == [1, 2, 3, 4, 5, 6, 7, 8]
    run.until(exited(status=0))
    said = re.findall(r"hello from kernel thread (\d+)", run.console)
    assert said == [str(n) for n in order]


def test_a_dead_thread_is_gone_and_its_frames_are_free(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", f"threads=4 {UNDISTURBED}")
    run.until(switch(to=1))
    before = run.state()
    stack = before.processor.current.stack if before.processor.current else None
    assert stack is not None
    assert pages_mapped(before, stack.start)
    run.until(switch(to=3))
    after = run.state()
    assert 1 not in {t.id for t in after.processor.threads}
    assert not pages_mapped(after, stack.start)
    assert before.frames.used is not None
    assert after.frames.used is not None
    assert before.frames.used - after.frames.used >= (stack.end - stack.start) // 4096


def instruction_length(run: Run, address: int) -> int:
    """By the two low bits of the instruction (RISC-V unprivileged spec, 1.5)."""
    low = int.from_bytes(run.kernel().memory.read(address, 2), "little")
    return 4 if low & 3 == 3 else 2


def test_breakpoint_resumes_behind_the_ebreak_by_its_true_length(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("breakpoint")
    lengths = []
    for _ in range(6):
        run.until(trap("breakpoint"))
        state = run.state()
        assert state.trap.cause == "breakpoint"
        before = state.trap.context
        assert before is not None
        length = instruction_length(run, before.sepc.address)
        lengths.append(length)
        run.until(reached("__restore"))
        after = run.state().trap.context
        assert after is not None
        assert after.sepc.address == before.sepc.address + length
        assert after.x == before.x, "no register is changed by a breakpoint"
        assert f"Breakpoint at {before.sepc.address:#x}" in run.console
    assert set(lengths) == {2, 4}, "both kinds were met"


def test_heap_and_frames_end_as_they_began(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("frames")
    run.until(reached("scenarios::run"))
    before = run.state().frames
    run.until(reached("scenarios::shutdown"))
    after = run.state().frames
    assert before.free == after.free
    assert (before.used, before.total) == (after.used, after.total)
    assert "freed twice: refused" in run.console


def test_mapping_says_where_things_are_and_the_walk_agrees(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("mapping")
    run.until(reached("scenarios::shutdown"))
    state, kernel = run.state(), run.kernel()
    said = re.findall(
        r"^\.?\w+ (0x[0-9a-f]{16}) -> (0x[0-9a-f]+) ([rwxugad-]{7})\r?$", run.console, re.MULTILINE
    )
    assert len(said) >= 4
    for va, pa, flags in said:
        (found,) = [r for r in state.page_table.ranges if r.va <= int(va, 16) < r.va + r.size]
        assert kernel.memory.physical(int(va, 16)) == int(pa, 16)
        assert found.rights == flags[:5]
    for va in re.findall(r"^removed (0x[0-9a-f]+) -> unmapped\r?$", run.console, re.MULTILINE):
        assert not pages_mapped(state, int(va, 16))


def test_timer_ticks_come_at_the_set_interval(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("timer", "interval=100000")
    run.until(exited(status=0))
    times = [int(t) for t in re.findall(r"tick \d+ at time (\d+)", run.console)]
    assert len(times) >= 5
    assert all(later - earlier >= 100_000 for earlier, later in pairwise(times))


def test_preempted_threads_take_turns_and_get_their_registers_back(rcdbg_boot: BootKernel) -> None:
    """A thread goes on with the very registers it was parked with, all 31 of them."""
    run = rcdbg_boot("preempt", f"threads=3 {FAST}")
    parked: dict[int, tuple[tuple[int, ...], int]] = {}
    order, resumed = [], 0
    for _ in range(9):
        run.until(trap("timer"))
        state = run.state()
        assert state.trap.context is not None
        parked[running(state)] = (state.trap.context.x, state.trap.context.sepc.address)
        run.until(switch())
        state = run.state()
        now = running(state)
        order.append(now)
        context = state.trap.context
        assert context is not None
        if now in parked:
            assert (context.x, context.sepc.address) == parked[now], dict(
                zip(ABI_NAMES, context.x, strict=True)
            )
            resumed += 1
    assert resumed >= 6
    assert set(order) == {1, 2, 3}
    if state.processor.scheduler == "FifoScheduler":
        assert order[:3] == order[3:6] == order[6:9], "each in its turn"
    else:
        assert order.count(3) > order.count(1), "by priority: thread n has priority n"


def holds_its_pattern(run: Run, state: KernelState) -> int | None:
    """The thread that the tick interrupted while all its registers are at work, else None.

    By kernel/README.md that is from registers_loop up to registers_check.
    """
    start, end = (run.image.symbols.address_of(f"registers_{n}") for n in ("loop", "check"))
    assert start is not None
    assert end is not None
    context = state.trap.context
    assert context is not None
    return running(state) if start <= context.sepc.address < end else None


def pattern(thread: int, number: int) -> int:
    """What register x<number> of the thread holds, by the formula in kernel/README.md."""
    return thread << 48 | number * 0x0101_0101_0101


def test_all_31_registers_survive_preemption(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("registers", f"threads=3 ticks=6 {FAST}")
    seen: list[int] = []
    while len(seen) < 9:
        run.until(trap("timer"))
        state = run.state()
        thread = holds_its_pattern(run, state)
        if thread is None:
            continue
        seen.append(thread)
        assert state.trap.context is not None
        assert state.processor.current is not None
        stack = state.processor.current.stack
        assert stack is not None
        expected = [pattern(thread, n) for n in range(32)]
        expected[0], expected[2] = 0, stack.end - 576
        assert list(state.trap.context.x) == expected
    assert set(seen) == {1, 2, 3}
    run.until(exited(status=0))
    said = re.findall(r"thread (\d+): all 31 registers survived (\d+) ticks", run.console)
    assert sorted(int(thread) for thread, _ in said) == [1, 2, 3]
    assert all(int(ticks) >= 6 for _, ticks in said)


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6, 31])
def test_a_register_that_a_trap_loses_is_named(rcdbg_boot: BootKernel, number: int) -> None:
    run = rcdbg_boot("registers", f"threads=2 {FAST}")
    victim = None
    while victim is None:
        run.until(trap("timer"))
        state = run.state()
        victim = holds_its_pattern(run, state)
    assert state.trap.context is not None
    ram = run.qemu.ram
    at = run.kernel().memory.physical(state.trap.context.address + 8 * number) - ram.base
    ram.memory[at : at + 8] = (0xBAD).to_bytes(8, "little")
    run.until(exited(status=1))
    lost = f"thread {victim}: x{number} is 0xbad instead of {pattern(victim, number):#x}"
    assert lost in run.console
    assert run.console.count(" instead of ") == 1


def test_processes_keep_their_own_values_at_one_address(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("processes", FAST)
    roots = set()
    for thread in (1, 2, 3):
        run.until(switch(to=thread))
        state = run.state()
        assert state.processor.current is not None
        assert state.processor.current.is_user is (thread == 3)
        roots.add(state.page_table.root_ppn)
    assert len(roots) == 3, "satp changes with the process"
    run.until(trap("environment call from U-mode"))
    state = run.state()
    assert running(state) == 3
    assert state.trap.context is not None
    assert state.trap.context.sepc.symbol is None, "not the kernel's code"
    run.until(exited(status=0))
    frames = re.findall(r"process \d+: 0x40000000 -> (0x\w+) rw-u", run.console)
    assert len(set(frames)) == len(frames) == 3
    assert run.console.count("its own value all the time") == 3


def test_sleepers_sleep_and_wake(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("sleepers", "interval=200000")
    seen: set[int] = set()
    while len(seen) < 3:
        run.until(trap("timer"))
        processor = run.state().processor
        for thread in processor.sleeping:
            assert thread.sleeping is True
            assert thread.context is not None
            assert thread.id is not None
            seen.add(thread.id)
        assert all(t.sleeping is False for t in processor.ready)
    run.until(exited(status=0))
    assert not run.console.count("panicked")
    woken = re.findall(r"thread (\d+) woke at tick (\d+)", run.console)
    assert seen <= {int(thread) for thread, _ in woken}


def test_a_fault_kills_its_thread_only(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("fault")
    run.until(trap("load page fault"))
    state = run.state()
    stval = state.hart.csr("stval")
    assert stval is not None
    assert not pages_mapped(state, stval.value)
    victim = running(state)
    run.until(exited(status=0))
    assert f"thread {victim} killed" in run.console
    assert "the other thread goes on" in run.console


def test_the_entry_is_reached_before_paging_is_on(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    run.until(reached("_start"))
    state = run.state()
    assert state.hart.pc.address == run.image.physical(run.image.entry)
    assert state.page_table.mode == "bare"
