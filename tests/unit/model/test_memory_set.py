"""Segments against page tables, page by page."""

from hypothesis import given
from hypothesis import strategies as st

from rcdbg.kernels.reading import Overlay, overlay_of
from rcdbg.model.memory import segments as books_of
from rcdbg.model.memory.page_table import read_page_table
from rcdbg.model.memory.processes import FoundProcess, numbered
from rcdbg.model.memory.segments import MapKind, Segment
from rcdbg.model.state import MappedRange
from rcdbg.riscv import pte
from tests.unit.model.kernels import LAB, kernel_of
from tests.unit.model.tables import PAGE, Tables
from tests.unit.model.world import World

R, W, X, U = pte.R, pte.W, pte.X, pte.U
OFFSET = 0x1000_0000
RIGHTS = {R: "r---", R | W: "rw--", R | X: "r-x-", R | U: "r--u"}

NAMES: dict[MapKind, str] = {"linear": "Direct", "framed": "Owned"}
"""What some kernel calls its kinds: comparing goes by the kind."""

segments = st.builds(
    lambda start, length, kind, rights: Segment(
        start * PAGE, (start + length) * PAGE, NAMES[kind], RIGHTS[rights], kind
    ),
    st.integers(0, 20),
    st.integers(1, 4),
    st.sampled_from(list(NAMES)),
    st.sampled_from(list(RIGHTS)),
)
pages = st.dictionaries(
    st.integers(0, 24), st.tuples(st.integers(-1, 24), st.sampled_from(list(RIGHTS))), max_size=24
)


def ranges_of(mapped: dict[int, tuple[int, int]]) -> tuple[MappedRange, ...]:
    tables = Tables()
    for va, (pa, rights) in mapped.items():
        tables.map(va, pa, rights)
    return read_page_table(tables.kernel()).ranges


@given(st.lists(segments, max_size=5), pages, st.dictionaries(st.integers(0, 24), st.integers()))
def test_every_page_is_judged_alike(
    books: list[Segment],
    made: dict[int, tuple[int, int]],
    owned: dict[int, int],
) -> None:
    """Kinds of differences by page, against a look at each page of each segment."""
    mapped = {
        number * PAGE: ((number * PAGE - OFFSET) % (1 << 40) if frame < 0 else frame * PAGE, rights)
        for number, (frame, rights) in made.items()
    }
    pairs = {va * PAGE: frame % 30 for va, frame in owned.items()}
    compared = books_of.compare(books, ranges_of(mapped), pairs, OFFSET - (1 << 40))
    for segment, found in zip(books, compared, strict=True):
        wanted: dict[str, set[int]] = {}
        for va in range(segment.start, segment.end, PAGE):
            if va not in mapped:
                wanted.setdefault("unmapped", set()).add(va)
                continue
            pa, rights = mapped[va]
            if RIGHTS[rights] != segment.rights:
                wanted.setdefault("rights", set()).add(va)
            if segment.kind == "linear":
                if va - pa != OFFSET - (1 << 40):
                    wanted.setdefault("frame", set()).add(va)
            elif va not in pairs:
                wanted.setdefault("not-owned", set()).add(va)
            elif pairs[va] != pa // PAGE:
                wanted.setdefault("frame", set()).add(va)
        told: dict[str, set[int]] = {}
        for item in found.differences:
            if item.kind != "overlap":
                told.setdefault(item.kind, set()).update(range(item.va, item.va + item.size, PAGE))
        assert told == wanted
    covered = {va for s in books for va in range(s.start, s.end, PAGE)}
    left = {
        va
        for item in books_of.unexplained(books, ranges_of(mapped), [])
        for va in range(item.va, item.va + item.size, PAGE)
    }
    assert left == mapped.keys() - covered
    framed = {va for s in books if s.kind == "framed" for va in range(s.start, s.end, PAGE)}
    strays = {
        va
        for item in books_of.strays(books, pairs)
        for va in range(item.va, item.va + item.size, PAGE)
    }
    if len(pairs) <= books_of.MAX_DIFFERENCES:
        assert strays == pairs.keys() - framed


@given(st.lists(segments, min_size=2, max_size=5))
def test_overlaps_are_named(books: list[Segment]) -> None:
    compared = books_of.compare(books, (), {}, OFFSET)
    named = any(d.kind == "overlap" for s in compared for d in s.differences)
    seen: set[int] = set()
    twice = False
    for segment in books:
        own = set(range(segment.start, segment.end, PAGE))
        twice |= bool(own & seen)
        seen |= own
    assert named == twice


def test_hostile_segments_end_at_once() -> None:
    """Ranges that run backwards, or over the whole address space a hundred times."""
    whole = [Segment(0, (1 << 64) - 1, "Framed", "rw--", "framed")] * 100
    backwards = Segment(PAGE, 0, "Linear", "rw--", "linear")
    mapped = {number * 2 * PAGE: (0x9000_0000, R) for number in range(200)}
    compared = books_of.compare([*whole, backwards], ranges_of(mapped), {}, OFFSET)
    assert all(s.more and len(s.differences) <= books_of.MAX_DIFFERENCES for s in compared[:-1])
    assert [d.kind for d in compared[-1].differences] == ["range"]


def test_a_segment_within_pages_takes_them_whole() -> None:
    segment = Segment(0x1800, 0x2001, "Linear", "r---", "linear")
    mapped = {0x1000: (0x9000_0000, R), 0x2000: (0x9000_1000, R)}
    (found,) = books_of.compare([segment], ranges_of(mapped), {}, 0x1000 - 0x9000_0000)
    assert found.differences == ()
    assert list(books_of.unexplained([segment], ranges_of(mapped), [])) == []


def numbers(pids: list[int], overlay: Overlay) -> list[tuple[int, str]]:
    """Processes a, b, c: c is the kernel's, b has the lowest thread."""
    world = World()
    process = world.struct("os::Process", [("pid", world.u64)])
    found = []
    for name, pid, thread in zip("abc", pids, (5, 2, 9), strict=True):
        value = world.new(process)
        world.set(value, "pid", pid)
        found.append(FoundProcess(name, value, (thread,), name == "c"))
    kernel = kernel_of(world, overlay=overlay)
    return [(number, item.name) for number, item in numbered(kernel, found)]


def test_processes_have_the_numbers_that_the_kernel_gave_them() -> None:
    assert numbers([30, 10, 20], LAB) == [(10, "b"), (20, "c"), (30, "a")]


def test_processes_without_numbers_of_their_own_are_counted() -> None:
    other = overlay_of(b'family = "lab"\n[process]\nid = "number"', "other.toml")
    counted = [(0, "c"), (1, "b"), (2, "a")]
    assert numbers([7, 7, 8], LAB) == counted, "two with the same number"
    assert numbers([3, 2, 1], other) == counted, "no such field"
