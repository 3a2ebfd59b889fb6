"""A description against a made-up ELF: what is there, what is missing, and what comes nearest."""

import json
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.image.tables import Function
from rcdbg.image.types import StructType
from rcdbg.kernels.reading import Overlay, overlay_of
from rcdbg.model.described.described import Described, DescribedEntry
from rcdbg.model.described.read import read_described
from rcdbg.model.described.skeleton import skeleton
from rcdbg.model.serial.described import described as serialised
from rcdbg.views.described import view
from rcdbg.views.render import render_text
from tests.unit.model.kernels import FakeImage, WorldOfStatics
from tests.unit.model.labs import Labs

SYMBOLS = {"__interrupt": 0x8020_1000, "handle_interrupt": 0x8020_2000, "__restore": 0x8020_1100}


class MadeUpElf(FakeImage):
    """A world with symbols and functions, as an ELF has them."""

    path = Path("made/os")

    def __init__(self, world: WorldOfStatics) -> None:
        super().__init__(world)
        self.symbols = SimpleNamespace(
            at=lambda _: None,
            address_of=SYMBOLS.get,
            suggest=lambda name: [known for known in SYMBOLS if known[:6] == name[:6]],
        )
        self.functions = [
            Function("os::process::Processor::wake_thread", "", ((0x8020_3000, 16),)),
            Function("core::Other::wake_threads", "", ((0x8020_4000, 16),)),
        ]


class Damaged(MadeUpElf):
    """One whose debug info is nonsense."""

    @property
    def types(self) -> WorldOfStatics:
        raise ImageError("os: its DWARF is damaged")

    @types.setter
    def types(self, _world: object) -> None:
        """Nothing."""


def elf(world: WorldOfStatics | None = None) -> Image:
    return cast(Image, MadeUpElf(world or Labs(3)))


def profile(text: str) -> Overlay:
    return overlay_of(f'family = "lab"\n{text}'.encode(), "kernel.toml")


def entry(described: Described, concept: str, key: str) -> DescribedEntry:
    (table,) = (c for c in described.concepts if c.name == concept)
    (found,) = (e for e in table.entries if e.key == key)
    return found


def near(text: str, concept: str, key: str) -> list[str]:
    found = entry(read_described(elf(), profile(text)), concept, key)
    assert found.is_missing
    assert found.why
    return [one.text for one in found.near]


@pytest.mark.parametrize("seed", range(3))
def test_where_each_thing_is(seed: int) -> None:
    world = Labs(seed)
    found = read_described(elf(world))
    assert (found.family, found.problems) == ("lab", ())
    (thread,) = (t for t in world.table.values() if t.name == "os::Thread")
    assert isinstance(thread, StructType)
    stack = thread.member("stack")
    assert stack is not None
    (high,) = entry(found, "thread", "stack_end").found
    assert (high.kind, high.path, high.type) == ("field", "os::Thread.stack.end", "usize")
    span = world.type(stack.type)
    assert isinstance(span, StructType)
    end = span.member("end")
    assert end is not None
    assert high.offset == stack.offset + end.offset
    (context,) = entry(found, "thread", "context").found
    assert (context.asked, context.type) == ("inner.context", "os::Context")
    assert context.offset is None, "whether there is one only memory tells"
    (processor,) = entry(found, "processor", "type").found
    lock = next(s for s in world.known if s.path == "os::PROCESSOR")
    assert (processor.holder, processor.address) == (lock.path, lock.address)
    (start,) = entry(found, "trap", "entry").found
    assert (start.kind, start.address) == ("symbol", SYMBOLS["__interrupt"])
    (wake,) = entry(found, "calls", "thread_wake").found
    assert (wake.path, wake.address) == ("os::process::Processor::wake_thread", 0x8020_3000)
    (framed,) = entry(found, "area", "framed").found
    assert framed.path == "os::MapType::Framed"
    assert entry(found, "idle", "is_lone").is_setting


def test_the_alternative_that_counts() -> None:
    text = '[thread]\nstack_start = ["memory.low", "stack.start"]'
    (found,) = entry(read_described(elf(), profile(text)), "thread", "stack_start").found
    assert found.asked == "stack.start"


@pytest.mark.parametrize(
    ("concept", "key", "misspelt", "meant"),
    [
        ("processor", "current", "curent_thread", "current_thread"),
        ("thread", "stack_start", "stack.strat", "stack.start"),
        ("thread", "context", "inner.contxt", "inner.context"),
        ("thread", "type", "Thred", "Thread"),
        ("trap", "entry", "__interupt", "__interrupt"),
        ("kernel_stack", "at", "PROCESOR", "PROCESSOR"),
        ("process", "list", "USER_PROCES", "USER_PROCESS"),
        ("area", "framed", "Frame", "Framed"),
        ("calls", "thread_wake", "Processor::wake_a_thread", "Processor::wake_thread"),
        ("frames", "books", "alocator", "allocator"),
    ],
)
def test_a_misspelt_name_gives_the_nearest(
    concept: str, key: str, misspelt: str, meant: str
) -> None:
    assert near(f'[{concept}]\n{key} = "{misspelt}"', concept, key)[0] == meant


def test_what_is_like_nothing_has_nothing_near() -> None:
    assert near('[process]\nid = "qqqq"', "process", "id") == []
    assert near('[heap]\ntype = "Xyzzy"', "heap", "type") == []


def test_parts_of_what_a_static_holds_by_its_type_alone() -> None:
    world = Labs(6)
    heap = world.struct("pool::Heap", [("given", world.u64), ("used", world.u64)])
    static = world.static("HEAP", world.new(world.mutex_of(heap)))
    text = '[heap]\ntype = "Heap"\ntotal = "given"\nfree = "unused"'
    found = read_described(elf(world), profile(text))
    (total,) = entry(found, "heap", "total").found
    assert (total.path, total.type) == ("pool::Heap.given", "usize")
    (held,) = entry(found, "heap", "type").found
    assert (held.holder, held.address) == ("os::HEAP", static.address)
    assert [one.text for one in entry(found, "heap", "free").near] == ["used"]


def test_names_that_no_family_has_are_near_where_they_look_alike() -> None:
    names = {"current_thread": "on_the_hart", "Thread": "Worker", "PROCESSOR": "CPU", "x": "gprs"}
    names |= {"Framed": "Owned", "memory_set": "mapped"}
    world = Labs(4, names)
    text = """
        [thread]
        type = "Workers"
        [processor]
        current = "on_a_hart"
        [context]
        registers = "gpr"
        [area]
        framed = "Owner"
        [process]
        space = "inner.maped"
        """
    found = read_described(elf(world), profile(text))
    asked = [("thread", "type"), ("processor", "current"), ("context", "registers"),
             ("area", "framed"), ("process", "space")]  # fmt: skip
    firsts = [entry(found, concept, key).near[0].text for concept, key in asked]
    assert firsts == ["Worker", "on_the_hart", "gprs", "Owned", "inner.mapped"]


def test_what_the_family_calls_it_is_near() -> None:
    assert near('[thread]\nid = "qqqq"', "thread", "id") == ["id"]


def test_what_another_family_calls_it_is_near() -> None:
    world = Labs(1)
    world.static("KERNEL_SPACE", world.new(world.u64))
    text = '[address_space]\nlist = "NOWHERE"'
    found = entry(read_described(elf(world), profile(text)), "address_space", "list")
    assert [one.text for one in found.near] == ["KERNEL_SPACE"]
    assert "as in tg" in found.near[0].what or "as in v3" in found.near[0].what


def test_a_skeleton_says_nothing_until_it_is_filled_in() -> None:
    text = skeleton(read_described(elf(), profile('[processor]\ncurrent = "curent_thread"')))
    assert overlay_of(text.encode(), "skeleton.toml").entries == ()
    (line,) = (one for one in text.splitlines() if one.startswith("# current = "))
    filled = overlay_of(text.replace(line, line.removeprefix("# ")).encode(), "skeleton.toml")
    found = entry(read_described(elf(), filled), "processor", "current")
    assert [one.path for one in found.found] == ["os::Processor.current_thread"]


def test_the_skeleton_of_a_kernel_that_nobody_knows_has_every_key() -> None:
    world = WorldOfStatics()
    world.struct("mine::Threads", [("number", world.u64)])
    image = MadeUpElf(world)
    image.symbols.address_of = lambda _: None
    image.symbols.suggest = lambda _: []
    found = read_described(cast(Image, image))
    assert (found.family, found.missing) == ("unknown", 0)
    text = skeleton(found)
    assert overlay_of(text.encode(), "skeleton.toml").entries == ()
    assert '# context_ppn = ""' in text
    filled = text.replace("# all_user = ", "all_user = ")
    assert overlay_of(filled.encode(), "x").entries == (("process", "all_user", True),)
    assert '# type = "Threads"  # type mine::Threads' in text


def test_names_of_an_elf_end_no_comment() -> None:
    world = Labs(2)
    world.struct("os::Evil\n[trap]\nentry = 1\n::Procesor", [("number", world.u64)])
    text = skeleton(read_described(elf(world), profile('[frame_tracker]\ntype = "Procesors"')))
    assert "entry = 1" in text
    assert tomllib.loads(text)["frame_tracker"] == {}
    assert overlay_of(text.encode(), "skeleton.toml").entries == ()


def test_damaged_debug_info_is_said_and_symbols_are_found() -> None:
    found = read_described(cast(Image, Damaged(Labs())))
    assert [problem.why for problem in found.problems] == ["os: its DWARF is damaged"]
    assert entry(found, "trap", "entry").found[0].address == SYMBOLS["__interrupt"]
    assert entry(found, "thread", "type").why == "os: its DWARF is damaged"
    assert "its DWARF is damaged" in render_text(view(found))


def test_no_debug_info_is_said() -> None:
    image = MadeUpElf(WorldOfStatics())
    image.has_debug_info = False
    image.functions = []
    found = read_described(cast(Image, image), profile(""))
    assert ["no debug info" in problem.why for problem in found.problems] == [True]
    assert entry(found, "trap", "exit").found
    assert "no debug info" in entry(found, "frames", "type").why


def test_a_family_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="no family of kernels is called 'lob'"):
        read_described(elf(), overlay_of(b'family = "lob"', "x"))


def test_text_and_document() -> None:
    found = read_described(elf(), profile('[processor]\ncurrent = "curent_thread"'))
    text = render_text(view(found), width=200)
    assert "made" not in text.splitlines()[0]
    assert "rCore-Tutorial labs (lab): the profile says so" in text
    assert "not found: os::Processor has no curent_thread" in text
    assert "nearest: current_thread (field os::Processor.current_thread, as in lab)" in text
    assert "os::Thread.stack.end" in text
    content = json.loads(json.dumps(serialised(found)))
    current = content["concepts"]["processor"]["current"]
    assert (current["asked"], current["found"]) == (["curent_thread"], [])
    assert current["near"][0]["text"] == "current_thread"
    assert content["concepts"]["trap"]["exit"]["found"][0]["address"] == "0x80201100"
    assert content["missing"] == text.count("not found:")
