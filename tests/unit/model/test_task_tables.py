"""Kernels that keep their tasks in a table: an index says who runs, or each hart has a pointer."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.image.types import CEnumType, Member, StructType
from rcdbg.kernels.reading import Overlay
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.memory.processes import process_root
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.values.value import DecodeError, Value
from tests.unit.model.kernels import FakeImage, WorldOfStatics
from tests.unit.model.world import BASE

UNUSED, READY, RUNNING, EXITED = range(4)
STATES = (("UnInit", 0), ("Ready", 1), ("Running", 2), ("Exited", 3))
C_STATES = (("UNUSED", 0), ("SLEEPING", 1), ("RUNNABLE", 2), ("RUNNING", 3), ("ZOMBIE", 4))
FREE = tuple(BASE + 0x8_0000 + 0x1000 * number for number in (5, 2, 7))


def kernel_with(world: WorldOfStatics, family: str, tp: int = 0, **symbols: int) -> Kernel:
    """The kernel in S-mode on the hart whose number is in tp, without paging."""
    registers = Registers(BASE, (0, 0, 0, 0, tp, *(0,) * 27), {}, 1)
    target = RamTarget(world.memory, BASE, lambda: registers)
    image: Any = FakeImage(world)
    image.symbols = SimpleNamespace(at=lambda _: None, address_of=symbols.get)
    memory = VirtualMemory(target, 0, image.physical)
    return Kernel(image, target, registers, memory, Overlay(family=family))


class Table(WorldOfStatics):
    """TASK_MANAGER with tasks in these states, and an index."""

    def __init__(
        self, states: Sequence[int], current: int, seed: int = 0, *, is_array: bool = False
    ) -> None:
        super().__init__(seed)
        status = self.add(CEnumType("os::TaskStatus", 1, STATES))
        words = self.array_of(self.u64, 12)
        switch = self.struct("os::TaskContext", [("ra", self.u64), ("sp", self.u64), ("s", words)])
        task = self.struct("os::TaskControlBlock", [("task_status", status), ("task_cx", switch)])
        count = len(states)
        held = self.array_of(task, count) if is_array else self.vec_type(task)
        inner = self.struct("os::TaskManagerInner", [("tasks", held), ("current_task", self.u64)])
        fields = [("num_app", self.u64), ("inner", self.mutex_of(inner))]
        manager = self.static("TASK_MANAGER", self.new(self.struct("os::TaskManager", fields)))
        self.inner = self.guarded(manager["inner"])
        self.set(self.inner, "current_task", current)
        tasks = self.inner["tasks"]
        places: list[Value] = (
            [tasks.element(n) for n in range(count)]
            if is_array
            else self.fill_vec(tasks, count, count)
        )
        for place, state in zip(places, states, strict=True):
            self.write(place["task_status"].address, bytes([state]))


@pytest.mark.parametrize("is_array", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_next_is_the_next_in_the_table(seed: int, is_array: bool) -> None:
    states = (READY, UNUSED, RUNNING, EXITED, READY, READY)
    processor = read_processor(kernel_with(Table(states, 2, seed, is_array=is_array), "v3"))
    assert processor.problems == ()
    assert processor.current is not None
    assert (processor.current.id, processor.current.state) == (2, "Running")
    assert [(t.id, t.position) for t in processor.ready] == [(4, 0), (5, 1), (0, 2)]
    assert [(t.id, t.status) for t in processor.others] == [(3, "dead")]
    assert processor.sleeping == ()
    assert processor.current.process is None, "without address spaces there are no processes"


def test_before_the_first_one_runs_none_does() -> None:
    processor = read_processor(kernel_with(Table((READY, READY), 0), "v3"))
    assert processor.current is None
    assert "current" not in processor.unknown
    assert [t.position for t in processor.ready] == [None, None]
    assert "order of the ready threads is not known" in processor.note


def test_an_index_behind_the_table() -> None:
    processor = read_processor(kernel_with(Table((READY, RUNNING), 7), "v3"))
    assert [p.why for p in processor.problems] == ["7 is the place of no thread"]
    assert processor.unknown == {"current"}
    assert [t.status for t in processor.threads] == ["ready", "unknown"]


class Procs(WorldOfStatics):
    """Two harts run 11 and 12 of a table in C; 13 sleeps, 14 is dead, and three pages are free."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        state = self.add(CEnumType("procstate", 4, C_STATES))
        saved = [(name, self.u64) for name in ("ra", "sp", *(f"s{n}" for n in range(12)))]
        switch = self.struct("context", saved)
        frame = self.struct("trapframe", [("epc", self.u64), ("ra", self.array_of(self.u64, 31))])
        proc = self.struct("proc", [
            ("state", state), ("pid", self.u64), ("pagetable", self.pointer(self.u64)),
            ("trapframe", self.pointer(frame)), ("context", switch), ("kstack", self.u64),
            ("name", self.array_of(self.u8, 16)),
        ])  # fmt: skip
        table = self.static("proc", self.new(self.array_of(proc, 5)))
        harts = self.array_of(
            self.struct("cpu", [("proc", self.pointer(proc)), ("noff", self.u64)]), 4
        )
        cpus = self.static("cpus", self.new(harts))
        for number, (pid, word) in enumerate(((11, 3), (12, 3), (13, 1), (14, 4))):
            place = table.element(number)
            self.set(place, "pid", pid)
            self.put(place["state"].address, word)
            self.put(place["pagetable"].address, FREE[0] + 0x10000 * (number + 1))
            self.put(place["trapframe"].address, self.new(frame).address)
            self.write(place["name"].address, b"sh\0old")
            if word == 3:
                self.put(cpus.element(2 * number)["proc"].address, place.address)
        run = self.add(StructType("run", 8, ()))  # it points to itself
        link = self.pointer(run)
        self.table[run] = StructType("run", 8, (Member("next", link, 0),))
        kmem = self.static(
            "kmem", self.new(self.struct("", [("lock", self.u64), ("freelist", link)]))
        )
        self.put(kmem["freelist"].address, FREE[0])
        for at, following in zip(FREE, (*FREE[1:], 0), strict=True):
            self.put(at, following)


@pytest.mark.parametrize("seed", range(3))
def test_who_runs_on_which_hart(seed: int) -> None:
    world = Procs(seed)
    first = read_processor(kernel_with(world, "xv6", tp=0))
    assert first.problems == ()
    assert first.current is not None
    assert (first.current.id, first.current.name, first.current.state) == (11, "sh", "RUNNING")
    assert [(t.id, t.status) for t in first.others] == [(12, "running"), (14, "dead")]
    assert [t.id for t in first.sleeping] == [13]
    assert "other harts" in first.note
    third = read_processor(kernel_with(world, "xv6", tp=2))
    assert third.current is not None
    assert third.current.id == 12
    assert read_processor(kernel_with(world, "xv6", tp=1)).current is None


def test_processes_by_number_and_by_name() -> None:
    """The table at FREE[0] + 0x10000 * (place + 1) is what the made-up kernel gives each."""
    world = Procs()
    kernel = kernel_with(world, "xv6")
    world.write(kernel_proc(world, 1)["name"].address, b"init\0")
    assert process_root(kernel, 12).ppn << 12 == FREE[0] + 0x20000
    assert process_root(kernel, "init").ppn << 12 == FREE[0] + 0x20000
    with pytest.raises(DecodeError, match=r"process sh: 11, 13, 14 are called so"):
        process_root(kernel, "sh")
    with pytest.raises(DecodeError, match=r"there are 11 \(sh\), 12 \(init\), 13 \(sh\), 14"):
        process_root(kernel, "cat")


def kernel_proc(world: Procs, place: int) -> Value:
    """The process at that place of the table."""
    static = next(s for s in world.known if s.path == "os::proc")
    return world.value(static.type, static.address).element(place)


def test_a_chain_of_free_frames_is_whole_or_a_problem() -> None:
    world = Procs(5)
    frames = read_frames(kernel_with(world, "xv6", end=BASE))
    assert (frames.problems, frames.total) == ((), None)
    assert [i.start << 12 for i in frames.free] == sorted(FREE)
    world.put(FREE[2], FREE[0])
    broken = read_frames(kernel_with(world, "xv6", end=BASE))
    assert ["twice in the chain" in p.why for p in broken.problems] == [True]
    assert broken.is_known is False
    world.put(FREE[2], FREE[0] + 8)
    odd = read_frames(kernel_with(world, "xv6", end=BASE))
    assert ["is linked as free, but is no frame" in p.why for p in odd.problems] == [True]


def test_processes_without_books_of_their_segments() -> None:
    sets = read_memory_sets(kernel_with(Procs(6), "xv6")).sets
    assert [s.number for s in sets] == [11, 12, 13, 14]
    assert all("not known" in s.note and not s.segments for s in sets)
