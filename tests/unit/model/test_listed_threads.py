"""Kernels that list their threads: each part, under other names, in a user's table, and broken."""

import pytest

from rcdbg.errors import UsageError
from rcdbg.kernels.reading import Overlay, overlay_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.serial import state as serial
from rcdbg.model.threads.call_stacks import read_call_stacks, read_thread
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.trap import read_trap
from tests.unit.model.tasks import (
    BACK,
    CONTEXTS,
    END,
    ENTRY,
    FIRST,
    KERNEL,
    NEXT,
    STACK_END,
    TASK_START,
    TRAMPOLINE,
    USER_PC,
    USERS,
    Tasks,
)

RENAMED = {"task_status": "doing", "trap_cx_ppn": "frame", "tid": "number", "current": "now"}
TOLD = overlay_of(
    b"""
[thread]
state = "inner.doing"
context_ppn = "inner.frame"
id = "inner.res.number"
[processor]
at = "PROCESSOR"
current = "now"
[frames]
next = "now"
""",
    "kernel.toml",
)


def decodes_whole(kernel: Kernel) -> None:
    """What the made-up kernel was given."""
    processor = read_processor(kernel)
    assert processor.problems == ()
    assert processor.unknown == frozenset()
    current, (ready,), (asleep,) = processor.current, processor.ready, processor.sleeping
    assert current is not None
    assert [(t.id, t.process_id, t.state) for t in (current, ready, asleep)] == [
        (0, 1, "Running"),
        (0, 2, "Ready"),
        (1, 1, "Blocked"),
    ]
    assert (ready.position, ready.is_user, current.context) == (0, True, None)
    assert all(t.problems == () for t in processor.threads)
    assert ready.context is not None
    assert (ready.context.address, ready.context.sepc.address) == (CONTEXTS[20] << 12, USER_PC + 20)
    assert ready.kernel_stack is not None
    assert (ready.kernel_stack.start, ready.kernel_stack.end) == (STACK_END - 0x1000, STACK_END)
    assert ready.switch is not None
    assert (ready.switch.ra.symbol, ready.stack_used) == ("trap_return", 0x100)

    frames = read_frames(kernel)
    assert frames.problems == ()
    assert [(i.start, i.end) for i in frames.free] == [(BACK, END)]
    assert (frames.total, frames.free_frames) == (END - FIRST, END - NEXT + 1)

    own, first, second = read_memory_sets(kernel).sets
    assert (own.process, own.root_ppn, own.is_user) == (None, KERNEL, False)
    assert [(s.number, s.root_ppn, s.threads) for s in (first, second)] == [
        (1, USERS[0], (0, 1)),
        (2, USERS[1], (0,)),
    ]
    assert [s.differences for s in (first, second)] == [0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_all_of_it(seed: int) -> None:
    decodes_whole(Tasks(seed, more=("syscall_times", "start_time")).kernel())


def test_other_names_are_told() -> None:
    world = Tasks(1, RENAMED)
    decodes_whole(world.kernel(Overlay(TOLD.entries, "v3")))


def test_while_a_users_table_is_in_satp() -> None:
    """In U-mode nothing of the kernel is mapped: "none is running" would be wrong."""
    kernel = Tasks(2).kernel(root=USERS[0], pc=USER_PC, privilege=0)
    processor = read_processor(kernel)
    assert processor.current is not None
    assert [t.process_id for t in processor.threads] == [1, 2, 1]
    assert read_frames(kernel).free_frames == END - NEXT + 1
    assert [s.active for s in read_memory_sets(kernel).sets] == [False, True, False]
    assert read_trap(kernel).note == "no trap is being handled"


def test_code_in_the_trampoline_has_its_symbol() -> None:
    kernel = Tasks(3).kernel()
    place = kernel.place(TRAMPOLINE)
    assert (place.address, place.symbol, place.offset) == (TRAMPOLINE, "__alltraps", 0)
    assert kernel.linked(TRAMPOLINE + 4) == ENTRY + 4
    assert kernel.place(USER_PC).symbol is None


def test_a_thread_that_never_ran_starts_at_a_function_and_goes_on_in_user_code() -> None:
    stacks = {s.thread.status: s.backtrace for s in read_call_stacks(Tasks(4).kernel()).stacks}
    found = stacks["ready"]
    assert found is not None
    assert [f.pc.address for f in found.frames] == [TASK_START, ENTRY, USER_PC + 20]
    assert [f.is_trap for f in found.frames] == [False, True, False]
    assert found.note.startswith("it has not run yet")
    assert found.problems == ()


def test_an_id_that_two_have_is_no_fault_and_no_answer() -> None:
    kernel = Tasks(5).kernel()
    with pytest.raises(UsageError, match="2 threads have the id 0") as refused:
        read_thread(kernel, 0)
    ready = read_processor(kernel).ready[0]
    assert f"{ready.address:#x} of process 2" in str(refused.value)
    assert read_thread(kernel, ready.address).thread.process_id == 2
    assert read_thread(kernel, 1).thread.state == "Blocked"


def test_a_thread_twice_in_the_queue() -> None:
    world = Tasks(6)
    (queue,) = [s for s in world.known if s.path == "os::TASK_MANAGER"]
    held = world.get(world.guarded(world.value(queue.type, queue.address)), "ready_queue")
    for place in world.fill_vec(held, 2, 4, 3):
        world._link(place, 20)
    processor = read_processor(world.kernel())
    assert [p.why for p in processor.problems] == ["is 2 times in the ready queue"]


def test_stride_scheduling_has_an_order_that_is_not_known() -> None:
    world = Tasks(7, more=("stride",))
    processor = read_processor(world.kernel())
    assert [t.position for t in processor.ready] == [None]


def test_lists_that_are_nonsense_are_problems_and_the_rest_goes_on() -> None:
    world = Tasks(8)
    (listed,) = [s for s in world.known if s.path == "os::PID2PCB"]
    world.set(world.value(listed.type, listed.address), "len", 1 << 60)
    kernel = world.kernel()
    processor = read_processor(kernel)
    assert processor.problems
    assert processor.unknown == {"ready", "sleeping"}
    assert serial.threads(processor)["sleeping"] is None
    assert processor.current is not None
    assert next(s.process for s in read_memory_sets(kernel).sets) is None
    assert read_frames(kernel).free_frames == END - NEXT + 1


def test_without_its_statics_nothing_is_said_to_be_zero() -> None:
    world = Tasks(9)
    world.known.clear()
    kernel = world.kernel()
    processor, frames = read_processor(kernel), read_frames(kernel)
    assert processor.unknown == {"current", "ready", "sleeping"}
    document = serial.threads(processor)
    assert (document["ready"], document["sleeping"]) == (None, None)
    assert (serial.frames(frames)["free"], frames.is_known) == (None, False)
    assert frames.problems


def test_a_lock_that_is_held_is_told_and_excuses_what_is_half_done() -> None:
    world = Tasks(10)
    assert read_processor(world.kernel()).locked is False
    (queue,) = [s for s in world.known if s.path == "os::TASK_MANAGER"]
    lock = world.value(queue.type, queue.address)
    held = world.get(world.guarded(lock), "ready_queue")
    for place in world.fill_vec(held, 2, 4, 3):
        world._link(place, 20)
    world.write(lock["inner"]["lock"]["__0"].address, b"\1")
    processor = read_processor(world.kernel())
    assert (processor.locked, processor.problems) == (True, ())
    assert "the lock is held" in processor.note
