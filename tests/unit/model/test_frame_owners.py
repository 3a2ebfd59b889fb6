"""Owners of frames: what a made-up kernel was given is found, and each disagreement is named."""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from rcdbg.image.types import Member, StructType
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.values.value import Value
from rcdbg.riscv import pages, pte
from tests.unit.model.kernels import WorldOfStatics, kernel_of
from tests.unit.model.world import BASE

FIRST = (BASE >> 12) + 128
FRAMES = 128
WINDOW = 0x4000_0000
"""Where the process's pages go."""


@dataclass
class Plan:
    """What each frame is given to."""

    root: int = 0
    middle: int = 0
    bottom: int = 0
    pages: dict[int, int] = field(default_factory=dict)
    """Virtual address by frame."""
    held: list[int] = field(default_factory=list)
    leaked: set[int] = field(default_factory=set)
    free: set[int] = field(default_factory=set)

    @property
    def tables(self) -> dict[int, int]:
        return {self.root: 2, self.middle: 1, self.bottom: 0}


class Owners(WorldOfStatics):
    """A kernel with one process, one allocator, and a static Vec of trackers."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        ppn = self.wrapped("os::memory::address::PhysicalPageNumber", self.u64)
        tracker = self.add(StructType("os::FrameTracker", 8, (Member("__0", ppn, 0),)))
        table = self.add(StructType("os::PageTableTracker", 8, (Member("__0", tracker, 0),)))
        self.pair = self.struct("(VirtualPageNumber, FrameTracker)",
                                [("__0", self.u64), ("__1", tracker)])  # fmt: skip
        deque = "alloc::collections::vec_deque::VecDeque<T>"
        mapping = self.struct(
            "os::Mapping",
            [
                ("page_tables", self.vec_type(table)),
                ("root_ppn", ppn),
                ("mapped_pairs", self.vec_type(self.pair, deque)),
            ],
        )
        process = self.struct("os::Process", [("is_user", self.u64), ("memory", mapping)])
        atomic = self.wrapped("core::sync::atomic::AtomicUsize", self.u64)
        inner = self.struct(
            "alloc::sync::ArcInner<Process>",
            [("strong", atomic), ("weak", atomic), ("data", process)],
        )
        arc = self.struct(
            "alloc::sync::Arc<Process>",
            [("ptr", self.wrapped("NonNull", self.pointer(inner)))],
            [("T", process)],
        )
        self.shared = self.new(inner)
        self.set(self.shared, "strong", "__0", 2)
        for name in ("KERNEL_PROCESS", "ANOTHER_WAY_THERE"):
            self.set(self.static(name, self.new(arc)), "ptr", "__0", self.shared.address)
        self.mapping = self.shared["data"]["memory"]
        self.held = self.static("KEPT", self.new(self.vec_type(tracker)))
        ends = (Member("__0", self.u64, 0), Member("__1", self.u64, 8))
        interval = self.add(StructType("(usize, usize)", 16, ends))
        books = self.struct("algorithm::StackedAllocator", [("list", self.vec_type(interval))])
        owner = self.struct(
            "os::FrameAllocator", [("start_ppn", ppn), ("frames", self.u64), ("allocator", books)]
        )
        self.allocator = self.static("FRAME_ALLOCATOR", self.new(owner))
        self.plan = self._plan()
        self.page_tables: list[Value] = []
        self.pairs: list[Value] = []
        self.trackers: list[Value] = []

    def _plan(self) -> Plan:
        frames = list(range(FIRST, FIRST + FRAMES))
        self.random.shuffle(frames)
        root, middle, bottom = frames[:3]
        rest = iter(frames[3:])
        slots = self.random.sample(range(512), 40)
        pages = {next(rest): WINDOW + slot * 4096 for slot in slots}
        held = [next(rest) for _ in range(10)]
        leaked = {next(rest) for _ in range(self.random.randrange(5))}
        return Plan(root, middle, bottom, pages, held, leaked, set(rest))

    def entry(self, table: int, slot: int, frame: int, flags: int) -> None:
        self.put((table << 12) + 8 * slot, frame << 10 | flags)

    def write_plan(self) -> None:
        plan = self.plan
        self.entry(plan.root, WINDOW >> 30, plan.middle, pte.V)
        self.entry(plan.middle, 0, plan.bottom, pte.V)
        # The linear map, as a superpage: nobody's property.
        linear = pte.V | pte.R | pte.W
        self.put((plan.root << 12) + 8 * (BASE >> 30), BASE >> 12 << 10 | linear)
        for frame, va in plan.pages.items():
            flags = pte.V | pte.R | self.random.choice([0, pte.A])
            self.entry(plan.bottom, pages.index(va, 0), frame, flags)
        self.set(self.mapping, "root_ppn", "__0", plan.root)
        self.page_tables = self.fill_vec(self.mapping["page_tables"], 3, 4)
        for value, frame in zip(self.page_tables, plan.tables, strict=True):
            self.put(value.address, frame)
        capacity = len(plan.pages) + 3
        head = self.random.randrange(capacity)
        self.pairs = self.fill_vec(self.mapping["mapped_pairs"], len(plan.pages), capacity, head)
        for value, (frame, va) in zip(self.pairs, plan.pages.items(), strict=True):
            self.set(value, "__0", va >> 12)
            self.put(value["__1"].address, frame)
        self.trackers = self.fill_vec(self.held, len(plan.held), len(plan.held))
        for value, frame in zip(self.trackers, plan.held, strict=True):
            self.put(value.address, frame)
        self.set(self.allocator, "start_ppn", "__0", FIRST)
        self.set(self.allocator, "frames", FRAMES)
        self.write_free()

    def write_free(self) -> None:
        free = sorted(self.plan.free)
        places = self.fill_vec(self.allocator["allocator"]["list"], len(free), len(free) + 1)
        for value, frame in zip(places, free, strict=True):
            self.set(value, "__0", frame - FIRST)
            self.set(value, "__1", frame - FIRST + 1)

    def decode(self) -> FrameOwners:
        return read_frame_owners(kernel_of(self, self.plan.root))


def written(seed: int) -> Owners:
    world = Owners(seed)
    world.write_plan()
    return world


def by_frame(found: FrameOwners) -> dict[int, tuple[object, ...]]:
    """Every owned frame with its owner, the stretches taken apart."""
    owners: dict[int, tuple[object, ...]] = {}
    for h in found.holdings:
        for number, frame in enumerate(range(h.start, h.end)):
            assert frame not in owners
            va = None if h.va is None else h.va + 4096 * number
            owners[frame] = (h.kind, h.level, va, h.tracked)
    return owners


def frames(found: FrameOwners) -> set[int]:
    return {frame for i in found.nobody for frame in range(i.start, i.end)}


@given(st.integers(0, 1 << 32))
@settings(max_examples=50)
def test_everyone_gets_what_was_given(seed: int) -> None:
    world = written(seed)
    found, plan = world.decode(), world.plan
    expected: dict[int, tuple[object, ...]] = {
        frame: ("table", level, None, True) for frame, level in plan.tables.items()
    }
    expected |= {frame: ("page", None, va, True) for frame, va in plan.pages.items()}
    expected |= dict.fromkeys(plan.held, ("held", None, None, True))
    assert not found.problems
    assert not found.conflicts
    assert found.complete
    assert by_frame(found) == expected
    assert frames(found) == plan.leaked
    (space,) = found.spaces
    assert (space.name, space.active) == ("KERNEL_PROCESS", True)
    assert (space.tables, space.pages) == (3, 40)
    held = {h.path for h in found.holdings if h.kind == "held" and h.frames == 1}
    assert held <= {f"KEPT[{n}]" for n in range(10)}


def only_conflict(world: Owners) -> tuple[int, str, tuple[str, ...]]:
    (conflict,) = world.decode().conflicts
    return conflict.frame, conflict.kind, conflict.claims


def test_a_frame_with_two_owners() -> None:
    world = written(1)
    frame = world.plan.held[0]
    lost = world.plan.held[1]
    world.put(world.trackers[1].address, frame)
    assert only_conflict(world) == (frame, "owned twice", ("KEPT[0]", "KEPT[1]"))
    assert lost in frames(world.decode())


def test_a_frame_freed_while_it_is_mapped() -> None:
    world = written(2)
    frame, va = next(iter(world.plan.pages.items()))
    world.plan.free.add(frame)
    world.write_free()
    where, kind, claims = only_conflict(world)
    assert (where, kind) == (frame, "free but owned")
    assert claims[0] == f"mapped at {va:#x} of KERNEL_PROCESS"
    world.set(world.mapping, "mapped_pairs", "len", 0)
    assert only_conflict(world)[:2] == (frame, "free but mapped")


def test_a_frame_freed_while_it_is_a_table() -> None:
    world = written(3)
    world.plan.free.add(world.plan.bottom)
    world.write_free()
    world.set(world.mapping, "page_tables", "len", 0)
    assert only_conflict(world)[:2] == (world.plan.bottom, "free but a table")


def test_a_leak_is_a_tracker_gone_and_no_mapping() -> None:
    world = written(4)
    frame = world.plan.held[-1]
    world.set(world.held, "len", len(world.plan.held) - 1)
    assert frames(world.decode()) == world.plan.leaked | {frame}


def test_a_page_without_a_tracker_is_the_tables_word_alone() -> None:
    world = written(5)
    world.set(world.mapping, "mapped_pairs", "len", 0)
    found = world.decode()
    assert {h.tracked for h in found.holdings if h.kind == "page"} == {False}
    assert found.frames("page") == len(world.plan.pages)


def test_a_tracker_of_what_is_no_frame() -> None:
    world = written(6)
    world.put(world.trackers[0].address, 1 << 40)
    found = world.decode()
    assert any("does not manage" in p.why for p in found.problems)


def test_a_tree_that_leads_into_itself_ends() -> None:
    world = written(7)
    for slot in range(512):
        world.entry(world.plan.middle, slot, world.plan.root, pte.V)
    world.decode()


def test_a_length_that_no_memory_could_hold_is_refused() -> None:
    world = written(8)
    for name in ("len", "cap"):
        where = world.held["len"] if name == "len" else world.held["buf"]["inner"]["cap"]
        world.put(where.address, 3 * FRAMES)
    found = world.decode()
    assert not found.complete
    assert any("there are not so many FrameTrackers" in p.why for p in found.problems)
    assert found.frames("page") == len(world.plan.pages)


@given(st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_no_content_of_memory_upsets_it(seed: int) -> None:
    world = written(seed)
    chance = random.Random(seed)
    allocator, mapping = world.allocator, world.mapping
    places = [
        allocator["start_ppn"].address,
        allocator["frames"].address,
        *(allocator["allocator"]["list"][name].address for name in ("buf", "len")),
        *(mapping[name]["len"].address for name in ("page_tables", "mapped_pairs")),
        mapping["mapped_pairs"]["head"].address,
        mapping["root_ppn"].address,
        world.shared["strong"].address,
        world.held["buf"].address,
        *((table << 12) + 8 * chance.randrange(512) for table in world.plan.tables),
        *(v.address for v in world.trackers),
    ]
    for place in chance.sample(places, 3):
        random_frame = chance.randrange(FIRST - 2, FIRST + FRAMES + 2)
        words = [chance.getrandbits(64), random_frame, random_frame << 10 | 1, 0, 1 << 40, ~0]
        world.put(place, chance.choice(words))
    found = world.decode()
    managed = found.allocator.managed
    if managed is not None:
        assert all(h.start >= managed.start and h.end <= managed.end for h in found.holdings)
