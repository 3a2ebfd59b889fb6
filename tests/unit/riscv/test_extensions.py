"""What a device tree says of the harts, and what follows for an entry."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import MemoryReadError
from rcdbg.riscv.device_tree import MAGIC
from rcdbg.riscv.extensions import extensions, of_tree
from rcdbg.riscv.pte import EXTENSION, NOT_KNOWN, PBMT, Extensions, N, Pte

LEAF, NAPOT = 0xCF, 8 << 10 | 0xCF
BOTH, NEITHER = Extensions(True, True), Extensions(False, False)


def tree(harts: Sequence[Sequence[tuple[bytes, bytes]]]) -> bytes:
    """A flattened device tree with these properties in the cpu nodes."""
    names = b"riscv,isa\0riscv,isa-extensions\0"

    def node(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 1) + name + bytes(4 - len(name) % 4) + content + b"\0\0\0\2"

    def prop(name: bytes, value: bytes) -> bytes:
        at = names.index(name + b"\0")
        return struct.pack(">III", 3, len(value), at) + value + bytes(-len(value) % 4)

    cpus = b"".join(
        node(b"cpu@%d" % at, b"".join(prop(*one) for one in said)) for at, said in enumerate(harts)
    )
    body = node(b"", node(b"cpu-map", prop(b"riscv,isa", b"_svnapot\0")) + node(b"cpus", cpus))
    body += struct.pack(">I", 9)
    head = struct.pack(">10I", int.from_bytes(MAGIC, "big"), 40 + len(body) + len(names), 40,
                       40 + len(body), 40, 17, 16, 0, len(names), len(body))  # fmt: skip
    return head + body + names


def isa(text: bytes) -> tuple[bytes, bytes]:
    return b"riscv,isa", text + b"\0"


@pytest.mark.parametrize(
    ("harts", "expected"),
    [
        ([[isa(b"rv64imafdc_zicsr_svnapot_svpbmt")]], BOTH),
        ([[isa(b"rv64imafdc_svpbmt_xsvnapot")]], Extensions(False, True)),
        ([[isa(b"rv64imafdcsu")]], NEITHER),
        ([[isa(b"rv64imac_svnapot")], [isa(b"rv64imac")]], Extensions(None, False)),
        ([[(b"riscv,isa-extensions", b"i\0m\0svnapot\0svpbmt\0")]], BOTH),
        ([], NOT_KNOWN),
        ([[]], NOT_KNOWN),
    ],
)
def test_what_the_harts_have_in_common(
    harts: list[list[tuple[bytes, bytes]]], expected: Extensions
) -> None:
    found = tree(harts)
    assert of_tree(found) == expected

    class Machine:
        looks = 0

        def read(self, address: int, size: int) -> bytes:
            self.looks += 1
            if address >= 0x8100_0000:
                raise MemoryReadError(address, size, "no RAM")
            at = address - 0x8080_0000
            return found[at : at + size].ljust(size, b"\0") if at >= 0 else bytes(size)

    machine = Machine()
    assert extensions(machine.read) == expected
    looks = machine.looks
    assert extensions(machine.read) == expected
    assert machine.looks == looks, "a machine is asked once"


@given(st.data())
def test_a_damaged_tree_is_not_the_end(data: st.DataObject) -> None:
    whole = bytearray(tree([[isa(b"rv64imac_svnapot")]]))
    for _ in range(3):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    of_tree(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


@pytest.mark.parametrize(
    ("bits", "level", "unknown", "both", "neither"),
    [
        (NAPOT | N, 0, EXTENSION, None, "reserved"),
        (LEAF | 1 << 61, 1, EXTENSION, None, "reserved"),
        (LEAF | PBMT, 0, "reserved", "reserved", "reserved"),
        (LEAF | N, 0, "reserved", "reserved", "reserved"),
        (NAPOT | N, 1, "misaligned", "misaligned", "misaligned"),
        (1 | N, 1, "reserved", "reserved", "reserved"),
        (1 | 1 << 61, 1, "reserved", "reserved", "reserved"),
        (1 << 10 | LEAF | 1 << 61, 1, "misaligned", "misaligned", "misaligned"),
    ],
)
def test_the_rule_that_an_entry_breaks(
    bits: int, level: int, unknown: str | None, both: str | None, neither: str | None
) -> None:
    pte = Pte(bits)
    for has, expected in ((NOT_KNOWN, unknown), (BOTH, both), (NEITHER, neither)):
        why = pte.reserved(level, has)
        assert (why and pte.rule(level, why)) == expected


@given(st.integers(0, 511), st.integers(0, 0xFFF))
def test_each_of_sixteen_pages_has_its_own_frame(slot: int, offset: int) -> None:
    # Svnapot: the low four bits of the frame number are those of the virtual page.
    pte = Pte(0x80400 << 10 | NAPOT | N)
    va = slot << 12 | offset
    assert pte.mapped(va, 0) == 0x8040_0000 + (slot % 16 << 12) + offset
    assert Pte(pte.plain(va, 0)).address == pte.mapped(va, 0) - offset
