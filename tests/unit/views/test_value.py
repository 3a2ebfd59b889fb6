"""The tree of a value: dense, complete, safe."""

import pytest

from rcdbg.model.state import Problem
from rcdbg.model.values.inspect import Node
from rcdbg.views.render import render_text
from rcdbg.views.value import short_type, view
from tests.unit.views.samples import HOSTILE

AT = 0x8000_0000


def number(name: str, value: int, kind: str = "usize") -> Node:
    return Node(name, kind, "integer", AT, value)


def struct(name: str, *children: Node, kind: str = "os::Thing", **rest: object) -> Node:
    return Node(name, kind, "struct", AT, children=children, **rest)  # type: ignore[arg-type]


def test_a_tree() -> None:
    state = struct(
        "A",
        number("id", 1_000_000),
        struct("place", number("x", 1), number("y", 2), kind="os::Point"),
        Node("who", "os::Thread", "nothing", AT, wrappers=("None",), notes=("None",)),
        Node("list", "alloc::vec::Vec<u8>", "list", AT, length=40, more=38,
             children=(number("[0]", 5), number("[1]", 6))),
        Node("text", "&str", "text", AT, 'a"b\n', length=4),
        wrappers=("Lazy", "Lock"),
        notes=("locked",),
    )  # fmt: skip
    assert render_text(view(state), 100) == (
        "A: Lazy › Lock › Thing  locked  0x80000000\n"
        "├ id: 1000000 0xf4240\n"
        "├ place: Point { x: 1, y: 2 }\n"
        "├ who: None\n"
        "├ list: Vec  40 elements [5, 6, … 38 more]\n"
        '└ text: "a\\"b\\n"\n'
    )


def test_a_problem_stands_where_the_value_would() -> None:
    broken = Node("x", "u8", "unknown", AT, problems=(Problem("A.x", "cannot read"),))
    text = render_text(view(struct("A", number("ok", 1), broken)), 80)
    assert "├ ok: 1\n" in text
    assert "└ x: u8\n  └ ! A.x: cannot read\n" in text


@pytest.mark.parametrize("width", [20, 40, 100])
def test_hostile_names_and_texts_stay_text(width: int) -> None:
    evil = Node(HOSTILE, HOSTILE, "text", AT, HOSTILE, label=HOSTILE, problems=(
        Problem(HOSTILE, HOSTILE),))  # fmt: skip
    pointer = Node(HOSTILE, HOSTILE, "pointer", AT, 5, label=HOSTILE)
    variant = Node(HOSTILE, HOSTILE, "enum", AT, label=HOSTILE, children=(evil,))
    letter = Node("c", "char", "char", AT, "\u202e")
    flags = Node("f", HOSTILE, "flags", AT, 5, notes=(HOSTILE,))
    whole = struct("A", evil, pointer, variant, letter, flags, notes=(HOSTILE,))
    text = render_text(view(whole), width)
    assert not any(c in text for c in "\x1b\x07\r\x9b\u202e")
    assert max(map(len, text.splitlines())) <= width


def test_deep_trees_keep_room_for_their_values() -> None:
    node = number("n", 1 << 31)
    for level in range(40):
        node = struct(f"level{level}", node, number("m", 7), number("o", 8), number("p", 1),
                      number("q", 2))  # fmt: skip
    text = render_text(view(node), 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "n: 0x80000000" in text


def test_short_types() -> None:
    name = "alloc::collections::btree::map::BTreeMap<os::a::Key, &str, alloc::alloc::Global>"
    assert short_type(name) == "BTreeMap<Key, &str>"
