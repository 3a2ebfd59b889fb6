"""Values as trees: what was encoded is shown; nonsense is a Problem in its place, never a raise."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdbg.image.types import BaseType, PointerType, StructType
from rcdbg.model.serial.values import node as as_json
from rcdbg.model.values.inspect import Limits, Node, inspect
from rcdbg.model.values.value import Value
from rcdbg.views.render import render_text
from rcdbg.views.value import view
from tests.unit.model import values
from tests.unit.model.world import BASE, SIZE, World

words = st.integers(0, (1 << 64) - 1)
seeds = st.integers(0, 1 << 32)
MANY = Limits(elements=500)


def shown(value: Value) -> list[object]:
    node = inspect(value, limits=MANY)
    assert node.problems == ()
    return [child.value for child in node.children]


def every(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from every(child)


@given(st.dictionaries(words, words, max_size=200), seeds)
def test_btree_map(wanted: dict[int, int], seed: int) -> None:
    pairs = sorted(wanted.items())
    node = inspect(values.btree_map(World(seed), pairs)[0], limits=MANY)
    assert node.problems == ()
    assert (node.kind, node.length) == ("map", len(pairs))
    assert [(c.name, c.value) for c in node.children] == [(f"[{k}]", v) for k, v in pairs]


@given(st.lists(words, max_size=20), seeds)
def test_collections_in_order(wanted: list[int], seed: int) -> None:
    assert shown(World(seed).vec(wanted)) == wanted
    assert shown(World(seed).array(wanted)) == wanted
    assert shown(World(seed).vec_deque(wanted, len(wanted) // 2, len(wanted) + 1)) == wanted
    assert shown(World(seed).linked_list(wanted)[0]) == wanted


@given(st.text(max_size=100), seeds)
def test_text(wanted: str, seed: int) -> None:
    for make in (values.string, values.text):
        node = inspect(make(World(seed), wanted.encode()))
        assert (node.kind, node.value, node.problems) == ("text", wanted, ())


@given(st.text(min_size=1, max_size=60), st.integers(0, 60))
def test_long_text_is_cut_between_characters(wanted: str, room: int) -> None:
    content = wanted.encode()
    node = inspect(values.string(World(), content), limits=Limits(text=room))
    assert node.problems == ()
    assert wanted.startswith(str(node.value))
    assert node.more == max(len(content) - room, 0)
    assert len(content) - node.more - len(str(node.value).encode()) < 4


def test_bytes_that_are_no_text_are_said_to_be() -> None:
    node = inspect(values.string(World(), b"ab\xffcd"))
    assert node.value == "ab\udcffcd"  # as Python writes a byte that is no UTF-8
    assert [p.why for p in node.problems] == ["byte 2 is not UTF-8"]


@pytest.mark.parametrize(
    ("borrow", "note"), [(0, "not borrowed"), (3, "borrowed by 3"), (-1, "borrowed mutably")]
)
@given(number=words, seed=seeds)
def test_ref_cell(borrow: int, note: str, number: int, seed: int) -> None:
    node = inspect(values.ref_cell(World(seed), number, borrow))
    assert (node.value, node.notes, node.wrappers) == (number, (note,), ("RefCell",))


@given(words, st.booleans(), seeds)
def test_locks_and_counts(number: int, locked: bool, seed: int) -> None:
    node = inspect(World(seed).spin_mutex(number, locked))
    assert (node.value, node.notes) == (number, ("locked" if locked else "not locked",))
    world = World(seed)
    value = world.arc(number, strong=3)
    world.set(value.at(*_inner(value)), "weak", "__0", 5)
    node = inspect(value)
    assert (node.value, node.notes) == (number, ("strong 3, weak 4",))


def _inner(arc: Value) -> tuple[int, int, str]:
    pointer = arc["ptr"]["__0"]
    assert isinstance(pointer.type, PointerType)
    return pointer.type.target, pointer.scalar(), "inner"


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "not initialised"), (1, "being initialised"), (3, "its initialisation panicked")],
)
def test_what_is_not_there_yet_says_so(status: int, words: str) -> None:
    node = inspect(World().lazy(1, status))
    assert (node.kind, node.notes, node.problems) == ("nothing", (words,), ())


def test_a_state_that_no_lazy_has() -> None:
    node = inspect(World().lazy(1, 77))
    assert "77 is no state" in node.problems[0].why


def test_variants_by_name_and_those_that_have_none() -> None:
    assert inspect(values.colour(World(), 200)).label == "Green"
    assert "7 is no variant" in inspect(values.colour(World(), 7)).problems[0].why


def test_a_bool_that_is_none() -> None:
    world = World()
    value = world.new(world.add(BaseType("bool", 1, "bool")))
    world.write(value.address, b"\2")
    assert "2 is no bool" in inspect(value).problems[0].why


def test_memory_that_cannot_be_read_is_a_problem_of_that_field_alone() -> None:
    world = World()
    far = world.struct("Far", [("number", world.u64)])
    reference = world.add(PointerType("&Far", 8, far))
    value = world.new(world.struct("Both", [("good", world.u64), ("bad", reference)]))
    world.set(value, "good", 5)
    world.put(value["bad"].address, 0xDEAD_0000)
    node = inspect(value)
    good, bad = sorted(node.children, key=lambda c: c.name, reverse=True)
    assert good.value == 5
    assert "0xdead0000" in next(p for n in every(bad) for p in n.problems).why


def test_a_list_of_pointers_to_itself_ends() -> None:
    world = World()
    me = world.add(StructType("placeholder", 8, ()))
    reference = world.add(PointerType("&Me", 8, me))
    world.table[me] = world.table[world.struct("Me", [("next", reference), ("n", world.u64)])]
    value = world.new(me)
    world.set(value, "next", value.address)
    node = inspect(value, limits=Limits(depth=30))
    assert any(n.notes[-1:] == ("shown above",) for n in every(node))
    assert len(list(every(node))) < 8


def test_a_btree_whose_child_belongs_to_another_is_named() -> None:
    world = World()
    value, nodes = values.btree_map(world, [(n, n) for n in range(50)])
    child = nodes[1]
    world.memory[child - BASE : child - BASE + 400] = bytes(400)
    problems = inspect(value, limits=MANY).problems
    assert problems
    assert f"{child:#x}" in problems[0].why


MAKERS: list[Callable[[World], Value]] = [
    lambda w: w.vec(range(9)),
    lambda w: w.vec_deque(range(9), 5, 12),
    lambda w: w.linked_list(range(9))[0],
    lambda w: w.hash_set(range(9), 16),
    lambda w: values.btree_map(w, [(n, n) for n in range(300)])[0],
    lambda w: values.string(w, b"some text"),
    lambda w: values.text(w, b"some text"),
    lambda w: values.ref_cell(w, 1, 1),
    lambda w: w.arc(5),
    lambda w: w.spin_mutex(1, False),
    lambda w: w.lazy(4, 2),
]


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=30)
@given(seed=seeds)
def test_corrupt_memory_never_raises(make: Callable[[World], Value], seed: int) -> None:
    world, chance = World(), random.Random(seed)
    value = make(world)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(64, world.next_free - BASE)
        pointer = (BASE + chance.randrange(SIZE)).to_bytes(8, "little")
        garbage = chance.choice([bytes(8), b"\xff" * 8, chance.randbytes(8), pointer])
        length = chance.choice([1, 8])
        world.memory[at : at + length] = garbage[:length]
    node = inspect(value, limits=Limits(nodes=500))
    assert len(list(every(node))) <= 600
    as_json(node)
    width = chance.choice([20, 60, 100])
    text = render_text(view(node), width)
    assert max(map(len, text.splitlines())) <= width
    assert "cannot be shown" not in text
