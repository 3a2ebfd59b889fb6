"""Address spaces: segments, aliases and lint of the real kernel, whole and damaged."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from rcdbg.guest.snapshot_writer import write_snapshot
from rcdbg.kernels.reading import NOTHING
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kept import kernel_in
from rcdbg.model.memory import mappings, table_aliases, table_diff, table_lint
from rcdbg.model.memory.memory_set import MemorySet, read_memory_sets
from rcdbg.model.memory.page_table import Root
from rcdbg.model.memory.processes import process_root
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv import paging
from rcdbg.riscv.pte import R, U, V, W
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import Condition, reached, trap
from rcdbg.trace.run import Run, machine_of
from tests.integration.test_cli import one_line, rcdbg
from tests.support.qemu_account import MappedRun, parse_info_mem

pytestmark = pytest.mark.every_kernel

PAGE = 4096
KEPT = Path(__file__).resolve().parents[1] / "snapshots" / "three-threads-preempted.snap"


@pytest.fixture
def stopped(rcdbg_boot: BootKernel) -> Run:
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(2):
        run.until(trap("timer"))
    return run.machine


def the_set(run: Run) -> MemorySet:
    found = read_memory_sets(run.kernel())
    assert found.problems == ()
    (only,) = found.sets
    return only


def patch(run: Run, va: int, change: int) -> int:
    """Turn bits of the leaf entry of `va` in the guest's RAM; returns the entry as it was."""
    kernel = run.kernel()
    leaf = paging.walk(kernel.target.read_phys, kernel.memory.satp, va).leaf
    assert leaf is not None
    ram = run.qemu.ram
    at = leaf.pte_address - ram.base
    ram.memory[at : at + 8] = struct.pack("<Q", leaf.pte.bits ^ change)
    return leaf.pte.bits


def test_segments_are_what_qemu_says_is_mapped(stopped: Run) -> None:
    found = the_set(stopped)
    assert found.differences == 0
    assert found.problems == ()
    assert found.active
    with Monitor(stopped.qemu.qmp_socket) as monitor:
        theirs = parse_info_mem(monitor.hmp("info mem"))
    qemu = {
        va: run.attributes[:4] for run in theirs for va in range(run.va, run.va + run.size, PAGE)
    }
    books = {va: s.rights for s in found.segments for va in range(s.start, s.end, PAGE)}
    assert books == qemu


def test_every_threads_stack_is_a_framed_segment_of_its_process(stopped: Run) -> None:
    found = the_set(stopped)
    processor = stopped.state().processor
    assert processor.threads
    framed = {(s.start, s.end) for s in found.segments if s.map_type == "Framed"}
    for thread in processor.threads:
        assert thread.stack is not None
        assert (thread.stack.start, thread.stack.end) in framed
        assert thread.process == found.process
    assert set(found.threads) == {t.id for t in processor.threads}
    pages = sum(s.size for s in found.segments if s.map_type == "Framed") // PAGE
    assert found.owned_pages == pages


def test_damage_to_the_page_table_is_named(stopped: Run) -> None:
    whole = the_set(stopped)
    framed = [s for s in whole.segments if s.map_type == "Framed"]
    text = next(s for s in whole.segments if "x" in s.rights)
    first, second, third = (framed[0].start + number * PAGE for number in range(3))
    patch(stopped, first, V)
    patch(stopped, second, U)
    patch(stopped, third, 1 << 10)
    patch(stopped, text.start, W)
    found = the_set(stopped)
    damaged = {s.start: s.differences for s in found.segments if s.differences}
    assert damaged.keys() == {framed[0].start, text.start}
    told = {(d.kind, d.va, d.size) for d in damaged[framed[0].start]}
    assert told == {("unmapped", first, PAGE), ("rights", second, PAGE), ("frame", third, PAGE)}
    (both,) = damaged[text.start]
    assert (both.kind, both.va, both.size) == ("rights", text.start, PAGE)
    (finding,) = table_lint.lint(stopped.kernel()).findings
    assert (finding.rule, finding.va, finding.size) == ("W+X", text.start, PAGE)


def test_a_page_that_no_segment_explains(stopped: Run) -> None:
    stack = next(s for s in the_set(stopped).segments if s.map_type == "Framed")
    kernel = stopped.kernel()
    # The page above a stack is the guard page of the next one.
    guard = paging.walk(kernel.target.read_phys, kernel.memory.satp, stack.end).steps[-1]
    assert (guard.level, guard.pte.valid) == (0, False)
    ram = stopped.qemu.ram
    at = guard.pte_address - ram.base
    ram.memory[at : at + 8] = struct.pack("<Q", 0x80200 << 10 | V | R)
    found = the_set(stopped)
    (stray,) = found.unexplained
    assert (stray.va, stray.pa, stray.size) == (stack.end, 0x8020_0000, PAGE)
    assert found.differences == 1


def test_aliases_are_the_stacks_in_the_linear_map(stopped: Run) -> None:
    """Each framed page is mapped twice: at its place, and where all frames are."""
    found = table_aliases.read_aliases(stopped.kernel())
    pages = sum(alias.size for alias in found.aliases) // PAGE
    assert pages == the_set(stopped).owned_pages
    assert not any(alias.different_rights for alias in found.aliases)
    for alias in found.aliases:
        vas = {m.va for m in mappings.virtuals(stopped.kernel(), alias.pa).mappings}
        assert vas == {m.va for m in alias.mappings}


def test_lint_knows_the_free_frames(stopped: Run) -> None:
    kernel = stopped.kernel()
    lint = table_lint.lint(kernel)
    assert lint.findings == ()
    assert lint.skipped == ()
    free = stopped.state().frames.free[-1]
    root = kernel.memory.satp.ppn << 12
    ram = stopped.qemu.ram
    at = root - ram.base + 100 * 8
    ram.memory[at : at + 8] = struct.pack("<Q", free.start << 10 | V)
    findings = table_lint.lint(stopped.kernel()).findings
    assert [(f.rule, f.va) for f in findings] == [("table-in-free-frame", 100 << 30)]


def test_the_boot_page_table_against_the_kernels_own(rcdbg_boot: BootKernel) -> None:
    """The diff of two roots, against QEMU's own listing of each."""
    run = rcdbg_boot("preempt", "interval=20000")
    listings = []
    roots = []
    for condition in (reached("rust_main"), trap("timer")):
        kernel = run.until(condition)
        assert kernel is not None
        roots.append(kernel.memory.satp.value)
        with Monitor(run.machine.qemu.qmp_socket) as monitor:
            listings.append(parse_info_mem(monitor.hmp("info mem")))
    kernel = run.kernel()
    # The boot page table is in .data or .bss and still there.
    found = table_diff.diff_roots(kernel, Root.of_satp(roots[0]), None)
    assert found.problems == ()
    told = [(c.kind, c.va, c.size) for c in found.changes]
    check_against_qemu(told, listings[0], listings[1])


def check_against_qemu(
    changes: Sequence[tuple[str, int, int]], before: list[MappedRun], after: list[MappedRun]
) -> None:
    """Every (kind, va, size) that was told is what QEMU's two listings differ in."""
    borders = {at for m in (*before, *after) for at in (m.va, m.va + m.size - PAGE)}
    for va in sorted(borders):
        old, new = (
            [(m.pa + va - m.va, m.attributes[:5]) for m in listing if m.va <= va < m.va + m.size]
            for listing in (before, after)
        )
        told = [kind for kind, start, size in changes if start <= va < start + size]
        if old == new and not told:
            continue
        if not old:
            wanted = "added"
        elif not new:
            wanted = "removed"
        elif old[0][0] != new[0][0]:
            wanted = "moved"
        elif old != new:
            wanted = "rights"
        else:
            wanted = "page size"  # gigapages before, small ones now
        assert told == [wanted], hex(va)


def test_two_snapshots_against_qemus_listings(rcdbg_boot: BootKernel, tmp_path: Path) -> None:
    """The diff of two moments, each in a file of its own, on the command line."""
    run = rcdbg_boot("preempt", "interval=20000")
    files, listings = [tmp_path / "early.snap", tmp_path / "late.snap"], []
    conditions: list[Condition] = [reached("rust_main"), trap("timer")]
    for file, condition in zip(files, conditions, strict=True):
        run.until(condition)
        write_snapshot(file, machine_of(run.machine), run.machine.target.read_phys)
        with Monitor(run.machine.qemu.qmp_socket) as monitor:
            listings.append(parse_info_mem(monitor.hmp("info mem")))
    done = rcdbg("show", "pagetable", "--snapshot", files[0], "--against", files[1], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["diff"]
    assert found["problems"] == found["notes"] == []
    assert str(files[1]) in found["after"]
    told = [(c["kind"], int(c["va"], 16), c["size_bytes"]) for c in found["changes"]]
    assert {kind for kind, *_ in told} > {"added", "removed"}
    check_against_qemu(told, listings[0], listings[1])
    # Of one moment there is nothing to tell, also by the number of a process or by a root.
    root = str(run.kernel().memory.satp.ppn)
    for words in ([], ["--process", "0"], ["--root", root, "--diff-process", "0"]):
        same = ["--snapshot", str(files[1]), "--against", str(files[1]), *words]
        assert ": the same" in rcdbg("show", "pagetable", *same).stdout.replace("\n", " "), words


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--against", "/nowhere/a.snap"], "does not exist"),
        (["--against", "/etc/passwd"], "not a snapshot"),
        (["--against", "KEPT", "--process", "7"], "process 7"),
        (["--against", "KEPT", "--lint"], "two questions"),
        (["--against", "KEPT", "--user"], "takes no filter"),
    ],
)
def test_what_cannot_be_compared(words: list[str], why: str) -> None:
    kept = [str(KEPT) if word == "KEPT" else word for word in words]
    assert why in one_line(rcdbg("show", "pagetable", "--snapshot", KEPT, *kept))


def test_snapshots_of_two_kernels_are_compared_with_a_note(stopped: Run) -> None:
    here, there = stopped.kernel(), kernel_in(KEPT, NOTHING)
    assert here.image.build_id != there.image.build_id
    found = table_diff.diff_moments((here, None), (there, None), "kept.snap")
    assert [note for note in found.notes if "another kernel" in note] == list(found.notes)
    assert table_diff.diff_moments((here, None), (here, None), "here").notes == ()


def test_processes_by_number_and_address(stopped: Run) -> None:
    kernel = stopped.kernel()
    only = the_set(stopped)
    for number in (0, only.process):
        assert process_root(kernel, number).ppn == kernel.memory.satp.ppn
    with pytest.raises(DecodeError, match="process 1"):
        process_root(kernel, 1)


def test_before_there_is_anything(rcdbg_boot: BootKernel) -> None:
    found = read_memory_sets(rcdbg_boot("preempt").kernel())
    assert found.sets == ()
    assert "not initialised yet" in found.note
