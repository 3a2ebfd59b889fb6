"""Address spaces: segments, aliases and lint of the real kernel, whole and damaged."""

import struct

import pytest

from rcdbg.machine.monitor import Monitor
from rcdbg.machine.oracles import parse_info_mem
from rcdbg.model import mappings
from rcdbg.model.memory_set import MemorySet, process_root, read_memory_sets
from rcdbg.model.page_table import Root
from rcdbg.model.value import DecodeError
from rcdbg.pytest_plugin import BootKernel
from rcdbg.riscv import sv39
from rcdbg.trace.events import reached, trap
from rcdbg.trace.run import Run

pytestmark = pytest.mark.every_kernel

PAGE = 4096


@pytest.fixture
def stopped(rcdbg_boot: BootKernel) -> Run:
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(2):
        run.until(trap("timer"))
    return run


def the_set(run: Run) -> MemorySet:
    found = read_memory_sets(run.kernel())
    assert found.problems == ()
    (only,) = found.sets
    return only


def patch(run: Run, va: int, change: int) -> int:
    """Turn bits of the leaf entry of `va` in the guest's RAM; returns the entry as it was."""
    kernel = run.kernel()
    leaf = sv39.walk(kernel.target.read_phys, kernel.memory.root_ppn, va).leaf
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
    patch(stopped, first, sv39.V)
    patch(stopped, second, sv39.U)
    patch(stopped, third, 1 << 10)
    patch(stopped, text.start, sv39.W)
    found = the_set(stopped)
    damaged = {s.start: s.differences for s in found.segments if s.differences}
    assert damaged.keys() == {framed[0].start, text.start}
    told = {(d.kind, d.va, d.size) for d in damaged[framed[0].start]}
    assert told == {("unmapped", first, PAGE), ("rights", second, PAGE), ("frame", third, PAGE)}
    (both,) = damaged[text.start]
    assert (both.kind, both.va, both.size) == ("rights", text.start, PAGE)
    (finding,) = mappings.lint(stopped.kernel()).findings
    assert (finding.rule, finding.va, finding.size) == ("W+X", text.start, PAGE)


def test_a_page_that_no_segment_explains(stopped: Run) -> None:
    stack = next(s for s in the_set(stopped).segments if s.map_type == "Framed")
    kernel = stopped.kernel()
    # The page above a stack is the guard page of the next one.
    guard = sv39.walk(kernel.target.read_phys, kernel.memory.root_ppn, stack.end).steps[-1]
    assert (guard.level, guard.pte.valid) == (0, False)
    ram = stopped.qemu.ram
    at = guard.pte_address - ram.base
    ram.memory[at : at + 8] = struct.pack("<Q", 0x80200 << 10 | sv39.V | sv39.R)
    found = the_set(stopped)
    (stray,) = found.unexplained
    assert (stray.va, stray.pa, stray.size) == (stack.end, 0x8020_0000, PAGE)
    assert found.differences == 1


def test_aliases_are_the_stacks_in_the_linear_map(stopped: Run) -> None:
    """Each framed page is mapped twice: at its place, and where all frames are."""
    found = mappings.read_aliases(stopped.kernel())
    pages = sum(alias.size for alias in found.aliases) // PAGE
    assert pages == the_set(stopped).owned_pages
    assert not any(alias.different_rights for alias in found.aliases)
    for alias in found.aliases:
        vas = {m.va for m in mappings.virtuals(stopped.kernel(), alias.pa).mappings}
        assert vas == {m.va for m in alias.mappings}


def test_lint_knows_the_free_frames(stopped: Run) -> None:
    kernel = stopped.kernel()
    lint = mappings.lint(kernel)
    assert lint.findings == ()
    assert lint.skipped == ()
    free = stopped.state().frames.free[-1]
    root = kernel.memory.root_ppn << 12
    ram = stopped.qemu.ram
    at = root - ram.base + 100 * 8
    ram.memory[at : at + 8] = struct.pack("<Q", free.start << 10 | sv39.V)
    findings = mappings.lint(stopped.kernel()).findings
    assert [(f.rule, f.va) for f in findings] == [("table-in-free-frame", 100 << 30)]


def test_the_boot_page_table_against_the_kernels_own(rcdbg_boot: BootKernel) -> None:
    """The diff of two roots, against QEMU's own listing of each."""
    run = rcdbg_boot("preempt", "interval=20000")
    listings = []
    roots = []
    for event in (reached("rust_main"), trap("timer")):
        kernel = run.until(event)
        assert kernel is not None
        roots.append(kernel.memory.satp)
        with Monitor(run.qemu.qmp_socket) as monitor:
            listings.append(parse_info_mem(monitor.hmp("info mem")))
    kernel = run.kernel()
    # The boot page table is in .data or .bss and still there.
    found = mappings.diff_roots(kernel, Root.of_satp(roots[0]), None)
    assert found.problems == ()
    borders = {at for m in (*listings[0], *listings[1]) for at in (m.va, m.va + m.size - PAGE)}
    for va in sorted(borders):
        before, after = (
            [(m.pa + va - m.va, m.attributes[:5]) for m in listing if m.va <= va < m.va + m.size]
            for listing in listings
        )
        told = [c.kind for c in found.changes if c.va <= va < c.va + c.size]
        if not before:
            wanted = "added"
        elif not after:
            wanted = "removed"
        elif before[0][0] != after[0][0]:
            wanted = "moved"
        elif before != after:
            wanted = "rights"
        else:
            wanted = "page size"  # gigapages before, small ones now
        assert told == [wanted], hex(va)


def test_processes_by_number_and_address(stopped: Run) -> None:
    kernel = stopped.kernel()
    only = the_set(stopped)
    for number in (0, only.process):
        assert process_root(kernel, number).ppn == kernel.memory.root_ppn
    with pytest.raises(DecodeError, match="process 1"):
        process_root(kernel, 1)


def test_before_there_is_anything(rcdbg_boot: BootKernel) -> None:
    found = read_memory_sets(rcdbg_boot("preempt").kernel())
    assert found.sets == ()
    assert "not initialised yet" in found.note
