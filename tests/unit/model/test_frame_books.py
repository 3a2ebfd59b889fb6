"""Frame allocators that keep a stack, or a chain through the free frames: what each was given."""

import pytest

from rcdbg.kernels.reading import overlay_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.state import FrameAllocator, Interval
from tests.unit.model.kernels import WorldOfStatics, kernel_of
from tests.unit.model.world import BASE

FIRST = (BASE >> 12) + 16

STACK = overlay_of(
    b"""
[frames]
at = "FRAMES"
start = "low"
next = "fresh"
end = "high"
recycled = "back"
""",
    "stack.toml",
)
CHAIN = overlay_of(b'[frames]\nat = "FRAMES"\nchain = "*first"\nlink = "*next"\n', "chain.toml")


def stack(fresh: int, high: int, *back: int) -> FrameAllocator:
    world = WorldOfStatics(3)
    numbers = [("low", world.u64), ("fresh", world.u64), ("high", world.u64)]
    kind = world.struct("os::Frames", [*numbers, ("back", world.vec_type(world.u64))])
    value = world.static("FRAMES", world.new(kind))
    for name, number in (("low", FIRST), ("fresh", FIRST + fresh), ("high", FIRST + high)):
        world.set(value, name, number)
    for place, frame in zip(world.fill_vec(value["back"], len(back), 8), back, strict=True):
        world.put(place.address, FIRST + frame)
    return read_frames(kernel_of(world, overlay=STACK))


def chain(*links: int) -> FrameAllocator:
    """The addresses in the order of the chain; the last one is what the last frame links to."""
    return read_frames(chained(*links))


def chained(*links: int) -> Kernel:
    world = WorldOfStatics(4)
    node = world.add(world.type(world.struct("run", [])))
    made = world.struct("run", [("next", world.pointer(node))])
    world.table[node] = world.table[made]
    value = world.new(world.struct("kmem", [("first", world.pointer(node))]))
    world.static("FRAMES", value)
    offset = world.value(node, 0)["next"].address
    place = value["first"].address
    for link in links:
        world.put(place, link)
        place = link + offset
    return kernel_of(world, overlay=CHAIN)


def test_a_stack_is_what_was_never_out_and_what_came_back() -> None:
    found = stack(10, 20, 2, 7, 3)
    assert found.problems == ()
    assert found.managed == Interval(FIRST, FIRST + 20)
    assert [(i.start - FIRST, i.end - FIRST) for i in found.free] == [(2, 4), (7, 8), (10, 20)]
    assert (found.total, found.free_frames, found.used) == (20, 13, 7)


def test_nonsense_in_a_stack_is_told_and_the_rest_counts() -> None:
    found = stack(10, 20, 2, 12)
    assert [p.why for p in found.problems] == [
        f"frame {FIRST + 12:#x} came back, but was never handed out"
    ]
    assert found.free_frames == 11
    backwards = stack(20, 10)
    assert "are no frames of its own" in backwards.problems[0].why
    assert backwards.free == ()


def test_a_chain_through_the_free_frames() -> None:
    frames = [BASE + 0x20000, BASE + 0x22000, BASE + 0x21000]
    found = chain(*frames, 0)
    assert found.problems == ()
    assert found.free == (Interval(BASE + 0x20000 >> 12, BASE + 0x23000 >> 12),)
    assert (found.total, found.used, found.free_frames) == (None, None, 3)
    assert chain(0).free == ()


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ((BASE + 0x20000, BASE + 0x21000, BASE + 0x20000), "is twice in the chain"),
        ((BASE + 0x20010, 0), "is linked as free, but is no frame"),
        ((BASE + 0x20000, 0x1000), "not in RAM"),
    ],
)
def test_a_chain_that_is_broken(links: tuple[int, ...], words: str) -> None:
    (problem,) = chain(*links).problems
    assert words in problem.why
