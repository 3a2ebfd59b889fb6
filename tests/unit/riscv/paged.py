"""Physical pages made by a test, tables at random in them, and a walk out of the specification."""

import struct

from hypothesis import strategies as st

from rcdbg.errors import MemoryReadError
from rcdbg.riscv.paging import SV39, SV48, SV57, Scheme

PAGE = 4096
ROOT = 0x80000
SCHEMES = (SV39, SV48, SV57)
LEVELS = {"Sv39": 3, "Sv48": 4, "Sv57": 5}
"""Sections 4.4 to 4.6: written down here once more."""


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

    def entry(self, table: int, slot: int, value: int) -> None:
        """Write an entry of the table in that frame."""
        self.write(table * PAGE + slot * 8, value)


def canonical(va: int, levels: int) -> int:
    """The 64-bit address whose bits above 12 + 9 * levels equal the highest one of those below."""
    bits = 12 + 9 * levels
    va &= (1 << bits) - 1
    return va - (va >> bits - 1 << bits) & (1 << 64) - 1


def reference_translate(memory: Pages, root_ppn: int, levels: int, va: int) -> int | None:
    """Section 4.3.2, steps 1 to 4 and 8 with PTESIZE=8, without rights and A/D."""
    if va != canonical(va, levels):
        return None
    a, i = root_ppn * PAGE, levels - 1
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
def tables(draw: st.DrawFn) -> tuple[Scheme, Pages, list[int]]:
    """Random tables over few pages, so that they share, loop and point nowhere; and addresses.

    The root is in the frame ROOT.
    """
    scheme = draw(st.sampled_from(SCHEMES))
    levels = LEVELS[scheme.name]
    memory = Pages()
    ppns = list(range(ROOT, ROOT + draw(st.integers(1, 7))))
    for ppn in ppns:
        memory.pages[ppn] = bytearray(PAGE)
    slots = st.sampled_from([0, 1, 255, 256, 511])
    aligned = st.builds(lambda level, n: n << 9 * level, st.integers(0, 4), st.integers(0, 255))
    entry = st.one_of(
        st.builds(lambda p, f: p << 10 | f, st.sampled_from(ppns), st.just(1)),
        st.builds(
            lambda p, f: p << 10 | f,
            st.one_of(st.sampled_from(ppns), aligned, st.sampled_from([0x80200, 1 << 43])),
            st.integers(0, 0x3FF),
        ),
        st.integers(0, (1 << 64) - 1),
    )
    chosen = draw(st.lists(st.tuples(st.sampled_from(ppns), slots, entry), max_size=24))
    for ppn, slot, value in chosen:
        memory.entry(ppn, slot, value)

    def address(parts: list[int]) -> int:
        return canonical(sum(part << 12 + 9 * i for i, part in enumerate(parts)) | 0x123, levels)

    inside = st.lists(slots, min_size=levels, max_size=levels).map(address)
    addresses = draw(st.lists(inside | st.integers(0, (1 << 64) - 1), min_size=1, max_size=8))
    return scheme, memory, addresses
