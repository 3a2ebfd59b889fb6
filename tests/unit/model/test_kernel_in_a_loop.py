"""Kernels whose main loop runs each task: threads meant by id, by table, or by who is first."""

from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.types import Member, StructType
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.trap import read_trap
from rcdbg.model.values.value import Value
from rcdbg.riscv import pages, pte
from tests.unit.model.kernels import FakeImage, WorldOfStatics
from tests.unit.model.world import BASE, SIZE

ROOT = BASE + 0x8_0000 >> 12
CODE = ROOT + 12
PC = 0x1_0000


def _text() -> SimpleNamespace:
    return SimpleNamespace(name=".text", address=BASE, size=64, flags="ax")


class Loop(WorldOfStatics):
    """Processes 3, 4 and 5. With a processor 4 runs, 5 is ready, 3 waits; else they are a list."""

    def __init__(self, seed: int = 0, *, has_processor: bool = True) -> None:
        super().__init__(seed)
        words = self.array_of(self.u64, 31)
        local = self.struct("os::LocalContext", [("x", words), ("sepc", self.u64)])
        foreign = self.struct("os::ForeignContext", [("context", local), ("satp", self.u64)])
        page = self.add(StructType("os::PageNumber<Sv39>", 8, (Member("__0", self.u64, 0),)))
        span = self.struct("core::ops::range::Range<T>", [("start", page), ("end", page)])
        fields = [("areas", self.vec_type(span)), ("page_manager", self.pointer(self.u64))]
        space = self.struct("os::AddressSpace<Meta>", fields)
        own = [("pid", self.u64)] if has_processor else [("program_brk", self.u64)]
        process = [*own, ("context", foreign), ("address_space", space)]
        tasks = self.vec_type(self.struct("os::Process", process))
        if has_processor:
            listed = self._processor(tasks)
        else:
            cell = self.struct("core::cell::UnsafeCell<T>", [("value", tasks)])
            listed = self.static("PROCESSES", self.new(cell))["value"]
        self.processes = self.fill_vec(listed, 3, 3)
        for number, value in enumerate(self.processes):
            self._write(value, number)
        counts = [("capacity", self.u64), ("free", self.u64)]
        heap = self.static("HEAP", self.new(self.struct("os::BuddyAllocator<21>", counts)))
        self.set(heap, "capacity", 1000)
        self.set(heap, "free", 300)

    def _processor(self, tasks: int) -> Value:
        queue = self.vec_type(self.u64, "alloc::collections::vec_deque::VecDeque<T>")
        manager = self.struct("os::ProcManager", [("tasks", tasks), ("ready_queue", queue)])
        held = self.struct("os::PManager<P>", [
            ("manager", self.option(manager)), ("current", self.option(self.u64)),
        ])  # fmt: skip
        cell = self.struct("core::cell::UnsafeCell<T>", [("value", held)])
        static = self.static("PROCESSOR", self.new(self.struct("os::Processor", [("inner", cell)])))
        inner = static["inner"]["value"]
        self.put(inner["manager"].address, 1)
        self.put(inner["current"].address, 1)
        self.set(inner["current"].variant()[1], "__0", 4)
        known = inner["manager"].variant()[1]["__0"]
        (ready,) = self.fill_vec(known["ready_queue"], 1, 2, 1)
        self.put(ready.address, 5)
        return known["tasks"]

    def _write(self, value: Value, number: int) -> None:
        root = ROOT + 3 * number
        if value.has("pid"):
            self.set(value, "pid", 3 + number)
        self.set(value, "context", "satp", 8 << 60 | root)
        self.set(value, "context", "context", "sepc", PC + 2 * number)
        self.set(value, "address_space", "page_manager", root << 12)
        (area,) = self.fill_vec(value["address_space"]["areas"], 1, 1)
        self.put(area["start"].address, PC >> 12)
        self.put(area["end"].address, (PC >> 12) + 1)
        levels = ((root, root + 1, 2), (root + 1, root + 2, 1))
        for table, frame, level in levels:
            self.put((table << 12) + 8 * pages.index(PC, level), frame << 10 | pte.V)
        bits = pte.V | pte.R | pte.X | pte.U
        self.put((root + 2 << 12) + 8 * pages.index(PC, 0), CODE << 10 | bits)

    def kernel(self, **csrs: int) -> Kernel:
        """The kernel in S-mode without paging, or in U-mode with the `satp` that is given."""
        privilege = 0 if "satp" in csrs else 1
        registers = Registers(BASE, (0,) * 32, csrs, privilege)
        target = RamTarget(self.memory, BASE, lambda: registers)
        image: Any = FakeImage(self, [_text()])
        image.physical = lambda va: va if BASE <= va < BASE + SIZE else None
        image.call_frames = SimpleNamespace(at=lambda _: None)
        image.symbols.covering = lambda _: None
        image.lines = SimpleNamespace(lookup=lambda _: None)
        image.read = lambda *_: None
        memory = VirtualMemory(target, csrs.get("satp", 0), image.physical)
        return Kernel(image, target, registers, memory, Overlay(family="tg"))


@pytest.mark.parametrize("seed", range(4))
def test_threads_that_are_meant_by_id(seed: int) -> None:
    kernel = Loop(seed).kernel(scause=8, sepc=PC + 2)
    processor = read_processor(kernel)
    assert processor.problems == ()
    assert processor.current is not None
    assert (processor.current.id, processor.current.is_user) == (4, True)
    assert [(t.id, t.position) for t in processor.ready] == [(5, 0)]
    assert [t.id for t in processor.sleeping] == [3]
    assert all(t.problems == () for t in processor.threads)


@pytest.mark.parametrize("seed", range(4))
def test_a_list_whose_first_runs(seed: int) -> None:
    world = Loop(seed, has_processor=False)
    processor = read_processor(world.kernel(scause=8, sepc=PC))
    assert processor.current is not None
    assert processor.current.id == 0
    assert [(t.id, t.position) for t in processor.ready] == [(1, 0), (2, 1)]
    before = read_processor(world.kernel(scause=0))
    assert before.current is None, "no trap has come yet"


def test_the_id_of_nobody_is_a_problem() -> None:
    world = Loop(1)
    inner = world.value(world.known[0].type, world.known[0].address)["inner"]["value"]
    world.set(inner["current"].variant()[1], "__0", 77)
    processor = read_processor(world.kernel(scause=8))
    assert [p.why for p in processor.problems] == ["77 is the id of no thread"]


def test_each_ones_table_and_its_books() -> None:
    kernel = Loop(2).kernel(scause=8, satp=8 << 60 | ROOT + 3)
    sets = [s for s in read_memory_sets(kernel).sets if s.process is not None]
    assert [(s.number, s.root_ppn, s.active) for s in sets] == [
        (3, ROOT, False),
        (4, ROOT + 3, True),
        (5, ROOT + 6, False),
    ]
    assert [s.differences for s in sets] == [0, 0, 0]
    assert sets[0].segments[0].rights == "", "the books do not tell"


def test_a_trap_that_the_loop_handles() -> None:
    world = Loop(3)
    handled = read_trap(world.kernel(scause=8, sepc=PC + 2))
    assert (handled.note, handled.cause) == ("handling a trap", "environment call from U-mode")
    assert handled.context is not None
    assert (handled.context.sepc.address, handled.context.sstatus) == (PC + 2, None)
    # Another's: the one that runs now has not trapped yet.
    other = read_trap(world.kernel(scause=8, sepc=PC + 0x100))
    assert (other.context, other.cause) == (None, None)
    assert read_trap(world.kernel(scause=8, satp=8 << 60 | ROOT)).note == "no trap is being handled"


def test_the_heap_as_it_counts_and_no_frame_allocator() -> None:
    kernel = Loop(4).kernel(scause=8)
    heap, frames = read_heap(kernel), read_frames(kernel)
    assert (heap.total, heap.free, heap.allocated, heap.problems) == (1000, 300, 700, ())
    assert (frames.is_known, frames.problems) == (False, ())
    assert "knows of none" in frames.note
