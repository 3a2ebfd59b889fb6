"""The heap: what a buddy allocator leaves in memory comes back; broken links are named."""

import random

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.image.types import Member, StructType
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.values.value import Value
from tests.unit.model.kernels import WorldOfStatics, kernel_of

ORDERS = 14
AREA = 1 << 13


class Buddies(WorldOfStatics):
    """A heap in memory, and an allocator on it that works as buddy_system_allocator's text says.

    The allocator keeps its lists in the World's memory alone.
    """

    def __init__(self, seed: int = 0, area: int = AREA) -> None:
        super().__init__(seed)
        link = self.wrapped("LinkedList", self.pointer(self.u64))
        self.table[link] = StructType(
            "buddy_system_allocator::linked_list::LinkedList", 8, (Member("head", link - 1, 0),)
        )
        counts = [("user", self.u64), ("allocated", self.u64), ("total", self.u64)]
        kind = self.struct(
            "buddy_system_allocator::Heap<14>",
            [("free_list", self.array_of(link, ORDERS)), *counts],
        )
        flag = self.wrapped("core::sync::atomic::AtomicBool", self.u8)
        cell = self.struct("core::cell::UnsafeCell<Heap>", [("value", kind)])
        inner = self.struct("spin::mutex::spin::SpinMutex", [("lock", flag), ("data", cell)])
        locked = self.struct("buddy_system_allocator::LockedHeap<14>", [("__0", inner)])
        self.holder = self.static("HEAP", self.new(locked))
        self.heap: Value = self.holder["__0"]["data"]["value"]
        space = self.new(self.array_of(self.u8, area))
        self.static("OTHER_BYTES", self.new(self.array_of(self.u8, 64)))
        self.start, self.end = space.address, space.address + area
        self.static("HEAP_SPACE", space)

    def head(self, order: int) -> int:
        return self.heap["free_list"].element(order).address

    def word(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def push(self, order: int, block: int) -> None:
        self.put(block, self.word(self.head(order)))
        self.put(self.head(order), block)

    def pop(self, order: int) -> int:
        block = self.word(self.head(order))
        if block:
            self.put(self.head(order), self.word(block))
        return block

    def blocks(self, order: int) -> list[int]:
        found, at = [], self.word(self.head(order))
        while at:
            found.append(at)
            at = self.word(at)
        return found

    def count(self, name: str, change: int) -> None:
        self.put(self.heap[name].address, self.word(self.heap[name].address) + change)

    def give(self) -> None:
        at = self.start
        while at + 8 <= self.end:
            size = min(at & -at, 1 << ((self.end - at).bit_length() - 1), 1 << (ORDERS - 1))
            self.push(size.bit_length() - 1, at)
            self.count("total", size)
            at += size

    def allocate(self, size: int) -> int | None:
        order = max(3, (size - 1).bit_length())
        for larger in range(order, ORDERS):
            if self.word(self.head(larger)):
                break
        else:
            return None
        for splitting in range(larger, order, -1):
            block = self.pop(splitting)
            self.push(splitting - 1, block + (1 << (splitting - 1)))
            self.push(splitting - 1, block)
        self.count("user", size)
        self.count("allocated", 1 << order)
        return self.pop(order)

    def free(self, block: int, size: int) -> None:
        order = max(3, (size - 1).bit_length())
        self.count("user", -size)
        self.count("allocated", -(1 << order))
        while order < ORDERS - 1 and (buddy := block ^ 1 << order) in self.blocks(order):
            rest = [b for b in self.blocks(order) if b != buddy]
            self.put(self.head(order), 0)
            for other in reversed(rest):
                self.push(order, other)
            block, order = min(block, buddy), order + 1
        self.push(order, block)

    def decode(self) -> Heap:
        return read_heap(kernel_of(self))


def used(seed: int, steps: int = 60) -> tuple[Buddies, dict[int, int]]:
    """A heap after some use, and what is taken: size by address."""
    heap = Buddies(seed)
    heap.give()
    taken: dict[int, int] = {}
    for _ in range(steps):
        if taken and heap.random.random() < 0.4:
            block = heap.random.choice(sorted(taken))
            heap.free(block, taken.pop(block))
        else:
            size = heap.random.choice([1, 8, 24, 100, 500, 1000])
            if (got := heap.allocate(size)) is not None:
                taken[got] = size
    return heap, taken


@given(st.integers(0, 1 << 32))
def test_the_lists_come_back(seed: int) -> None:
    heap, taken = used(seed)
    found = heap.decode()
    assert found.problems == ()
    assert {f.order: list(f.blocks) for f in found.lists} == {
        order: blocks for order in range(ORDERS) if (blocks := heap.blocks(order))
    }
    assert (found.start, found.end) == (heap.start, heap.end)
    assert found.requested == sum(taken.values())
    assert found.waste is not None
    assert found.waste >= 0
    assert found.allocated is not None
    assert found.total == found.allocated + found.free


@given(st.integers(0, 1 << 32))
def test_the_largest_allocation_succeeds_and_one_byte_more_does_not(seed: int) -> None:
    heap, _ = used(seed)
    largest = heap.decode().largest
    assert heap.allocate(largest + 1) is None
    if largest:
        assert heap.allocate(largest) is not None


def test_before_memory_is_given() -> None:
    found = Buddies().decode()
    assert (found.note, found.problems) == ("no memory was given to it yet", ())


def test_a_kernel_without_a_heap_has_nothing_wrong() -> None:
    found = read_heap(kernel_of(WorldOfStatics()))
    assert (found.note, found.problems) == (
        "no type of this kernel is called Heap",
        (),
    )
    assert found.total is None


def test_full() -> None:
    heap = Buddies()
    heap.give()
    while heap.allocate(8) is not None:
        pass
    found = heap.decode()
    assert (found.largest, found.lists, found.problems) == (0, (), ())


def broken(damage: str) -> tuple[Heap, Buddies]:
    heap = Buddies(area=1 << 12)
    heap.give()
    heap.allocate(8)
    order = 6
    (block,) = heap.blocks(order)
    match damage:
        case "outside":
            heap.put(block, heap.end + 0x1000 & ~63)
        case "misaligned":
            heap.put(block, block + 8)
        case "cycle":
            heap.put(block, block)
        case "overlap":
            heap.push(3, block + 32)
        case "two lists":
            heap.push(3, block)
            heap.put(block, 0)
        case "cut":
            heap.put(heap.head(order), 0)
        case "counts":
            heap.count("user", 1 << 40)
    return heap.decode(), heap


def test_each_damage_is_named() -> None:
    words = {
        "outside": "no block of 0x40 bytes of this heap",
        "misaligned": "no multiple of the block size 0x40",
        "cycle": "in the list already",
        "overlap": "lies in the one at",
        "two lists": "is in the list of 8-byte blocks too",
        "cut": "64 bytes are neither allocated nor free",
        "counts": "contradict",
    }
    for damage, why in words.items():
        found, _ = broken(damage)
        assert any(why in p.why for p in found.problems), (damage, found.problems)


def test_a_break_in_one_list_leaves_the_others() -> None:
    found, heap = broken("cycle")
    assert [f.order for f in found.lists if f.broken] == [6]
    healthy = {f.order: list(f.blocks) for f in found.lists if not f.broken}
    assert healthy == {o: b for o in range(ORDERS) if o != 6 and (b := heap.blocks(o))}


@given(st.integers(0, 1 << 32))
def test_no_content_of_memory_upsets_it(seed: int) -> None:
    heap, _ = used(seed, 20)
    chance = random.Random(seed)
    places = [heap.head(order) for order in range(ORDERS)]
    places += [b for order in range(ORDERS) for b in heap.blocks(order)]
    places += [heap.heap[n].address for n in ("user", "allocated", "total")]
    for place in chance.sample(places, 3):
        heap.put(place, chance.choice([chance.getrandbits(64), chance.choice(places), ~0]))
    found = heap.decode()
    assert found.blocks <= AREA // 8
