"""Every kind of Rust value, as the compiler and the libraries really lay it out.

tests/zoo/main.rs makes them, with and without optimisation; what it wrote must be read back.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcdbg.errors import UsageError
from rcdbg.guest.memory import RamTarget
from rcdbg.image.elf import load_image
from rcdbg.model.kernel import Kernel
from rcdbg.model.serial.values import node as as_json
from rcdbg.model.values.completion import complete
from rcdbg.model.values.inspect import Limits, Node
from rcdbg.model.values.printed import read_path
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, Run
from rcdbg.views.render import render_text
from rcdbg.views.value import view
from tests.integration.test_cli import rcdbg
from tests.support.zoo import build_zoo

ALL = Limits(depth=8, elements=2000, nodes=20000)


@pytest.fixture(scope="module", params=[(), ("--release",)], ids=["debug", "release"])
def zoo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    elf = build_zoo(tmp_path_factory.mktemp("zoo"), *request.param)
    with Run(Boot(Path(elf)), load_image(elf)) as run:
        run.until(reached("ready"))
        yield run


def said(node: Node) -> Any:
    """What a node says, as plain Python."""
    assert node.problems == ()
    match node.kind:
        case "list" | "set":
            return [said(child) for child in node.children]
        case "map":
            return {child.name: said(child) for child in node.children}
        case "enum":
            return (node.label, *(said(child) for child in node.children))
        case "struct" | "tuple" | "range":
            return {child.name: said(child) for child in node.children}
        case "variant":
            return node.label
        case "nothing" | "elided":
            return node.notes[-1]
        case "unit":
            return ()
    return node.value


EXPECTED: dict[str, Any] = {
    "signed": -5,
    "wide": 1 << 100,
    "single": 1.5,
    "letter": "é",
    "yes": True,
    "none": "None",
    "some": 7,
    "nested": [1, "None"],
    "ok": ("Ok", 3),
    "err": ("Err", "no"),
    "boxed": 1 << 40,
    "shared": 5,
    "counted": 6,
    "weak": 5,
    "homeless": "belongs to nothing",
    "vec": [n * n for n in range(100)],
    "empty": [],
    "pairs": [{"0": 1, "1": "Red"}, {"0": 2, "1": "Green"}],
    "bytes": "de ad",
    "deque": [1, 2, 3, 4],
    "list": [-1, 2, -3],
    "tree": {f"[{n * 3}]": str(n) for n in range(1000)},
    "no_tree": {},
    "names": {'["one"]': 1, '["two words"]': 2},
    "ordered": [-7, 5, 300],
    "string": 'héllo "you"\n',
    "text": "static",
    "slice": [1, 2, 3],
    "boxed_text": "boxed",
    "boxed_slice": [10, 20],
    "shared_slice": [30, 40, 50],
    "shared_text": "shared",
    "range": {"start": 16, "end": 4096},
    "cell": -8,
    "at_rest": 1,
    "read_twice": 2,
    "written": 3,
    "open": 11,
    "held": 12,
    "reading": 13,
    "writing": 14,
    "set_once": 15,
    "unset_once": "not initialised",
    "cell_set": 16,
    "cell_unset": "not initialised",
    "flag": True,
    "atomic": -17,
    "rights": 9,
    "colour": "Green",
    "circle": ("Circle", 2.5),
    "square": ("Square", 6, "box"),
    "nothing": ("Nothing",),
    "dog": {"age": 12},
    "bird": {"wings": 2},
    "null": 0,
    "tuple": {"0": 1, "1": "two", "2": True},
    "array": [[1, 2], [3, 4], [5, 6]],
    "nonzero": 1,
    "manual": 18,
    "maybe": 19,
    "address": 0x1000,
    "below": [("Unit",), ("Two", 1, 2), ("Three", 3), ("Far", 5)],
    "below_byte": [("Low", 1), ("High", 2)],
    "below_wide": [("Low", 1), ("Last", 2)],
    "above": [("Small", 1), ("Large", 2)],
    "arena_vec": "01 02",
    "arena_deque": [7, 8],
    "arena_box": 9,
    "arena_slice": [21, 22],
    "arena_dog": {"age": 3},
    "tail": {"number": 1, "rest": [2, 3]},
    "boxed_tail": {"number": 4, "rest": [5]},
    "shared_tail": {"number": 6, "rest": [7, 8, 9]},
    "living_tail": {"number": 10, "rest": {"wings": 1 << 90}},
    "shared_living_tail": {"number": 12, "rest": {"age": 13}},
    "deep_tail": {"number": 14, "rest": {"number": 15, "rest": "10 11 12"}},
    "units": [(), (), ()],
    "unit_vec": [(), (), (), ()],
    "unit_map": {"[(1, 2)]": ()},
    "unit_tree": {"[3]": (), "[4]": ()},
    "null_slice": 0,
    "raw_slice": "61 62",
    "with_unit": {"0": 1, "1": (), "2": 3},
    "some_none": "None",
    "back_slash": "a\\b",
}

NOTES = {
    "shared": "strong 2, weak 1",
    "weak": "strong 2, weak 1",
    "counted": "strong 1, weak 0",
    "shared_slice": "strong 1, weak 0",
    "dropped": "what it belonged to was dropped, weak 1",
    "at_rest": "not borrowed",
    "read_twice": "borrowed by 2",
    "written": "borrowed mutably",
    "open": "not locked",
    "held": "locked",
    "reading": "locked by 2 for reading",
    "writing": "locked for writing",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_rust_wrote_is_read(zoo: Run, name: str) -> None:
    found = said(read_path(zoo.kernel(), f"ZOO.{name}", ALL))
    expected = EXPECTED[name]
    if name == "square":  # the compiler chooses the order of the fields in memory
        assert (found[0], set(found[1:])) == (expected[0], set(expected[1:]))
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", "None"),
        ("some_none", "Some(None)"),
        ("some_some_none", "Some(Some(None))"),
        ("null", "null"),
        ("null_slice", "null, length 5"),
        ("with_unit", "(1, (), 3)"),
        ("not_text", r'"a\xff\\b"'),
        ("back_slash", r'"a\\b"'),
    ],
)
def test_what_is_alike_is_told_apart(zoo: Run, name: str, text: str) -> None:
    """The right text is what Rust's own `{:?}` would print, but for the null pointers."""
    shown = render_text(view(read_path(zoo.kernel(), f"ZOO.{name}")))
    assert shown.splitlines()[0] == f"ZOO.{name}: {text}"


def test_bytes_that_are_no_text_are_no_damage_to_json(zoo: Run) -> None:
    found = json.loads(json.dumps(as_json(read_path(zoo.kernel(), "ZOO.not_text"))))
    assert found["value"] == "a\N{REPLACEMENT CHARACTER}\\b"
    assert found["problems"][0]["why"] == "byte 1 is not UTF-8"


@pytest.mark.parametrize("name", NOTES)
def test_the_state_of_wrappers(zoo: Run, name: str) -> None:
    assert NOTES[name] in read_path(zoo.kernel(), f"ZOO.{name}").notes


def test_hash_tables_and_heaps(zoo: Run) -> None:
    kernel = zoo.kernel()
    assert said(read_path(kernel, "ZOO.map", ALL)) == {f"[{n}]": n * 1000 for n in range(50)}
    assert sorted(said(read_path(kernel, "ZOO.set", ALL))) == [n * 7 for n in range(20)]
    assert sorted(said(read_path(kernel, "ZOO.heap", ALL))) == [1, 4, 9]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ZOO.tree[2997]", "999"),
        ('ZOO.names["two words"]', 2),
        ("ZOO.names[one]", 1),
        ("ZOO.map[49]", 49000),
        ("ZOO.vec[99]", 9801),
        ("ZOO.deque[3]", 4),
        ("ZOO.list[1]", 2),
        ("ZOO.shared_slice[2]", 50),
        ("ZOO.nested[0]", 1),
        ("ZOO.array[2][1]", 6),
        ("ZOO.tuple.1", "two"),
        ("ZOO.pairs[1].1", "Green"),
        ("ZOO.ok.0", 3),
        ("ZOO.square.side", 6),
        ("ZOO.dog.age", 12),
        ("ZOO.address.0", 0x1000),
        ("ZOO.tail.rest[1]", 3),
        ("ZOO.shared_tail.rest[2]", 9),
        ("ZOO.deep_tail.rest.rest[0]", 16),
        ("ZOO.living_tail.rest.wings", 1 << 90),
        ("ZOO.arena_dog.age", 3),
        ("ZOO.arena_slice[1]", 22),
        ("ÜBER", 77),
        ("ZOO.ring.next.number", 2),
        ("ZOO.ring.next.next.number", 1),
        ("*ZOO.boxed", 1 << 40),
        ("(*ZOO.ring).number", 1),
        ("os::ZOO.signed", -5),
        ("ZOO.held.inner.lock", True),
        ("TOUCHED", 77),
        ("UNTOUCHED", "not initialised"),
        ("UNSET", "not initialised"),
    ],
)
def test_paths(zoo: Run, path: str, expected: Any) -> None:
    assert said(read_path(zoo.kernel(), path)) == expected


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("ZOO.nonesuch", "it has signed"),
        ("ZOO.none.field", "it is None"),
        ("ZOO.unset_once.field", "not initialised"),
        ("ZOO.tree[1]", "the keys are 0, 3, 6"),
        ("ZOO.vec[100]", "the indices are 0..99"),
        ("ZOO.empty[0]", "empty"),
        ("ZOO.vec[x]", "numbered"),
        ("ZOO.signed[0]", "no elements"),
        ("*ZOO.null", "null"),
        ("*ZOO.signed", "no pointer"),
        ("ZO.x", "no static"),
        ("ZOO.", "name of a field"),
        ("ZOO[", "a number or a key"),
        ("ZOO.vec[1", "without its ]"),
        ("", "name of a static"),
        ("ZOO.a b", "no place"),
        ("ZOO;", "no place"),
    ],
)
def test_what_makes_no_sense_gets_a_line_that_helps(zoo: Run, path: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_path(zoo.kernel(), path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_pointer_goes_by_its_symbol(zoo: Run) -> None:
    node = read_path(zoo.kernel(), "ZOO.function")
    assert node.kind == "pointer"
    assert node.label.endswith("double")


def test_a_ring_of_pointers_ends(zoo: Run) -> None:
    ring = read_path(zoo.kernel(), "ZOO.ring", Limits(depth=32))
    inner = ring.children[1].children[1]
    assert (inner.kind, inner.notes[-1]) == ("elided", "shown above")


def test_completion(zoo: Run) -> None:
    kernel, image = zoo.kernel(), zoo.image
    assert "os::ZOO" in complete(image, "os::Z")
    assert complete(image, "ZO") == ["ZOO"]
    assert complete(image, "ZOO.shared_te", kernel) == ["ZOO.shared_text"]
    assert complete(image, "*ZOO.rin", kernel) == ["*ZOO.ring"]
    assert complete(image, "ZOO.ring.next.", kernel) == [
        "ZOO.ring.next.next",
        "ZOO.ring.next.number",
    ]
    assert complete(image, "ZOO.array[", kernel) == [f"ZOO.array[{i}]" for i in range(3)]
    assert complete(image, "ZOO.array[") == complete(image, "ZOO.array[", kernel)
    assert complete(image, "ZOO.names[", kernel) == ["ZOO.names[one]", 'ZOO.names["two words"]']
    for nonsense in ("ZOO..", "ZOO.x.y", "[", ".", "ZOO.signed[", "*", "ZOO.none.", "ZOO.vec[1]"):
        assert all(isinstance(text, str) for text in complete(image, nonsense, kernel))


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("ZOO.array[", [f"ZOO.array[{i}]" for i in range(3)]),
        ("ZOO.vec[9", [f"ZOO.vec[{i}]" for i in (9, *range(90, 100))]),
        ("ZOO.names[", ["ZOO.names[one]", 'ZOO.names["two words"]']),
        ('ZOO.names["tw', ['ZOO.names["two words"]']),
        ("ZOO.signed[", []),
        ("ZOO.none_such[", []),
    ],
)
def test_the_command_line_completes_indices_and_keys(
    zoo: Run, typed: str, wanted: list[str]
) -> None:
    """Without a machine for what types tell; else of the kernel that would be printed from."""
    elf = zoo.image.path
    done = rcdbg("print", "--complete", typed, "--kernel", elf, "--at", "ready")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == wanted


def test_limits_bound_the_tree(zoo: Run) -> None:
    def size(node: Node) -> int:
        return 1 + sum(size(child) for child in node.children)

    kernel = zoo.kernel()
    assert size(read_path(kernel, "ZOO", Limits(depth=0))) == 1
    small = read_path(kernel, "ZOO.vec", Limits(elements=3))
    assert (len(small.children), small.more, small.length) == (3, 97, 100)
    assert size(read_path(kernel, "ZOO", Limits(depth=9, elements=5000, nodes=200))) <= 260


def test_damage_is_said_and_never_raised(zoo: Run) -> None:
    """Random words over everything that the tree of the zoo is read from."""
    whole = bytes(zoo.qemu.ram.memory)
    base = zoo.qemu.ram.base
    registers = zoo.stub.registers()
    memory = bytearray(whole)
    seen: set[int] = set()
    target = RamTarget(memory, base, lambda: registers)

    class Watched:
        ram = target.ram
        registers = target.registers

        def read_phys(self, address: int, size: int) -> bytes:
            if size <= 4096:
                seen.update(range(address & ~7, address + size, 8))
            return target.read_phys(address, size)

    some = Limits(depth=8, elements=40, nodes=3000)
    before = read_path(Kernel.now(zoo.image, Watched()), "ZOO", some)
    words, different = sorted(seen), 0
    for seed in range(40):
        chance = random.Random(seed)
        touched = []
        for _ in range(chance.randint(1, 30)):
            at = chance.choice(words) - base
            touched.append(at)
            memory[at : at + 8] = chance.choice(
                [b"\0" * 8, b"\xff" * 8, chance.randbytes(8),
                 chance.choice(words).to_bytes(8, "little")]
            )  # fmt: skip
        node = read_path(Kernel.now(zoo.image, target), "ZOO", some)
        render_text(view(node), width=chance.choice([30, 80, 200]))
        as_json(node)
        complete(zoo.image, "ZOO.tree[", Kernel.now(zoo.image, target))
        different += node != before
        for at in touched:
            memory[at : at + 8] = whole[at : at + 8]
    assert different > 30
    assert read_path(Kernel.now(zoo.image, target), "ZOO", some) == before
