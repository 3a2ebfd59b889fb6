"""Containers: encode, shuffle the fields, decode, same; and nonsense never hangs or explodes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.model.state import Problem
from rcdbg.model.values import containers
from rcdbg.model.values.value import DecodeError, Value
from tests.unit.model.world import BASE, SIZE, World

numbers = st.lists(st.integers(0, (1 << 64) - 1), max_size=20)
seeds = st.integers(0, 1 << 32)


def read(value: Value) -> list[int]:
    return [element.scalar() for element in containers.elements(value)]


@given(numbers, seeds)
def test_vec(wanted: list[int], seed: int) -> None:
    assert read(World(seed).vec(wanted)) == wanted


@given(numbers, seeds)
def test_array(wanted: list[int], seed: int) -> None:
    assert read(World(seed).array(wanted)) == wanted


@given(numbers, seeds, st.data())
def test_vec_deque_wraps_around(wanted: list[int], seed: int, data: st.DataObject) -> None:
    capacity = len(wanted) + data.draw(st.integers(1, 5))
    head = data.draw(st.integers(0, capacity - 1))
    assert read(World(seed).vec_deque(wanted, head, capacity)) == wanted


@given(numbers, seeds)
def test_linked_list(wanted: list[int], seed: int) -> None:
    assert read(World(seed).linked_list(wanted)[0]) == wanted


@given(numbers, seeds)
def test_hash_set(wanted: list[int], seed: int) -> None:
    assert sorted(read(World(seed).hash_set(wanted, 32))) == sorted(wanted)


@given(st.integers(0, (1 << 64) - 1), seeds)
def test_arc(number: int, seed: int) -> None:
    assert containers.arc(World(seed).arc(number)).scalar() == number


@given(st.integers(0, (1 << 64) - 1), st.booleans(), seeds)
def test_spin_mutex(number: int, locked: bool, seed: int) -> None:
    guarded = containers.mutex(World(seed).spin_mutex(number, locked))
    assert (guarded.value.scalar(), guarded.locked) == (number, locked)


@pytest.mark.parametrize(("status", "initialised"), [(0, False), (1, False), (2, True), (3, False)])
def test_lazy(status: int, initialised: bool) -> None:
    held = containers.lazy(World().lazy(77, status))
    assert (held is not None) == initialised
    if held is not None:
        assert held.scalar() == 77


@pytest.mark.parametrize("niche", [False, True])
def test_option(niche: bool) -> None:
    world = World()
    kind = world.option_pointer(world.u64) if niche else world.option(world.u64)
    value = world.new(kind)
    assert containers.option(value) is None
    world.put(value.address, 1 if not niche else 0x1234)
    if not niche:
        world.put(value.address + 8, 0x1234)
    some = containers.option(value)
    assert some is not None
    assert some.scalar() == 0x1234


def test_an_enum_with_a_tag_that_means_nothing_is_refused() -> None:
    world = World()
    value = world.new(world.option(world.u64))
    world.put(value.address, 7)
    with pytest.raises(DecodeError, match="no variant"):
        containers.option(value)


def test_a_list_that_bites_its_tail_is_named() -> None:
    world = World()
    value, nodes = world.linked_list([1, 2, 3])
    world.set(nodes[2], "next", nodes[0].address)
    with pytest.raises(DecodeError, match="more nodes than its length of 3"):
        read(value)


def test_a_list_with_a_wrong_back_link_names_the_node() -> None:
    world = World()
    value, nodes = world.linked_list([1, 2, 3])
    world.set(nodes[1], "prev", nodes[2].address)
    with pytest.raises(DecodeError, match=f"{nodes[1].address:#x} points back"):
        read(value)


def test_what_comes_before_the_break_is_read() -> None:
    world = World()
    value, nodes = world.linked_list([5, 6, 7])
    world.set(nodes[1], "next", 0xDEAD_0000)
    walk = containers.elements(value)
    assert [next(walk).scalar(), next(walk).scalar()] == [5, 6]
    with pytest.raises(DecodeError):
        next(walk)


def test_an_arc_that_was_freed_is_refused() -> None:
    with pytest.raises(DecodeError, match="strong count of 0"):
        containers.arc(World().arc(1, strong=0))


@pytest.mark.parametrize("length", [1 << 63, 1 << 40, 100])
def test_a_vec_longer_than_its_capacity_is_refused(length: int) -> None:
    world = World()
    value = world.vec([1, 2])
    world.set(value, "len", length)
    with pytest.raises(DecodeError):
        read(value)


MAKERS: list[Callable[[World], Value]] = [
    lambda w: w.vec(range(9)),
    lambda w: w.vec_deque(range(9), 5, 12),
    lambda w: w.linked_list(range(9))[0],
    lambda w: w.hash_set(range(9), 16),
]


@pytest.mark.parametrize("make", MAKERS)
@given(seed=seeds)
def test_corrupt_memory_gives_elements_or_a_decode_error(
    make: Callable[[World], Value], seed: int
) -> None:
    world, chance = World(), random.Random(seed)
    value = make(world)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(64, world.next_free - BASE)
        length = chance.choice([1, 8])
        garbage = chance.choice(
            [
                b"\0" * 8,
                b"\xff" * 8,
                chance.randbytes(8),
                (BASE + chance.randrange(SIZE)).to_bytes(8, "little"),
            ]
        )
        world.memory[at : at + length] = garbage[:length]
    found = 0
    problem: Problem | None = None
    try:
        for element in containers.elements(value):
            element.scalar()
            found += 1
    except DecodeError as error:
        problem = error.problem
    assert problem is None or (problem.where and problem.why)
    assert found <= 1 << 16
