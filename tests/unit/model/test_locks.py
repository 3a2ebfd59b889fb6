"""Locks and cells: those that are taken are told, wherever they lie; others are only counted."""

import pytest

from rcdbg.image.types import Member, StructType
from rcdbg.model.serial import tasks as serial
from rcdbg.model.tasks.locks import read_locks
from rcdbg.model.values.value import Value
from rcdbg.views.render import render_text
from rcdbg.views.threads import locks as view
from tests.unit.model.kernels import WorldOfStatics
from tests.unit.model.test_task_tables import kernel_with
from tests.unit.model.values import ref_cell
from tests.unit.model.waiting import Waiting


def ticket_lock(world: WorldOfStatics, field: str, next_: int, serving: int) -> Value:
    """spin's TicketMutex, whose data is `value` in some versions and `data` in others."""
    cell = world.struct("core::cell::UnsafeCell<usize>", [("value", world.u64)])
    inner = world.struct("spin::mutex::ticket::TicketMutex<usize>", [
        ("next_ticket", world.u64), ("next_serving", world.u64), (field, cell),
    ])  # fmt: skip
    value = world.new(world.struct("spin::mutex::Mutex<usize>", [("inner", inner)]))
    world.set(value, "inner", "next_ticket", next_)
    world.set(value, "inner", "next_serving", serving)
    return value


@pytest.mark.parametrize("field", ["data", "value"])
def test_what_is_taken(field: str) -> None:
    world = WorldOfStatics(len(field))
    world.static("WRITTEN", ref_cell(world, 7, -1))
    world.static("READ", ref_cell(world, 7, 2))
    world.static("IDLE", ref_cell(world, 7, 0))
    world.static("HELD", world.spin_mutex(1, locked=True))
    world.static("OPEN", world.spin_mutex(1, locked=False))
    world.static("QUEUED", ticket_lock(world, field, 5, 2))
    found = read_locks(kernel_with(world, "v3"))
    assert found.problems == ()
    assert found.count == 6
    assert {(lock.path, lock.kind, lock.state) for lock in found.taken} == {
        ("WRITTEN", "RefCell", "borrowed mutably"),
        ("READ", "RefCell", "borrowed by 2"),
        ("HELD", "Mutex", "locked"),
        ("QUEUED", "Mutex", "locked, 2 waiting"),
    }
    assert {lock.holder for lock in found.taken} == {""}
    text = render_text(view.view(found), 100)
    assert "4 of 6 locks and cells are taken" in text
    assert text.count("not known") == 4
    assert serial.locks(found)["taken"][0]["holder"] is None


def test_those_of_processes_and_threads_are_found() -> None:
    world = Waiting(2)
    lock = world.behind(world.threads[12])["inner"]["inner"]["lock"]["__0"]
    world.write(lock.address, b"\1")
    (taken,) = read_locks(world.kernel()).taken
    assert taken.path == "PID2PCB[0].inner.tasks[2].inner"
    assert taken.state == "locked"


class OfC(WorldOfStatics):
    """A table of buffers with sleeplocks, which have spinlocks, beside a spinlock; two harts."""

    def __init__(self) -> None:
        super().__init__(3)
        hart = self.struct("cpu", [("proc", self.u64), ("noff", self.u64)])
        cpus = self.static("cpus", self.new(self.array_of(hart, 4)))
        spin = self.struct("spinlock", [("locked", self.u64), ("cpu", self.pointer(hart))])
        sleep = self.struct("sleeplock", [("locked", self.u64), ("lk", spin), ("pid", self.u64)])
        buffer = self.struct("buf", [("lock", sleep), ("data", self.array_of(self.u8, 16))])
        cache = self.struct("cache", [("lock", spin), ("buf", self.array_of(buffer, 3))])
        self.cache = self.static("bcache", self.new(cache))
        self.set(self.cache, "lock", "locked", 1)
        self.set(self.cache, "lock", "cpu", cpus.element(2).address)
        held = self.cache["buf"].element(1)["lock"]
        self.set(held, "locked", 1)
        self.set(held, "pid", 7)


def test_locks_of_c_tell_their_holders() -> None:
    found = read_locks(kernel_with(OfC(), "xv6"))
    assert found.problems == ()
    # Those inside of sleeplocks are theirs, and short.
    assert {(lock.path, lock.holder) for lock in found.taken} == {
        ("bcache.lock", "cpus[2]"),
        ("bcache.buf[1].lock", "process 7"),
    }


def test_a_pointer_to_nowhere_is_a_problem_and_the_others_are_told() -> None:
    world = WorldOfStatics(4)
    lock = world.mutex_of(world.u64)
    pointer = world.wrapped("alloc::boxed::Box<T>", world.pointer(lock))
    bad = world.add(StructType("os::Holder", 8, (Member("lock", pointer, 0),)))
    world.put(world.static("BAD", world.new(bad)).address, 0x10)
    world.static("HELD", world.spin_mutex(1, locked=True))
    found = read_locks(kernel_with(world, "v3"))
    assert [lock.path for lock in found.taken] == ["HELD"]
    assert len(found.problems) == 1
