"""Heaps of other crates: what an encoder of the crate's own definition writes comes back."""

import pytest

from rcdbg.image.types import Member, StructType, TypeId
from rcdbg.kernels.reading import Overlay
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.serial import memory as serial
from rcdbg.model.values.value import Value
from rcdbg.views.memory import heap as view
from rcdbg.views.render import render_text
from tests.unit.model.kernels import WorldOfStatics, kernel_of

V3 = Overlay(family="v3")
AREA = 0x4000


def decode(world: WorldOfStatics, overlay: Overlay = V3) -> Heap:
    return read_heap(kernel_of(world, overlay=overlay))


class Lists(WorldOfStatics):
    """What the crates have in common: a struct that points to its own kind, and an area."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.area = self.alloc(AREA)

    def node(self, name: str, *before: str) -> tuple[TypeId, TypeId]:
        """A struct of words and an Option of a pointer to the next one; and that Option."""
        made = self.add(StructType(name, 8, ()))
        link = self.option_pointer(self.wrapped("NonNull", self.pointer(made)))
        fields = [*before, "next"]
        members = tuple(
            Member(field, link if field == "next" else self.u64, 8 * place)
            for place, field in enumerate(fields)
        )
        self.table[made] = StructType(name, 8 * len(fields), members)
        return made, link

    def hold(self, name: str, kind: TypeId) -> Value:
        value = self.static("HEAP", self.new(self.mutex_of(kind)))
        return self.guarded(value)


class Holes(Lists):
    """linked_list_allocator 0.10, or 0.9, with these holes (offset, size)."""

    def __init__(self, holes: list[tuple[int, int]], *, old: bool = False, seed: int = 0) -> None:
        super().__init__(seed)
        hole, _ = self.node("linked_list_allocator::hole::Hole", "size")
        self.hole = hole
        byte = self.pointer(self.u8)
        fields = [("first", hole)]
        if not old:
            fields += [("bottom", byte), ("top", byte), ("pending_extend", self.u8)]
        books = self.struct("linked_list_allocator::hole::HoleList", fields)
        own = [("used", self.u64), ("holes", books)]
        own += [("bottom", self.u64), ("size", self.u64)] if old else []
        self.heap = self.hold("Heap", self.struct("linked_list_allocator::Heap", own))
        self.set(self.heap, "used", AREA - sum(size for _, size in holes))
        place = self.heap if old else self.heap["holes"]
        self.set(place, "bottom", self.area)
        self.set(place, *(("size", AREA) if old else ("top", self.area + AREA)))
        link = self.heap["holes"]["first"]["next"].address
        for offset, size in holes:
            at = self.area + offset
            self.put(link, at)
            self.put(at, size)
            link = at + 8


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("holes", [[], [(0x10, 0x20)], [(0, 16), (0x100, 0x700), (0x2000, 0x2000)]])
def test_holes(holes: list[tuple[int, int]], old: bool) -> None:
    world = Holes(holes, old=old, seed=len(holes))
    found = decode(world)
    assert found.problems == ()
    assert found.holes == tuple((world.area + offset, size) for offset, size in holes)
    free = sum(size for _, size in holes)
    assert (found.total, found.free, found.allocated) == (AREA, free, AREA - free)
    assert found.largest == max((size for _, size in holes), default=0)
    assert (found.start, found.end) == (world.area, world.area + AREA)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0x108, 0x10, "cannot be"),
        (0x108, 0, ""),
        (0x100, AREA, "cannot be"),
        (0x2008, None, "is there twice"),
    ],
    ids=["next is far away", "the list is cut short", "a size that is too large", "a circle"],
)
def test_damaged_holes(place: int, value: int | None, words: str) -> None:
    world = Holes([(0, 16), (0x100, 0x700), (0x2000, 0x1000)])
    world.put(world.area + place, world.area if value is None else value)
    found = decode(world)
    assert len(found.problems) == 1
    assert words in found.problems[0].why
    assert found.free == AREA - (found.allocated or 0) or found.counted_free is None


class Talc(Lists):
    """talc 4 with gaps (offset, size) in bins by their order, and counters or none."""

    def __init__(self, gaps: list[tuple[int, int]], *, counters: bool) -> None:
        super().__init__(len(gaps))
        made = self.add(StructType("talc::llist::LlistNode", 16, ()))
        link = self.option_pointer(self.wrapped("NonNull", self.pointer(made)))
        back = self.pointer(link)
        self.table[made] = StructType(
            "talc::llist::LlistNode", 16, (Member("next", link, 0), Member("next_of_prev", back, 8))
        )
        fields = [("availability_low", self.u64), ("availability_high", self.u64), ("bins", back)]
        if counters:
            counts = [("claimed_bytes", self.u64), ("available_bytes", self.u64)]
            fields.append(("counters", self.struct("talc::talc::counters::Counters", counts)))
        heap = self.hold("Talc", self.struct("talc::Talc<O>", fields))
        bins = self.alloc(8 * 128)
        self.set(heap, "bins", bins)
        for number, (offset, size) in enumerate(gaps):
            head, at = bins + 8 * (number % 2 * 100), self.area + offset
            self.put(at, int.from_bytes(self.read(head, 8), "little"))
            self.put(at + 16, size)
            self.put(head, at)
        if counters:
            self.set(heap, "counters", "claimed_bytes", AREA)
            self.set(heap, "counters", "available_bytes", sum(size for _, size in gaps))


@pytest.mark.parametrize("counters", [False, True])
def test_gaps_of_talc(counters: bool) -> None:
    gaps = [(0, 32), (0x100, 0x300), (0x1000, 0x2000)]
    world = Talc(gaps, counters=counters)
    found = decode(world)
    assert found.problems == ()
    assert found.kind == "talc::Talc"
    assert found.holes == tuple((world.area + offset, size) for offset, size in gaps)
    free = sum(size for _, size in gaps)
    assert (found.free, found.largest) == (free, 0x2000)
    assert (found.total, found.allocated) == ((AREA, AREA - free) if counters else (None, None))
    document = serial.heap(found)
    assert (document["free_bytes"], len(document["holes"])) == (free, 3)
    text = render_text(view.view(found), 100)
    assert "largest free block: 8 KiB" in text


class Slabs(Lists):
    """slab_allocator_rs: blocks of 64 and of 4096 bytes, and a buddy system for the others."""

    def __init__(self, blocks: dict[int, list[int]]) -> None:
        super().__init__(3)
        _, link = self.node("slab_allocator_rs::slab::FreeBlock")
        listed = self.struct("slab_allocator_rs::slab::FreeBlockList",
                             [("len", self.u64), ("head", link)])  # fmt: skip
        slab = self.struct("slab_allocator_rs::slab::Slab",
                           [("block_size", self.u64), ("free_block_list", listed)])  # fmt: skip
        lists = self.array_of(self.u64, 32)
        rest = self.struct("buddy_system_allocator::Heap<32>", [("free_list", lists)])
        fields = [*((f"slab_{size}_bytes", slab) for size in blocks), ("rest", rest)]
        heap = self.hold("Heap", self.struct("slab_allocator_rs::Heap", fields))
        for size, offsets in blocks.items():
            own = heap[f"slab_{size}_bytes"]
            self.set(own, "block_size", size)
            self.set(own, "free_block_list", "len", len(offsets))
            self.lists = own["free_block_list"]
            at = self.lists["head"].address
            for offset in offsets:
                self.put(at, self.area + offset)
                at = self.area + offset


def test_slabs() -> None:
    world = Slabs({64: [0, 0x40, 0x100], 4096: [0x1000]})
    found = decode(world)
    assert found.problems == ()
    assert {size: [a - world.area for a, s in found.holes if s == size] for size in (64, 4096)} == {
        64: [0, 0x40, 0x100],
        4096: [0x1000],
    }
    assert "the blocks of Heap are not listed" in found.note
    assert (found.total, found.allocated) == (None, None)


def test_a_slab_whose_list_is_shorter_than_it_says() -> None:
    world = Slabs({64: [0, 0x40]})
    world.set(world.lists, "len", 3)
    assert [p.why for p in decode(world).problems] == ["2 free blocks, but a length of 3"]


class Lines(Lists):
    """customizable-buddy: two lines of lists from 8 bytes on, bits above, and its own count."""

    def __init__(self, free: int) -> None:
        super().__init__(4)
        node, _ = self.node("customizable_buddy::linked_list::Node")
        order = self.wrapped("customizable_buddy::Order", self.u64)
        line = self.struct("customizable_buddy::linked_list::LinkedListBuddy",
                           [("free_list", node), ("order", order)])  # fmt: skip
        bits = self.struct("customizable_buddy::bitmap::UsizeBuddy",
                           [("bits", self.u64), ("base", self.u64)])  # fmt: skip
        heap = self.hold("BuddyAllocator", self.struct("customizable_buddy::BuddyAllocator<2>", [
            ("oligarchy", bits), ("buddies", self.array_of(line, 2)), ("min_order", self.u64),
            ("free", self.u64), ("capacity", self.u64),
        ]))  # fmt: skip
        self.set(heap, "min_order", 3)
        self.set(heap, "free", free)
        self.set(heap, "capacity", AREA)
        for number, offsets in enumerate(([8, 0x18], [0x30])):
            at = heap["buddies"].element(number)["free_list"]["next"].address
            for offset in offsets:
                self.put(at, self.area + offset)
                at = self.area + offset
        self.set(heap, "oligarchy", "bits", 0b101)
        self.set(heap, "oligarchy", "base", self.area + 0x100 >> 5)


def test_lines_of_buddies() -> None:
    free = 2 * 8 + 16 + 2 * 32
    world = Lines(free)
    found = decode(world)
    assert (found.problems, found.note) == ((), "")
    offsets = [(a - world.area, size) for a, size in found.holes]
    assert offsets == [(8, 8), (0x18, 8), (0x30, 16), (0x100, 32), (0x140, 32)]
    assert (found.total, found.free, found.allocated) == (AREA, free, AREA - free)


def test_a_count_that_its_lists_contradict() -> None:
    short, long = decode(Lines(80)), decode(Lines(1000))
    assert [p.why for p in short.problems] == [
        "96 bytes are in its lists, but it counts 80 as free"
    ]
    assert long.problems == ()
    assert "904 bytes that it counts as free are not listed" in long.note
    assert long.free == 1000


def test_a_heap_of_an_unknown_kernel_is_found_by_its_type() -> None:
    found = decode(Holes([(0, 16)]), Overlay())
    assert found.kind == "linked_list_allocator::Heap"
    assert found.free == 16
