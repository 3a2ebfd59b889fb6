"""What rcdbg says of a kernel that stands, held against QEMU, gdb and what the kernel has done.

Each check returns one of the words below, and raises AssertionError where what is said is wrong.
"""

import re
import subprocess
from dataclasses import dataclass, field

from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.memory.memory_set import MemorySets
from rcdbg.model.state import ALL_UNKNOWN, Context, KernelState, Processor
from rcdbg.riscv.csr import SPECS
from rcdbg.riscv.registers import ABI_NAMES
from rcdbg.trace.run import Run
from tests.real.truth import Truth
from tests.support.qemu_account import MappedRun, merge_runs, parse_info_mem
from tests.support.tools import tool

RIGHT = "yes"
IN_PART = "in part"
NOT_KNOWN = "not known"
NONE = "none"
"""The kernel has no such thing, and rcdbg says that it knows of none."""
WORDS = (RIGHT, IN_PART, NOT_KNOWN, NONE)

_LOCAL = "it may be a local variable"
"""Why something is not known in kernels that keep it on a stack."""
_CSRS = ("satp", "stvec", "sepc", "scause", "stval", "sscratch")
_PPN = (1 << 44) - 1
_HEAP = "tg_rcore_tutorial_kernel_alloc::HEAP.inner.value"


@dataclass(slots=True)
class Words:
    """What the checks said at all stops, by column."""

    said: dict[str, set[str]] = field(default_factory=dict)

    def note(self, column: str, word: str) -> None:
        """One more stop."""
        self.said.setdefault(column, set()).add(word)

    def verdict(self, column: str) -> str:
        """One word for all stops."""
        words = self.said.get(column, set())
        return words.pop() if len(words) == 1 else IN_PART


def registers(run: Run, state: KernelState) -> str:
    """General registers, the pc and the supervisor CSRs, as `info registers` has them."""
    qemu = parse_info_registers(run.stub.monitor("info registers"))
    assert state.hart.pc.address == qemu["pc"]
    assert dict(zip(ABI_NAMES, state.hart.x, strict=True)) == {n: qemu[n] for n in ABI_NAMES}
    for name in _CSRS:
        csr = state.hart.csr(name)
        assert csr is not None
        assert csr.value == qemu[name], name
    sstatus = state.hart.csr("sstatus")
    assert sstatus is not None
    visible = sum(((1 << f.width) - 1) << f.low for f in SPECS["sstatus"].fields)
    assert sstatus.value == qemu["mstatus"] & visible
    return RIGHT


def page_table(run: Run, state: KernelState) -> str:
    """Every byte that `info mem` has is listed with the same frame and rights; no other."""
    theirs = parse_info_mem(run.stub.monitor("info mem"))
    ours = [MappedRun(r.va, r.pa, r.size, r.rights) for r in state.page_table.ranges]
    assert not state.page_table.problems
    assert merge_runs(ours) == merge_runs(
        MappedRun(m.va, m.pa, m.size, m.attributes[:5]) for m in theirs
    )
    return RIGHT if theirs else NONE


def trap(run: Run, state: KernelState, truth: Truth) -> str:
    """The Context is the one that the kernel runs the task by; it holds what QEMU says."""
    context = state.trap.context
    assert not state.trap.problems, state.trap.problems
    if context is None:
        assert "not known" in state.trap.note, state.trap.note
        return NOT_KNOWN
    qemu = parse_info_registers(run.stub.monitor("info registers"))
    assert context.address == truth.context
    assert context.sepc.address == qemu["sepc"]
    return RIGHT


def syscall(context: Context | None, truth: Truth) -> None:
    """What the dispatcher was called with is what was in a7 at the trap."""
    if context is not None and truth.syscall is not None:
        assert context.x[17] == truth.syscall


def threads(found: Processor, truth: Truth) -> str:
    """Who runs, who is next, and who waits."""
    assert not [p for p in found.problems if _LOCAL not in p.why], found.problems
    if found.unknown == ALL_UNKNOWN:
        assert not found.threads
        return NOT_KNOWN
    word = RIGHT
    if "current" in found.unknown:
        word = IN_PART
    else:
        assert (found.current.id if found.current else None) == truth.current
    if "ready" in found.unknown:
        word = IN_PART
    else:
        assert [t.id for t in found.ready] == list(truth.queue)
    assert {t.id for t in found.threads if t.status != "dead"} == set(truth.tasks)
    if "sleeping" in found.unknown:
        word = IN_PART
    else:
        assert {t.id for t in found.sleeping} == truth.waiting
    return word


def processes(sets: MemorySets, truth: Truth) -> str:
    """Which processes there are, and whose each thread is."""
    assert not [p for p in sets.problems if _LOCAL not in p.why], sets.problems
    found = [s for s in sets.sets if s.process is not None]
    if not found:
        return NOT_KNOWN
    every = truth.tasks if truth.processes is None else truth.processes
    assert len(found) == len(every)
    held = {number for s in found for number in s.threads}
    assert held == set(truth.tasks)
    return RIGHT


def memory_sets(kernel: Kernel, sets: MemorySets, truth: Truth) -> str:
    """Each process has the table that its threads run with, and nothing is said against it."""
    if not sets.sets:
        return NOT_KNOWN
    word = RIGHT
    for found in sets.sets:
        assert not found.problems, found.problems
        assert found.differences == 0, found
        if found.process is None:
            continue
        satps = {truth.satps[number] for number in found.threads if number in truth.satps}
        assert satps <= {8 << 60 | (found.root_ppn or 0)}
        if not found.segments:
            word = IN_PART
    active = [s for s in sets.sets if s.active]
    assert all(s.root_ppn == kernel.memory.satp.value & _PPN for s in active)
    return word


@dataclass(frozen=True, slots=True)
class HeapCounts:
    """Where gdb says that the allocator's own counts are; None in kernels without."""

    free: int
    total: int

    @classmethod
    def of(cls, run: Run) -> "HeapCounts | None":
        """By gdb, of the ELF."""
        asked = [a for n in ("free", "capacity") for a in ("-ex", f"print/x &{_HEAP}.{n}")]
        done = subprocess.run(
            [tool("gdb-multiarch"), "-nx", "-batch", *asked, str(run.image.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        places = [int(a, 16) for a in re.findall(r"= (0x[0-9a-f]+)", done.stdout)]
        return cls(*places) if len(places) == 2 else None


def heap(run: Run, kernel: Kernel, counts: HeapCounts | None) -> str:
    """What is free and in all, as the allocator counts it."""
    found: Heap = read_heap(kernel)
    assert not found.problems, found.problems
    if counts is None:
        assert found.total is None
        return NONE
    if found.total is None:
        return NOT_KNOWN
    assert found.total == _word(run, counts.total)
    assert found.free == _word(run, counts.free)
    return RIGHT


def _word(run: Run, address: int) -> int:
    """Eight bytes of physical memory, by QEMU's monitor."""
    text = run.stub.monitor(f"xp /1gx {address:#x}")
    return int(text.split(":")[1].split()[0], 16)


def frames(state: KernelState) -> str:
    """The tutorial has no allocator of frames: its heap gives them."""
    assert not state.frames.problems
    assert not state.frames.is_known
    return NONE
