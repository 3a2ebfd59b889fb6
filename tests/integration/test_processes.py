"""Several address spaces: each process as rcdbg shows it, against QEMU while that process runs."""

import re
from pathlib import Path

import pytest

from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.memory import table_lint
from rcdbg.model.memory.memory_set import MemorySet, read_memory_sets
from rcdbg.model.memory.page_table import read_page_table, translate
from rcdbg.model.memory.processes import process_root
from rcdbg.model.threads.call_stacks import read_call_stacks
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import paging
from rcdbg.riscv.pte import R, U, V, W, X
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Run
from tests.conftest import MEMORY
from tests.integration.test_cli import rcdbg
from tests.support.in_gdb import InGdb
from tests.support.qemu_account import MappedRun, parse_info_mem

pytestmark = pytest.mark.every_kernel

PLACE = 0x4000_0000
THREADS = (1, 2, 3)
USER = 3
PAGE = 4096


def run_to_thread(run: Run, thread: int) -> None:
    """On to a tick that interrupts that thread, while all of them are there."""
    for _ in range(30):
        run.until(trap("timer"))
        current = run.state().processor.current
        if current is not None and current.id == thread:
            return
    pytest.fail(f"thread {thread} never ran")


@pytest.fixture
def stopped(rcdbg_boot: BootKernel) -> Run:
    run = rcdbg_boot("processes", "interval=100000 ticks=100000")
    run_to_thread(run.machine, 1)
    return run.machine


def set_of(run: Run, thread: int) -> MemorySet:
    found = read_memory_sets(run.kernel())
    assert found.problems == ()
    (only,) = [s for s in found.sets if thread in s.threads]
    return only


def printed_frames(run: Run) -> dict[int, int]:
    """Physical address of the place in each process, as the kernel says; process n has thread n."""
    found = re.findall(r"^process (\d+): 0x40000000 -> (0x\w+) rw-u", run.console, re.MULTILINE)
    return {int(number): int(pa, 16) for number, pa in found}


def printed_roots(run: Run) -> dict[int, int]:
    found = re.findall(r"^process (\d+): root page table (0x\w+)", run.console, re.MULTILINE)
    return {int(number): int(pa, 16) for number, pa in found}


def flat(mapped: list[MappedRun]) -> dict[int, tuple[int, str]]:
    return {
        m.va + offset: (m.pa + offset, m.attributes[:5])
        for m in mapped
        for offset in range(0, m.size, PAGE)
    }


def test_every_process_is_shown_as_qemu_sees_it_when_it_runs(stopped: Run) -> None:
    theirs, frames, roots = {}, printed_frames(stopped), printed_roots(stopped)
    assert frames.keys() == roots.keys() == set(THREADS)
    for thread in THREADS:
        run_to_thread(stopped, thread)
        found = set_of(stopped, thread)
        assert found.active
        assert found.root_ppn is not None
        assert found.root_ppn << 12 == roots[thread]
        with Monitor(stopped.qemu.qmp_socket) as monitor:
            # Not by `gva2gpa`, by which a page for U-mode may be unmapped while S-mode runs.
            theirs[thread] = flat(parse_info_mem(monitor.hmp("info mem")))
            assert theirs[thread][PLACE][0] == frames[thread]
    # Now all of them from one stop, whatever is in satp.
    kernel = stopped.kernel()
    for thread in THREADS:
        root = process_root(kernel, set_of(stopped, thread).process)
        ours = {
            m.va + offset: (m.pa + offset, m.rights)
            for m in read_page_table(kernel, root).ranges
            for offset in range(0, m.size, PAGE)
        }
        assert ours == theirs[thread]
        assert translate(kernel, PLACE, root).walk.physical == frames[thread]
        assert table_lint.lint(kernel, root).findings == ()


def test_the_books_of_all_processes_agree_with_their_tables(stopped: Run) -> None:
    found = read_memory_sets(stopped.kernel())
    assert (found.problems, len(found.sets)) == ((), 1 + len(THREADS))
    assert [s.differences for s in found.sets] == [0] * len(found.sets)
    assert [s.active for s in found.sets].count(True) == 1
    places = {s.threads: [g.rights for g in s.segments if g.start == PLACE] for s in found.sets}
    assert places == {(0,): [], (1,): ["rw-u"], (2,): ["rw-u"], (3,): ["rw-u"]}
    for item in found.sets:
        assert process_root(stopped.kernel(), item.number).ppn == item.root_ppn


@pytest.mark.parametrize("current", THREADS)
def test_a_number_means_the_same_process_at_every_stop(stopped: Run, current: int) -> None:
    """The kernel's own first, then as the kernel counts them itself, whoever runs."""
    run_to_thread(stopped, current)
    found = read_memory_sets(stopped.kernel())
    assert [s.number for s in found.sets] == [0, *THREADS]
    roots = printed_roots(stopped)
    for number in THREADS:
        assert process_root(stopped.kernel(), number).ppn << 12 == roots[number]
    assert roots.keys() == set(THREADS)
    assert process_root(stopped.kernel(), 0).ppn << 12 not in roots.values()
    with pytest.raises(DecodeError, match="there are 0, 1, 2, 3"):
        process_root(stopped.kernel(), 4)


def test_threads_are_known_by_process_and_mode(stopped: Run) -> None:
    threads = {t.id: t for t in stopped.state().processor.threads}
    assert threads.keys() == {0, *THREADS}
    assert {number: t.is_user for number, t in threads.items()} == {
        0: False, 1: False, 2: False, USER: True,
    }  # fmt: skip
    assert len({t.process for t in threads.values()}) == len(threads)
    assert len({t.stack for t in threads.values()}) == 1, "each in its own address space"
    assert not [p for t in threads.values() for p in t.problems]


def test_the_parked_context_in_u_mode(stopped: Run) -> None:
    """The saved registers of a thread of U-mode: what its program says is in them."""
    run_to_thread(stopped, USER)
    run_to_thread(stopped, 1)
    user = next(t for t in stopped.state().processor.threads if t.id == USER)
    assert user.context is not None
    assert user.context.sstatus is not None
    assert user.context.sstatus.value >> 8 & 1 == 0, "SPP: from U-mode"
    assert user.context.x[8] == PLACE
    kernel = stopped.kernel()
    root = process_root(kernel, set_of(stopped, USER).process)
    leaf = paging.walk(kernel.target.read_phys, root.satp, user.context.sepc.address).leaf
    assert leaf is not None
    wanted = V | R | X | U
    assert leaf.pte.bits & (wanted | W) == wanted


@pytest.mark.parametrize("current", THREADS)
def test_call_stacks_are_read_in_each_threads_own_memory(stopped: Run, current: int) -> None:
    """All stacks are at the same address, so another's memory would give another's callers."""
    run_to_thread(stopped, current)
    found = read_call_stacks(stopped.kernel())
    stacks = {s.thread.id: s for s in found.stacks}
    for thread in THREADS:
        backtrace = stacks[thread].backtrace
        assert backtrace is not None
        assert backtrace.problems == (), thread
        symbols = [frame.pc.symbol or "" for frame in backtrace.frames]
        if thread == USER:
            assert backtrace.frames[-1].pc.program == "user_program"
        else:
            assert any("kernel_part" in symbol for symbol in symbols)
            assert symbols[-1] == "kernel_thread_exit"
            # A tick may have come before its first instruction.
            assert stacks[thread].thread.stack_deepest or backtrace.frames[0].pc.offset == 0


@pytest.mark.one_kernel
def test_on_the_command_line(rcdbg_kernel: object) -> None:
    place = ("--kernel", str(rcdbg_kernel), "--scenario", "processes", "--append",
             "interval=100000", "--at", "handle_interrupt:6", "--memory", MEMORY)  # fmt: skip
    threads = rcdbg("show", "threads", *place).stdout
    assert re.search(r"\b3 .*\buser\b", threads)
    for number in "123":
        table = rcdbg("show", "pagetable", "--process", number, "--user", *place).stdout
        assert re.search(r"0x40000000.* rw-u", table)
        assert "maps a 4 KiB page" in rcdbg("walk", hex(PLACE), "--process", number, *place).stdout
    walk = rcdbg("walk", hex(PLACE), "--process", "0", *place).stdout
    assert "no translation" in walk


LOOK = """
define look-around
  printf "at %lx %lx\\n", $pc, $sp
  info locals
  python print(gdb.selected_frame().name())
end
"""


def test_a_parked_threads_stack_frames_in_gdb(gdb: str, stopped: Run, tmp_path: Path) -> None:
    """What gdb shows of a parked thread is what it showed while that thread's process ran."""
    script = tmp_path / "look.gdb"
    script.write_text(LOOK)
    around = ["look-around", "up", "look-around", "up", "look-around"]
    # To the end of the page: the numbers in which the two threads differ are somewhere in it.
    stack_of = (
        "python sp = int(gdb.parse_and_eval('$stack'));"
        " print(gdb.selected_inferior().read_memory(sp, -sp % 4096).tobytes().hex())"
    )
    called = InGdb(gdb, stopped).call(  # it complains that it has no source of Rust's library
        f"source {script}",
        "set debuginfod enabled off",
        "set language c",
        "echo @\\n",
        "bt",
        "echo @\\n",
        "frame 2",
        "set $stack = $sp",
        *around,
        "echo @\\n",
        "frame 0",
        "tbreak *handle_interrupt",
        "continue",
        "echo @\\n",
        "output $rc_current().id",
        "echo @\\n",
        "rc thread 1 bt",
        "echo @\\n",
        "rc thread 1 frame 0",
        *around,
        "echo @\\n",
        stack_of,
        "rc thread off",
        stack_of,
        "rc thread 1 frame 0",
        "tbreak *handle_interrupt",
        "continue",
        "show trust-readonly-sections",
        "show may-write-memory",
        "info files",
    )
    _, witness, its_frames, _, current, bt, frames, rest = called.stdout.split("@\n")
    assert int(current) in (2, USER)
    witness = witness[witness.index("#2 ") :]
    assert "kernel_part" in witness
    assert unnumbered(bt) == unnumbered(witness)
    assert frames.count("at ffffffff") >= 3
    assert unnumbered(frames) == unnumbered(its_frames)
    threads, satps = rest.splitlines()[:2]
    assert threads != satps, "another thread's stack is at the same address"
    assert rest.count(" is off.") == rest.count(" is on.") == 1
    assert "rcdbg-thread" not in rest.split("info files")[-1]


def unnumbered(text: str) -> str:
    """gdb's words without the numbers of stack frames, and without the lines of Rust's library."""
    text = re.sub(r"^(warning: )?\d+\t.*/library/.*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^#\d+ +", "", text, flags=re.MULTILINE).strip()


def test_memory_lent_to_gdb_is_not_written(gdb: str, stopped: Run) -> None:
    """A write would go to the process in satp; without a thread selected it is the user's own."""
    run_to_thread(stopped, 2)
    word = "*($stack as *mut u32)"
    called = InGdb(gdb, stopped).call(
        "rc thread 1 frame 0",
        "set $stack = $sp",
        f"set var {word} = 77",
        f'printf "@%d\\n", {word}',
        "rc thread off",
        f'printf "@%d\\n", {word}',
        f"set var {word} = 78",
        f'printf "@%d\\n", {word}',
    )
    assert called.stderr.count("Writing to memory is not allowed") == 1
    lent, before, after = re.findall(r"@(-?\d+)", called.stdout)
    assert "77" not in (lent, before)
    assert after == "78"
