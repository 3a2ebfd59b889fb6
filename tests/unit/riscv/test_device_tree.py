"""RAM's extent out of a device tree, and out of things that look like one."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.riscv.device_tree import MAGIC, find_memory, memory_of, properties, registers_of

BASE = 0x8000_0000


def node(name: bytes, content: bytes) -> bytes:
    padded = name + bytes(4 - len(name) % 4)
    return struct.pack(">I", 1) + padded + content + struct.pack(">I", 2)


def prop(name_at: int, value: bytes) -> bytes:
    return struct.pack(">III", 3, len(value), name_at) + value + bytes(-len(value) % 4)


def tree(memory: bytes) -> bytes:
    """As the specification lays it out: header, structure, strings."""
    strings = b"compatible\0reg\0"
    uart = node(b"uart@10000000", prop(11, struct.pack(">QQ", 0x1000_0000, 0x100)))
    cpus = node(b"cpus", node(b"memory@7", prop(11, struct.pack(">QQ", 7, 7))))
    body = prop(0, b"riscv-virtio\0") + struct.pack(">I", 4) + uart + cpus + memory
    structure = node(b"", body) + struct.pack(">I", 9)
    size = 40 + len(structure) + len(strings)
    header = struct.pack(">10I", 0xD00DFEED, size, 40, 40 + len(structure), 40, 17, 16, 0,
                         len(strings), len(structure))  # fmt: skip
    return header + structure + strings


WHOLE = tree(node(b"memory@80000000", prop(11, struct.pack(">QQ", BASE, 128 << 20))))


def test_the_memory_node() -> None:
    assert memory_of(WHOLE) == (BASE, 128 << 20)
    assert memory_of(tree(b"")) is None
    assert memory_of(tree(node(b"memory@80000000", prop(11, b"short")))) is None


def test_the_registers_of_all_nodes() -> None:
    assert registers_of(WHOLE) == [
        ("uart", 0x1000_0000, 0x100),
        ("memory", 7, 7),
        ("memory", BASE, 128 << 20),
    ]


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_registers_of_a_damaged_tree(at: int, flip: int) -> None:
    registers_of(WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :])
    assert len(registers_of(WHOLE[:at])) <= 3


@given(st.binary(max_size=300))
def test_nonsense(data: bytes) -> None:
    assert memory_of(data) is None or len(data) > 40
    memory_of(MAGIC + data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_damage_ends_the_search(at: int, flip: int) -> None:
    memory_of(WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :])
    memory_of(WHOLE[:at])


def test_finding_it_in_memory() -> None:
    memory = bytearray(8 << 20)
    memory[: len(WHOLE)] = WHOLE
    memory[4 << 20 : (4 << 20) + 8] = MAGIC + b"\xff" * 4
    memory[6 << 20 : (6 << 20) + len(WHOLE)] = WHOLE

    def read(address: int, size: int) -> bytes:
        return bytes(memory[address - BASE : address - BASE + size])

    places = range(BASE + (2 << 20), BASE + (8 << 20), 2 << 20)
    assert find_memory(read, places) == (BASE, 128 << 20)
    assert find_memory(read, places[:2]) is None
    assert find_memory(read, [0x4000_0000 + BASE]) is None


def test_what_would_cost_the_square_of_its_size_is_nonsense() -> None:
    """A name that never ends, looked for again and again, and nodes that only begin."""
    body = struct.pack(">I", 1) + bytes(4) + struct.pack(">III", 3, 0, 0) * 1000
    header = struct.pack(">10I", 0xD00DFEED, 0, 40, 40 + len(body), 40, 17, 16, 0, 0, 0)
    endless = header + body + b"r" * 100_000
    with pytest.raises(ValueError, match="not found"):
        list(properties(endless))
    deep = header + (struct.pack(">I", 1) + b"n\0\0\0") * 100_000
    with pytest.raises(ValueError, match="without end"):
        list(properties(deep))
    assert memory_of(endless) is memory_of(deep) is None
    assert registers_of(endless) == registers_of(deep) == []
