"""Sv39 against a reference walk written from the specification's own algorithm (4.3.2)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import MemoryReadError
from rcdbg.riscv import sv39

PAGE = 4096


class Pages:
    """Physical memory made of pages."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def read(self, address: int, size: int) -> bytes:
        page = self.pages.get(address // PAGE)
        if page is None or address % PAGE + size > PAGE:
            raise MemoryReadError(address, size, "no page")
        return bytes(page[address % PAGE : address % PAGE + size])

    def write(self, address: int, value: int) -> None:
        page = self.pages.setdefault(address // PAGE, bytearray(PAGE))
        struct.pack_into("<Q", page, address % PAGE, value)


def reference_translate(memory: Pages, root_ppn: int, va: int) -> int | None:
    """Section 4.3.2, steps 1 to 4 and 8 with LEVELS=3, PTESIZE=8, without rights and A/D."""
    if va >> 38 not in (0, 0x3FFFFFF):
        return None
    a, i = root_ppn * PAGE, 2
    while True:
        vpn = va >> (12 + 9 * i) & 0x1FF
        try:
            pte = int.from_bytes(memory.read(a + vpn * 8, 8), "little")
        except MemoryReadError:
            return None
        valid, r, w, x = pte & 1, pte >> 1 & 1, pte >> 2 & 1, pte >> 3 & 1
        if not valid or (not r and w) or pte >> 54:
            return None
        if r or x:
            break
        if pte & 0b11010000:  # D, A, U are reserved in a non-leaf
            return None
        i -= 1
        if i < 0:
            return None
        a = (pte >> 10 & (1 << 44) - 1) * PAGE
    ppn = pte >> 10 & (1 << 44) - 1
    if i > 0 and ppn & (1 << 9 * i) - 1:
        return None
    return ppn << 12 & ~((1 << 12 + 9 * i) - 1) | va & (1 << 12 + 9 * i) - 1


@st.composite
def tables(draw: st.DrawFn) -> tuple[Pages, int, list[int]]:
    """Random tables over few pages, so that they share, loop and point nowhere; and addresses."""
    memory = Pages()
    ppns = list(range(0x80000, 0x80000 + draw(st.integers(1, 5))))
    for ppn in ppns:
        memory.pages[ppn] = bytearray(PAGE)
    slots = st.sampled_from([0, 1, 2, 255, 256, 510, 511])
    entry = st.one_of(
        st.builds(lambda p, f: p << 10 | f, st.sampled_from(ppns), st.just(1)),
        st.builds(
            lambda p, f: p << 10 | f,
            st.one_of(st.sampled_from(ppns), st.sampled_from([0x40000, 0x80200, 1 << 43])),
            st.integers(0, 0x3FF),
        ),
        st.integers(0, (1 << 64) - 1),
    )
    chosen = draw(st.lists(st.tuples(st.sampled_from(ppns), slots, entry), max_size=24))
    for ppn, slot, value in chosen:
        memory.write(ppn * PAGE + slot * 8, value)
    parts = st.builds(
        lambda a, b, c, o: sv39.sign_extend(a << 30 | b << 21 | c << 12 | o),
        slots,
        slots,
        slots,
        st.integers(0, 4095),
    )
    addresses = draw(st.lists(parts | st.integers(0, (1 << 64) - 1), min_size=1, max_size=8))
    return memory, ppns[0], addresses


@given(tables())
def test_walk_agrees_with_the_specification(case: tuple[Pages, int, list[int]]) -> None:
    memory, root, addresses = case
    for va in addresses:
        found = sv39.walk(memory.read, root, va)
        assert found.physical == reference_translate(memory, root, va)
        assert (found.physical is None) == (found.fault is not None)


@given(tables())
def test_runs_and_walk_tell_the_same(case: tuple[Pages, int, list[int]]) -> None:
    memory, root, _ = case
    end = 0
    for item in sv39.runs(memory.read, root):
        if isinstance(item, sv39.Bad):
            continue
        assert item.va >= end, "ascending and without overlap"
        end = item.va + item.size
        for va in (item.va, end - 1):
            found = sv39.walk(memory.read, root, va)
            assert found.physical == item.pa + va - item.va
            assert found.leaf is not None
            assert found.leaf.pte.bits & 0x3FF == item.bits


@given(st.data())
def test_what_is_mapped_is_listed(data: st.DataObject) -> None:
    """Encode random mappings of all page sizes, list the table, get the same mappings."""
    memory = Pages()
    root, free = 0x90000, iter(range(0x90001, 0x91000))
    memory.pages[root] = bytearray(PAGE)
    flags = st.sampled_from([0x3, 0xF, 0xB, 0x13, 0xCF, 0x47, 0x2B])
    wanted: dict[int, tuple[int, int, int]] = {}
    for number in range(data.draw(st.integers(0, 12))):
        level = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
        # A gigapage each, so that mappings cannot collide.
        va = sv39.sign_extend(number * 37 % 512 << 30)
        if level < 2:
            va |= data.draw(st.integers(0, 511)) << 21
        if level < 1:
            va |= data.draw(st.integers(0, 511)) << 12
        ppn = data.draw(st.integers(0, (1 << 26) - 1)) << 9 * level
        bits = data.draw(flags)
        table = root
        for step in range(2, level, -1):
            at = table * PAGE + sv39.index(va, step) * 8
            entry = int.from_bytes(memory.read(at, 8), "little")
            if not entry & 1:
                entry = next(free) << 10 | 1
                memory.write(at, entry)
                memory.pages[entry >> 10] = bytearray(PAGE)
            table = entry >> 10
        memory.write(table * PAGE + sv39.index(va, level) * 8, ppn << 10 | bits)
        wanted[va] = (ppn * PAGE, level, bits)
    found = list(sv39.runs(memory.read, root))
    assert {r.va: (r.pa, r.level, r.bits) for r in found if isinstance(r, sv39.Run)} == wanted
    assert len(found) == len(wanted)


def test_neighbours_become_one_run() -> None:
    memory = Pages()
    memory.write(0x80000 * PAGE, 0x80001 << 10 | 1)
    memory.write(0x80001 * PAGE, 0x80002 << 10 | 1)
    for page in range(5):
        memory.write(0x80002 * PAGE + page * 8, 0x12345 + page << 10 | 0xCF)
    (run,) = sv39.runs(memory.read, 0x80000)
    assert run == sv39.Run(va=0, pa=0x12345000, pages=5, level=0, bits=0xCF)


@pytest.mark.parametrize("change", [None, (0, 0), (200, 0x4F), (511, 0x4F), (511, 1 << 54 | 0xCF)])
@pytest.mark.parametrize("start", [0x40000, 0x3FFF_FFFF << 14 & ~0x3FFFF])
def test_full_tables_are_listed_as_the_walk_says(
    start: int, change: tuple[int, int] | None
) -> None:
    """512 entries that continue each other, and the same with one of them another."""
    memory = Pages()
    memory.write(0x80000 * PAGE, 0x80001 << 10 | 1)
    memory.write(0x80000 * PAGE + 511 * 8, 0x80001 << 10 | 1)
    for slot in range(512):
        memory.write(0x80001 * PAGE + slot * 8, start + (slot << 9) << 10 | 0xCF)
    if change is not None:
        memory.write(0x80001 * PAGE + change[0] * 8, change[1])
    runs = [r for r in sv39.runs(memory.read, 0x80000) if isinstance(r, sv39.Run)]
    pages = {
        (r.va + n * 0x20_0000, r.pa + n * 0x20_0000, r.level, r.bits)
        for r in runs
        for n in range(r.pages)
    }
    walked = set()
    for top in (0, 511):
        for page in range(512):
            va = sv39.sign_extend(top << 30) + (page << 21)
            walk = sv39.walk(memory.read, 0x80000, va)
            if walk.leaf is not None and walk.physical is not None:
                bits = walk.leaf.pte.bits & 0x3FF
                walked.add((va, walk.physical, walk.leaf.level, bits))
    assert pages == walked
    if change is None:
        assert len(runs) == 2


def test_the_halves_of_the_address_space_are_no_neighbours() -> None:
    memory = Pages()
    for slot in range(512):
        memory.write(0x80000 * PAGE + slot * 8, slot << 28 | 0xCF)
    assert list(sv39.runs(memory.read, 0x80000)) == [
        sv39.Run(0, 0, 256, 2, 0xCF),
        sv39.Run(0xFFFF_FFC0_0000_0000, 256 << 30, 256, 2, 0xCF),
    ]


def test_a_table_that_contains_itself_ends() -> None:
    memory = Pages()
    for slot in range(512):
        memory.write(0x80000 * PAGE + slot * 8, 0x80000 << 10 | 1)
    found = list(sv39.runs(memory.read, 0x80000))
    assert len(found) == 512
    assert all(isinstance(f, sv39.Bad) and "contains itself" in f.why for f in found)


def test_tables_that_multiply_end() -> None:
    """512 entries to the same next table on each level: 2**18 tables if they were all visited."""
    memory = Pages()
    for slot in range(512):
        memory.write(0x80000 * PAGE + slot * 8, 0x80001 << 10 | 1)
        memory.write(0x80001 * PAGE + slot * 8, 0x80002 << 10 | 1)
        memory.write(0x80002 * PAGE + slot * 8, 0x80003 << 10 | 0xCF)
    tables: list[sv39.Table] = []
    found = list(sv39.runs(memory.read, 0x80000, tables))
    bad = [f for f in found if isinstance(f, sv39.Bad)]
    assert [f.level for f in bad] == [0, 1]
    assert all("left out" in f.why and f.kind == "limit" for f in bad)
    assert len(tables) == 1 + 2 * sv39.MAX_SHARED
    # What comes before is there, each visit at its own address.
    runs = [f for f in found if isinstance(f, sv39.Run)]
    assert len(runs) == 512 * sv39.MAX_SHARED
    assert [r.va for r in runs] == [page * PAGE for page in range(len(runs))]


def test_a_table_that_is_seen_at_a_few_addresses_is_listed_at_each() -> None:
    memory = Pages()
    slots = list(range(0, sv39.MAX_SHARED * 3, 3))
    for slot in slots:
        memory.write(0x80000 * PAGE + slot * 8, 0x80001 << 10 | 1)
    memory.write(0x80001 * PAGE + 5 * 8, 0x80200 << 10 | 0xCF)
    found = list(sv39.runs(memory.read, 0x80000))
    vas = [sv39.sign_extend((slot << 30) + (5 << 21)) for slot in slots]
    assert found == [sv39.Run(va, 0x8020_0000, 1, 1, 0xCF) for va in vas]


def test_a_listing_of_nothing_but_nonsense_ends() -> None:
    memory = Pages()
    for slot in range(128):
        memory.write(0x80000 * PAGE + slot * 8, 0x90000 + slot << 10 | 1)
        for entry in range(512):
            memory.write((0x90000 + slot) * PAGE + entry * 8, entry << 10 | 0x05)
    found = list(sv39.runs(memory.read, 0x80000))
    assert len(found) == sv39.MAX_BAD + 1
    assert isinstance(found[-1], sv39.Bad)
    assert found[-1].kind == "limit"


@pytest.mark.parametrize(
    ("bits", "level", "why"),
    [
        (0x05, 0, "W without R"),
        (0x0D, 0, "W without R"),
        (0x11, 1, "A, D or U"),
        (0x01, 0, "level 0"),
        (1 << 10 | 0x0F, 1, "misaligned"),
        (1 << 54 | 0x0F, 0, "60..54"),
        (1 << 63 | 0x0F, 0, "Svnapot"),
        (1 << 61 | 0x0F, 0, "Svpbmt"),
    ],
)
def test_reserved_encodings_are_named(bits: int, level: int, why: str) -> None:
    assert why in (sv39.Pte(bits).reserved(level) or "")


@pytest.mark.parametrize("va", [1 << 38, 1 << 63, 0xFFFF_FFBF_FFFF_FFFF])
def test_addresses_that_are_not_canonical_fault(va: int) -> None:
    assert "canonical" in (sv39.walk(Pages().read, 0, va).fault or "")
