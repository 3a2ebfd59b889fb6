"""What threads wait for, and whose child is whose: by construction, and where memory is damaged."""

from dataclasses import replace

import pytest

from rcdbg.model.serial import state as serial
from rcdbg.model.serial import tasks as serial_tasks
from rcdbg.model.state import Thread
from rcdbg.model.tasks.relatives import read_processes
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.values.statics import short_name
from rcdbg.views.render import render_text
from rcdbg.views.threads import processes as processes_view
from rcdbg.views.threads import threads as threads_view
from tests.unit.model.kernels import WorldOfStatics
from tests.unit.model.test_task_tables import kernel_with
from tests.unit.model.waiting import CHILDS_CODE, DUE, EXIT_CODE, Waiting


def by_id(world: Waiting) -> dict[int | None, Thread]:
    return {thread.id: thread for thread in read_processor(world.kernel()).threads}


@pytest.mark.parametrize("seed", range(4))
def test_what_each_waits_for(seed: int) -> None:
    world = Waiting(seed)
    threads = by_id(world)
    waits = {n: threads[n].waits for n in (10, 11, 12, 13)}
    assert waits[10] == ()
    for number in (11, 12):
        (wait,) = waits[number] or ()
        assert (wait.kind, wait.what) == ("Semaphore", "PID2PCB[0].inner.semaphore_list[1]")
    mutex, timer = waits[13] or ()
    assert (mutex.kind, mutex.address) == ("MutexBlocking", world.mutex.address)
    assert (timer.kind, timer.until, timer.unit) == ("timer", DUE, "expire_ms")
    assert read_processor(world.kernel()).problems == ()


@pytest.mark.parametrize("seed", range(3))
def test_a_queue_under_another_name_is_found_by_what_it_holds(seed: int) -> None:
    threads = by_id(Waiting(seed, queue="sleepers"))
    for number in (11, 12):
        assert [w.kind for w in threads[number].waits or ()] == ["Semaphore"]


def test_one_that_sleeps_in_no_queue_is_not_known() -> None:
    threads = by_id(Waiting(1, on_semaphore=(12,)))
    assert threads[11].status == "sleeping"
    assert threads[11].waits is None
    assert serial.thread(threads[11])["waits"] is None
    text = render_text(threads_view.view(read_processor(Waiting(1, (12,)).kernel())), 120)
    assert text.count("what it waits for is not known") == 1
    assert "waits for Semaphore PID2PCB[0].inner.semaphore_list[1]" in text
    assert f"until expire_ms {DUE:,}" in text


def test_a_queue_that_is_nonsense_is_a_problem_and_the_others_are_told() -> None:
    world = Waiting(2)
    queue = world.guarded(world.mutex["inner"])["wait_queue"]
    world.set(queue, "len", 1 << 40)
    threads = by_id(world)
    assert [w.kind for w in threads[13].waits or ()] == ["timer"]
    assert [w.kind for w in threads[11].waits or ()] == ["Semaphore"]
    assert [p.where for p in read_processor(world.kernel()).problems] == [
        "PID2PCB[0].inner.mutex_list[0].inner.wait_queue"
    ]


def test_an_unknown_vtable_is_a_problem() -> None:
    world = Waiting(3)
    world.vtables.clear()
    threads = by_id(world)
    assert [w.kind for w in threads[12].waits or ()] == ["Semaphore"]
    assert len(read_processor(world.kernel()).problems) == 1


def test_a_thread_with_an_exit_code_is_dead_whatever_its_state_says() -> None:
    dead = [t for t in read_processor(Waiting().kernel()).threads if t.status == "dead"]
    assert [(t.state, t.exit_code, t.id) for t in dead] == [("Running", EXIT_CODE, None)]
    assert threads_view.status(dead[0]) == f"dead, exit code {EXIT_CODE}"


@pytest.mark.parametrize("seed", range(3))
def test_parents_children_and_zombies(seed: int) -> None:
    tree = read_processes(Waiting(seed).kernel())
    assert tree.problems == ()
    first, second = tree.entries
    assert (first.id, first.parent, first.parent_is_known, first.children) == (1, None, True, (2,))
    assert (first.is_dead, first.exit_code) == (False, None)
    assert (second.id, second.parent, second.children) == (2, 1, ())
    assert (second.is_dead, second.state, second.exit_code) == (True, "zombie", CHILDS_CODE)
    text = render_text(processes_view.view(tree), 100)
    assert f"zombie, exit code {CHILDS_CODE}" in text
    document = serial_tasks.processes(tree)
    assert document["processes"][1]["exit_code"] == CHILDS_CODE


def test_a_parent_that_is_gone_is_none() -> None:
    world = Waiting(1)
    world.put(world.inner(2)["parent"].address, (1 << 64) - 1)  # a Weak that belongs to nothing
    assert read_processes(world.kernel()).entries[1].parent is None


def test_relations_are_unknown_where_the_kernel_keeps_none() -> None:
    tree = read_processes(kernel_with(WorldOfStatics(), "tg"))
    assert tree.entries == ()
    assert tree.note


def test_a_static_condition_variable_goes_by_its_handle() -> None:
    """A lazy_static's data is called LAZY, in a function of a trait; nobody knows it by that."""
    world = WorldOfStatics(3)
    world.static("STDIN", world.new(world.u64))
    (plain,) = world.known
    path = "<os::STDIN as core::ops::deref::Deref>::deref::__stability::LAZY"
    lazy = replace(plain, path=path)
    assert [short_name(static) for static in (plain, lazy)] == ["STDIN", "STDIN"]
