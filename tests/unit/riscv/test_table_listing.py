"""The listing of whole tables, against the walk and against the mappings that were put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv.pages import index
from rcdbg.riscv.paging import SV39, SV48, SV57, Satp, Scheme, walk
from rcdbg.riscv.table_listing import MAX_BAD, MAX_SHARED, LeafRun, Listing
from tests.unit.riscv.paged import PAGE, ROOT, SCHEMES, Pages, canonical, tables

SATP = Satp.of(SV39, ROOT)


def listing(memory: Pages, scheme: Scheme = SV39) -> Listing:
    return Listing(memory.read, Satp.of(scheme, ROOT))


@given(tables())
def test_listing_and_walk_tell_the_same(case: tuple[Scheme, Pages, list[int]]) -> None:
    scheme, memory, addresses = case
    satp = Satp.of(scheme, ROOT)
    found = listing(memory, scheme)
    end = 0
    for run in found:
        assert run.va >= end, "ascending and without overlap"
        end = run.va + run.size
        for va in (run.va, end - 1):
            walked = walk(memory.read, satp, va)
            assert walked.physical == run.pa + va - run.va
            assert walked.leaf is not None
            assert walked.leaf.pte.bits & 0x3FF == run.bits
            assert walked.leaf.level == run.level
    if not any(bad.kind in ("self-map", "limit") for bad in found.bad):
        for va in addresses:
            listed = [r.pa + va - r.va for r in found if r.va <= va < r.va + r.size]
            assert listed == [p for p in [walk(memory.read, satp, va).physical] if p is not None]


@given(st.data())
def test_what_is_mapped_is_listed(data: st.DataObject) -> None:
    """Encode random mappings of all page sizes, list the table, get the same mappings."""
    scheme = data.draw(st.sampled_from(SCHEMES))
    memory = Pages()
    memory.pages[ROOT] = bytearray(PAGE)
    free = iter(range(ROOT + 1, ROOT + 0x1000))
    flags = st.sampled_from([0x3, 0xF, 0xB, 0x13, 0xCF, 0x47, 0x2B])
    wanted: dict[int, tuple[int, int, int]] = {}
    for number in range(data.draw(st.integers(0, 12))):
        level = data.draw(st.sampled_from([0, 0, 0, *range(scheme.levels)]))
        # An entry of the root each, so that mappings cannot collide.
        va = number * 37 % 512 << 12 + 9 * (scheme.levels - 1)
        for below in range(level, scheme.levels - 1):
            va |= data.draw(st.integers(0, 511)) << 12 + 9 * below
        va = canonical(va, scheme.levels)
        ppn = data.draw(st.integers(0, (1 << 44 - 9 * level) - 1)) << 9 * level
        bits = data.draw(flags)
        table = ROOT
        for step in range(scheme.levels - 1, level, -1):
            at = table * PAGE + index(va, step) * 8
            entry = int.from_bytes(memory.read(at, 8), "little")
            if not entry & 1:
                entry = next(free) << 10 | 1
                memory.write(at, entry)
                memory.pages[entry >> 10] = bytearray(PAGE)
            table = entry >> 10
        memory.entry(table, index(va, level), ppn << 10 | bits)
        wanted[va] = (ppn * PAGE, level, bits)
    found = listing(memory, scheme)
    runs = list(found)
    assert {r.va: (r.pa, r.level, r.bits) for r in runs} == wanted
    assert len(runs) == len(wanted)
    assert found.bad == []


def test_neighbours_become_one_run() -> None:
    memory = Pages()
    memory.entry(ROOT, 0, ROOT + 1 << 10 | 1)
    memory.entry(ROOT + 1, 0, ROOT + 2 << 10 | 1)
    for page in range(5):
        memory.entry(ROOT + 2, page, 0x12345 + page << 10 | 0xCF)
    (run,) = listing(memory)
    assert run == LeafRun(va=0, pa=0x12345000, pages=5, level=0, bits=0xCF)


@pytest.mark.parametrize("change", [None, (0, 0), (200, 0x4F), (511, 0x4F), (511, 1 << 54 | 0xCF)])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("last", [False, True])
def test_full_tables_are_listed_as_the_walk_says(
    last: bool, scheme: Scheme, change: tuple[int, int] | None
) -> None:
    """512 entries that continue each other, and the same with one of them another."""
    memory = Pages()
    level = scheme.levels - 2
    start = (1 << 44) - (1 << 9 * (level + 1)) if last else 1 << 9 * (level + 1)
    for slot in (0, 511):
        memory.entry(ROOT, slot, ROOT + 1 << 10 | 1)
    for slot in range(512):
        memory.entry(ROOT + 1, slot, start + (slot << 9 * level) << 10 | 0xCF)
    if change is not None:
        memory.entry(ROOT + 1, *change)
    runs = list(listing(memory, scheme))
    size = PAGE << 9 * level
    pages = {
        (r.va + n * size, r.pa + n * size, r.level, r.bits) for r in runs for n in range(r.pages)
    }
    walked = set()
    for top in (0, 511):
        for page in range(512):
            va = canonical(top << 12 + 9 * (level + 1) | page << 12 + 9 * level, scheme.levels)
            found = walk(memory.read, Satp.of(scheme, ROOT), va)
            if found.leaf is not None and found.physical is not None:
                bits = found.leaf.pte.bits & 0x3FF
                walked.add((va, found.physical, found.leaf.level, bits))
    assert pages == walked
    if change is None:
        assert len(runs) == 2


@pytest.mark.parametrize(
    ("scheme", "upper", "slots"),
    [
        (SV39, 0xFFFF_FFC0_0000_0000, 256),
        (SV48, 0xFFFF_8000_0000_0000, 256),
        (SV57, 0xFF00_0000_0000_0000, 256),
    ],
)
def test_the_halves_of_the_address_space_are_no_neighbours(
    scheme: Scheme, upper: int, slots: int
) -> None:
    memory = Pages()
    level = scheme.levels - 1
    step = 1 << 9 * level
    frames = [slot * step % (1 << 44) for slot in range(512)]
    for slot, frame in enumerate(frames):
        memory.entry(ROOT, slot, frame << 10 | 0xCF)
    assert list(listing(memory, scheme)) == [
        LeafRun(0, 0, slots, level, 0xCF),
        LeafRun(upper, frames[256] * PAGE, slots, level, 0xCF),
    ]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_table_that_contains_itself_ends(scheme: Scheme) -> None:
    memory = Pages()
    for slot in range(512):
        memory.entry(ROOT, slot, ROOT << 10 | 1)
    found = listing(memory, scheme)
    assert list(found) == []
    assert len(found.bad) == 512
    assert all("contains itself" in bad.why and bad.kind == "self-map" for bad in found.bad)
    assert [table.address for table in found.tables] == [ROOT * PAGE]


def test_tables_that_multiply_end() -> None:
    """512 entries to the same next table on each level: 2**18 tables if they were all visited."""
    memory = Pages()
    for slot in range(512):
        memory.entry(ROOT, slot, ROOT + 1 << 10 | 1)
        memory.entry(ROOT + 1, slot, ROOT + 2 << 10 | 1)
        memory.entry(ROOT + 2, slot, ROOT + 3 << 10 | 0xCF)
    found = listing(memory)
    runs = list(found)
    assert [bad.level for bad in found.bad] == [0, 1]
    assert all("left out" in bad.why and bad.kind == "limit" for bad in found.bad)
    assert len(found.tables) == 1 + 2 * MAX_SHARED
    # What comes before is there, each visit at its own address.
    assert len(runs) == 512 * MAX_SHARED
    assert [r.va for r in runs] == [page * PAGE for page in range(len(runs))]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_tables_that_multiply_on_all_levels_end(scheme: Scheme) -> None:
    memory = Pages()
    for level in range(scheme.levels):
        for slot in range(512):
            memory.entry(ROOT + level, slot, ROOT + level + 1 << 10 | (1 if level < 4 else 0xCF))
    found = listing(memory, scheme).finish()
    assert any(bad.kind == "limit" for bad in found.bad)
    assert len(found.tables) <= 1 + (scheme.levels - 1) * MAX_SHARED


def test_a_table_that_is_seen_at_a_few_addresses_is_listed_at_each() -> None:
    memory = Pages()
    slots = list(range(0, MAX_SHARED * 3, 3))
    for slot in slots:
        memory.entry(ROOT, slot, ROOT + 1 << 10 | 1)
    memory.entry(ROOT + 1, 5, 0x80200 << 10 | 0xCF)
    found = listing(memory)
    vas = [canonical((slot << 30) + (5 << 21), 3) for slot in slots]
    assert list(found) == [LeafRun(va, 0x8020_0000, 1, 1, 0xCF) for va in vas]
    assert found.bad == []


def test_a_listing_of_nothing_but_nonsense_ends() -> None:
    memory = Pages()
    for slot in range(128):
        memory.entry(ROOT, slot, 0x90000 + slot << 10 | 1)
        for entry in range(512):
            memory.entry(0x90000 + slot, entry, entry << 10 | 0x05)
    found = listing(memory).finish()
    assert list(found) == []
    assert len(found.bad) == MAX_BAD + 1
    assert found.bad[-1].kind == "limit"


def test_a_listing_goes_only_as_far_as_it_is_asked_and_tells_the_same_again() -> None:
    memory = Pages()
    reads: list[int] = []

    def read(address: int, size: int) -> bytes:
        reads.append(address)
        return memory.read(address, size)

    for slot in range(8):
        memory.entry(ROOT, slot, ROOT + 1 + slot << 10 | 1)
        memory.entry(ROOT + 1 + slot, 0, 0x80200 << 10 | 0xCF)
    found = Listing(read, SATP)
    first, second = iter(found), iter(found)
    one = next(first)
    assert len(reads) == 2, "the root, and the first table below it"
    assert next(second) == one
    rest = list(second)
    assert list(first) == rest
    assert [one, *rest] == list(found)
    assert len(reads) == len(set(reads)) == 9
    assert found.kept == 8


def test_without_translation_there_is_nothing_to_list() -> None:
    for value in (0, 5 << 60 | ROOT):
        found = Listing(Pages().read, Satp(value)).finish()
        assert (list(found), found.bad, found.tables) == ([], [], [])
