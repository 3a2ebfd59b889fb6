"""The owners of frames and the heap of the real kernel, against what it and QEMU say."""

import re

import pytest

from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.values.value import Value
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached, trap
from rcdbg.views.memory import frame_map, heap
from rcdbg.views.render import render_text
from tests.support.dump import parse_dump
from tests.support.frozen import Frozen
from tests.support.qemu_account import parse_info_mem

pytestmark = pytest.mark.every_kernel

PREEMPT = ("preempt", "interval=200000")


@pytest.fixture
def frozen(rcdbg_boot: BootKernel) -> Frozen:
    run = rcdbg_boot(*PREEMPT)
    for _ in range(3):
        run.until(trap("timer"))
    return Frozen.of(run.machine)


def test_every_frame_has_an_owner_and_stacks_have_their_threads(rcdbg_boot: BootKernel) -> None:
    tick = 3
    run = rcdbg_boot("preempt", f"dump={tick} interval=200000")
    for _ in range(tick):
        run.until(trap("timer"))
    owners = read_frame_owners(run.kernel())
    with Monitor(run.machine.qemu.qmp_socket) as monitor:
        mapped = parse_info_mem(monitor.hmp("info mem"))
    run.machine.stub.resume()
    run.machine.qemu.console.wait_for("[dump] end", 30)
    dump = parse_dump(run.console)
    assert not owners.problems
    assert not owners.conflicts
    assert owners.complete
    assert owners.leaked == 0
    assert dump.used == owners.frames("table") + owners.frames("page")
    # The kernel is in the upper half; what QEMU sees in the lower one are the framed pages.
    framed = [(m.va, m.pa, m.size) for m in mapped if m.va < 1 << 38]
    theirs = {(va + at, pa + at) for va, pa, size in framed for at in range(0, size, 4096)}
    ours = {
        ((h.va or 0) + 4096 * number, (h.start + number) * 4096)
        for h in owners.holdings
        if h.kind == "page"
        for number in range(h.frames)
    }
    assert ours == theirs
    threads = [dump.current, *dump.ready]
    assert len(threads) == 3
    for thread in threads:
        assert thread is not None
        start, end = thread["stack"]
        pages = [h for h in owners.holdings if h.thread == thread["id"]]
        assert sum(h.frames for h in pages) == (end - start) // 4096
        assert min(h.va or 0 for h in pages) == start


def test_frames_that_only_a_local_variable_has_are_nobodys(rcdbg_boot: BootKernel) -> None:
    """`frames` takes 100 frames into a local Vec, and drops every second one of them."""
    run = rcdbg_boot("frames")
    found = []
    for _ in range(4):
        run.until(reached("frames::print_state"))
        found.append(read_frame_owners(run.kernel()))
    run.until(reached("scenarios::shutdown"))
    said = [
        tuple(int(n) for n in line)
        for line in re.findall(r": (\d+) of (\d+) frames taken, (\d+) free", run.console)
    ]
    for owners, (used, total, intervals) in zip(found, said, strict=False):
        assert (owners.allocator.used, owners.allocator.total) == (used, total)
        assert len(owners.allocator.free) == intervals
        assert not owners.conflicts
        assert owners.leaked == used - said[0][0]
    assert [owners.leaked for owners in found] == [0, 100, 50, 100]


def trackers(kernel: Kernel) -> list[Value]:
    """The frame trackers of mapped pages, read in a way of the test's own."""
    from rcdbg.model.values.containers import arc, dig, elements, lazy

    static = next(
        s
        for s in kernel.image.types.statics()
        if "KERNEL_PROCESS" in s.path and kernel.image.types.type(s.type).size
    )
    held = lazy(Value(kernel.space, static.type, static.address, "KERNEL_PROCESS"))
    assert held is not None
    return [pair["__1"] for pair in elements(dig(arc(held), "mapped_pairs"))]


def put(frozen: Frozen, va: int, word: int) -> None:
    frozen.write(frozen.kernel().memory.physical(va), word.to_bytes(8, "little"))


def test_a_frame_in_two_trackers(frozen: Frozen) -> None:
    first, second = trackers(frozen.kernel())[:2]
    frame, lost = first.scalar(), second.scalar()
    put(frozen, second.address, frame)
    owners = read_frame_owners(frozen.kernel())
    (conflict,) = owners.conflicts
    assert (conflict.frame, conflict.kind) == (frame, "owned twice")
    assert sum("mapped_pairs[" in claim for claim in conflict.claims) == 2
    # The page whose tracker is gone is still mapped.
    untracked = [h for h in owners.holdings if not h.tracked]
    assert [(h.start, h.end) for h in untracked] == [(lost, lost + 1)]
    assert "owned twice" in render_text(frame_map.view(owners), width=100)


def test_a_mapped_frame_that_is_free(frozen: Frozen) -> None:
    """The pages' trackers and the page table say what they said; the allocator starts anew."""
    before = read_frame_owners(frozen.kernel())
    victim = next(h for h in before.holdings if h.kind == "page" and h.frames > 4)
    kernel = frozen.kernel()
    flip_free(frozen, kernel, victim.start)
    after = read_frame_owners(frozen.kernel())
    (conflict,) = after.conflicts
    assert (conflict.frame, conflict.kind) == (victim.start, "free but owned")
    assert any(f"mapped at {victim.va:#x}" in claim for claim in conflict.claims)


def flip_free(frozen: Frozen, kernel: Kernel, frame: int) -> None:
    """Make a frame free in the allocator's books, whichever they are."""
    from rcdbg.model.values.containers import byte_string, find_struct, lazy, mutex, pointer_in

    static = lazy(kernel.static_holding("FrameAllocator"))
    assert static is not None
    owner = find_struct(mutex(static).value, "FrameAllocator")
    books, index = owner["allocator"], frame - owner["start_ppn"].scalar()
    for field in books.fields():
        if "Vec<u8" in field.type.name:
            bit = index + books["leaf_count"].scalar()
            byte = byte_string(field)[bit // 8] & ~(1 << bit % 8)
            place = pointer_in(field["buf"]).scalar() + bit // 8
            frozen.write(kernel.memory.physical(place), bytes([byte]))
            return
    # A list of intervals: one of them becomes the frame's.
    (first, second) = next(iter(elements_of(books))).fields()
    put(frozen, first.address, index)
    put(frozen, second.address, index + 1)


def elements_of(books: Value) -> list[Value]:
    from rcdbg.model.values.containers import elements, is_container

    return next(list(elements(f)) for f in books.fields() if is_container(f))


def test_before_the_kernel_has_started(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    owners: FrameOwners = read_frame_owners(run.kernel())
    assert (owners.note.split(":")[0], owners.holdings) == ("not initialised yet", ())
    assert read_heap(run.kernel()).note == "no memory was given to it yet"


def test_the_heap_counts_as_the_kernel_does(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("heap")
    run.until(reached("scenarios::shutdown"))
    said = re.search(r"heap: .*, (\d+) in (\d+) after", run.console)
    assert said is not None
    found = read_heap(run.kernel())
    assert not found.problems
    assert (found.requested, found.allocated) == (int(said[1]), int(said[2]))
    assert found.allocated is not None
    assert found.total == found.allocated + found.free
    assert found.start is not None
    assert found.end is not None
    assert found.end - found.start == 0x80_0000


def test_the_heap_in_use_is_whole(frozen: Frozen) -> None:
    found = read_heap(frozen.kernel())
    assert not found.problems
    assert found.blocks >= len(found.lists) > 5
    text = render_text(heap.view(found), width=80)
    assert "largest allocation that would succeed" in text


def test_a_free_block_that_was_written_to(frozen: Frozen) -> None:
    """Use after free: the first word of a free block is a link."""
    before = read_heap(frozen.kernel())
    victim = before.lists[-2]
    put(frozen, victim.blocks[-1], 0x1234_5678)
    after = read_heap(frozen.kernel())
    assert [found.order for found in after.lists if found.broken] == [victim.order]
    (problem,) = after.problems
    assert f"the block at {victim.blocks[-1]:#x} leads to 0x12345678" in problem.why
    assert "broken here" in render_text(heap.view(after), width=100)
