"""Lists through their entries, and what wakers wake: written from the crates' definitions."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.image.symbols import Symbol, Symbols
from rcdbg.image.types import OpaqueType
from rcdbg.model.library.wakers import woken
from rcdbg.model.values import containers
from rcdbg.model.values.value import DecodeError, Value
from tests.unit.model.world import World

CODE = 0x9000_0000
CLONE = "alloc::task::raw_waker::clone_waker::<{}>"


def ring(world: World, numbers: Sequence[int]) -> tuple[Value, list[Value]]:
    """linked_list_r4l::List of entries that hold these, as `push_back` links them: a ring."""
    entry_id = world.add(OpaqueType("placeholder"))
    link = world.option_pointer(
        world.wrapped("core::ptr::non_null::NonNull<Entry>", world.pointer(entry_id))
    )
    inside = world.struct(
        "linked_list_r4l::raw_list::ListEntry<Entry>", [("next", link), ("prev", link)]
    )
    cell = world.wrapped("core::cell::UnsafeCell<ListEntry<Entry>>", inside)
    links = world.struct(
        "linked_list_r4l::raw_list::Links<Entry>", [("inserted", world.u8), ("entry", cell)]
    )
    made = world.struct("os::Entry", [("inner", world.u64), ("links", links)])
    world.table[entry_id] = world.table[made]
    raw = world.struct("linked_list_r4l::raw_list::RawList<Arc<Entry>>", [("head", link)])
    value = world.new(
        world.struct("linked_list_r4l::linked_list::List<Arc<Entry>>", [("list", raw)])
    )
    entries = [world.new(entry_id) for _ in numbers]
    for position, (entry, number) in enumerate(zip(entries, numbers, strict=True)):
        world.set(entry, "inner", number)
        own = containers.dig(entry, "next"), containers.dig(entry, "prev")
        world.put(own[0].address, entries[(position + 1) % len(entries)].address)
        world.put(own[1].address, entries[position - 1].address)
    if entries:
        world.put(containers.dig(value, "head").address, entries[0].address)
    return value, entries


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=20), st.integers(0, 1 << 32))
def test_a_ring_front_first(numbers: list[int], seed: int) -> None:
    value, _ = ring(World(seed), numbers)
    assert [entry["inner"].scalar() for entry in containers.elements(value)] == numbers


def test_a_ring_whose_entry_points_back_elsewhere_ends_there() -> None:
    world = World(3)
    value, entries = ring(world, [1, 2, 3])
    world.put(containers.dig(entries[2], "prev").address, entries[0].address)
    found: list[int] = []
    with pytest.raises(DecodeError, match="does not point back"):
        found.extend(entry["inner"].scalar() for entry in containers.elements(value))
    walked = containers.elements(value)
    assert [next(walked)["inner"].scalar(), next(walked)["inner"].scalar()] == [1, 2]


def waker(world: World, data: int, clone: int) -> Value:
    """core::task::Waker: a pointer, and a table of which `clone` is the first word."""
    table = world.struct("core::task::wake::RawWakerVTable", [("clone", world.u64)])
    raw = world.struct(
        "core::task::wake::RawWaker", [("data", world.u64), ("vtable", world.pointer(table))]
    )
    value = world.new(world.struct("core::task::wake::Waker", [("waker", raw)]))
    vtable = world.alloc(32)
    world.put(vtable, clone)
    world.put(containers.dig(value, "data").address, data)
    world.put(containers.dig(value, "vtable").address, vtable)
    return value


def code(path: str) -> Symbols:
    """One function, called so."""
    return Symbols([Symbol(path, CODE, 32, "code", False, 1)], [(CODE, CODE + 32)])


def test_a_waker_of_an_arc_leads_to_what_that_counts() -> None:
    world = World(1)
    kind = world.struct("os::Sleeper", [("id", world.u64)])
    target = world.new(kind)
    found = woken(waker(world, target.address, CODE), code(CLONE.format("Sleeper")))
    assert found is not None
    assert (found.address, found.type.name) == (target.address, "os::Sleeper")


def test_a_waker_of_anything_else_leads_nowhere() -> None:
    world = World(1)
    assert woken(waker(world, 0, CODE), code("core::task::wake::noop::clone")) is None
    assert woken(waker(world, 0, CODE), code(CLONE.format("Sleeper"))) is None
    with pytest.raises(DecodeError, match="no type is called Other"):
        woken(waker(world, CODE, CODE), code(CLONE.format("Other")))
