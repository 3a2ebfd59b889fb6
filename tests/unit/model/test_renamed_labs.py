"""A kernel whose names are all others decodes with a description that says them, in every part."""

import pytest

from rcdbg.kernels.reading import Overlay, overlay_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.memory.processes import process_root
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.thread_memory import ThreadMemory
from tests.unit.model.kernels import LAB, kernel_of
from tests.unit.model.labs import FIRST, FRAMES, LEAKED, ROOT, STACK, STACK_FRAMES, Labs

OTHER = {
    usual: f"{'Other' if usual[0].isupper() else 'other_'}{usual}"
    for usual in (
        "Context", "x", "sstatus", "sepc", "Thread", "id", "stack", "start", "end", "process",
        "inner", "context", "sleeping", "dead", "ThreadInner", "Range", "Process", "is_user",
        "ProcessInner", "memory_set", "MemorySet", "segments", "mapping", "Mapping", "root_ppn",
        "page_tables", "mapped_pairs", "Segment", "range", "flags", "map_type", "Linear", "Framed",
        "Processor", "current_thread", "scheduler", "sleeping_threads", "FifoScheduler", "pool",
        "FrameTracker", "FrameAllocator", "start_ppn", "frames", "allocator", "StackedAllocator",
        "list",
    )
}  # fmt: skip

ALL_NAMES = b"""
family = "lab"
[context]
type = "OtherContext"
registers = "other_x"
sstatus = "other_sstatus"
sepc = "other_sepc"
[processor]
type = "OtherProcessor"
current = "other_current_thread"
ready = "other_scheduler"
sleeping = "other_sleeping_threads"
[thread]
type = "OtherThread"
id = "other_id"
guarded = "other_inner"
sleeping = "other_inner.other_sleeping"
dead = "other_inner.other_dead"
stack_start = "other_stack.other_start"
stack_end = "other_stack.other_end"
process = "other_process"
context = "other_inner.other_context"
[process]
type = "OtherProcess"
is_user = "other_is_user"
space = "other_inner.other_memory_set"
[address_space]
type = "OtherMemorySet"
root_ppn = "other_mapping.other_root_ppn"
areas = "other_segments"
owned = "other_mapping.other_mapped_pairs"
tables = "other_mapping.other_page_tables"
[area]
start = "other_range.other_start"
end = "other_range.other_end"
rights = "other_flags"
kind = "other_map_type"
linear = "OtherLinear"
framed = "OtherFramed"
[frames]
type = "OtherFrameAllocator"
start = "other_start_ppn"
total = "other_frames"
books = "other_allocator"
[frame_tracker]
type = "OtherFrameTracker"
"""
TODAYS_FAULT = {"is_user": "in_user_mode", "stack": "memory"}
TWO_NAMES = b'family = "lab"\nprocess_is_user = "in_user_mode"\nthread_stack = "memory"\n'


def overlay(text: bytes) -> Overlay:
    return overlay_of(text, "kernel.toml")


def decodes_whole(kernel: Kernel) -> None:
    """What the made-up kernel was given, part by part."""
    processor = read_processor(kernel)
    assert processor.problems == ()
    assert processor.current is not None
    assert [t.id for t in processor.threads] == [5, 7, 9]
    assert [(t.id, t.status, t.position) for t in processor.ready] == [(7, "ready", 0)]
    (seven,), (nine,) = processor.ready, processor.sleeping
    assert nine.sleeping is True
    assert all(t.is_user is True and t.locked is False for t in processor.threads)
    assert seven.stack is not None
    assert (seven.stack.start, seven.stack.end) == STACK
    assert seven.context is not None
    assert seven.context.x[2] == STACK[0] + 0x1F00
    assert ThreadMemory(kernel).of(seven) is kernel

    frames = read_frames(kernel)
    assert frames.problems == ()
    assert (frames.total, frames.free_frames) == (FRAMES, FRAMES - 6)
    assert frames.managed is not None
    assert frames.managed.start == FIRST

    (space,) = read_memory_sets(kernel).sets
    assert space.problems == ()
    assert (space.is_user, space.threads, space.root_ppn) == (True, (5, 7, 9), ROOT)
    assert (space.active, space.owned_pages, space.locked) == (True, 2, False)
    (segment,) = space.segments
    assert (segment.start, segment.end, segment.rights) == (*STACK, "rw-u")
    assert (segment.kind, segment.differences, space.books) == ("framed", (), ())
    assert process_root(kernel, space.number).satp.ppn == ROOT

    owners = read_frame_owners(kernel)
    assert (owners.problems, owners.conflicts, owners.complete) == ((), (), True)
    assert [i.start for i in owners.nobody] == [LEAKED]
    (stack,) = [h for h in owners.holdings if h.kind == "page"]
    assert tuple(range(stack.start, stack.end)) == STACK_FRAMES
    assert stack.thread == 7, "whose stack these pages are"
    assert [s.is_user for s in owners.spaces] == [True]


@pytest.mark.parametrize("seed", range(3))
def test_the_usual_names(seed: int) -> None:
    decodes_whole(kernel_of(Labs(seed), ROOT, LAB))


@pytest.mark.parametrize("seed", range(3))
def test_every_name_is_another(seed: int) -> None:
    decodes_whole(kernel_of(Labs(seed, OTHER), ROOT, overlay(ALL_NAMES)))


def test_two_names_told_by_the_flat_keys() -> None:
    """Threads decoded, and owners silently named no stack, while these two stood in the code."""
    decodes_whole(kernel_of(Labs(4, TODAYS_FAULT), ROOT, overlay(TWO_NAMES)))


def test_two_names_that_nobody_tells_are_missed_in_words() -> None:
    kernel = kernel_of(Labs(4, TODAYS_FAULT), ROOT, LAB)
    whys = [p.why for p in read_processor(kernel).ready[0].problems]
    assert any("stack.start" in why for why in whys)
    (space,) = read_memory_sets(kernel).sets
    assert (space.is_user, space.root_ppn) == (None, ROOT)
    assert ["has no is_user" in p.why for p in space.problems] == [True]


def test_of_a_kernel_that_nobody_knows_each_part_says_so() -> None:
    world = Labs(5, OTHER)
    kernel = kernel_of(world, ROOT, overlay(b""))
    assert kernel.description.family == "unknown"
    for problems in (
        read_processor(kernel).problems,
        read_frames(kernel).problems,
        read_memory_sets(kernel).problems,
    ):
        assert ["does not recognise this kernel" in p.why for p in problems] == [True]
    owners = read_frame_owners(kernel)
    assert (owners.holdings, owners.nobody, owners.complete) == ((), (), False)
