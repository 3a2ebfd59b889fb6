"""What the device tree says that the firmware leaves in memory: where RAM and devices are.

Source of the format: Devicetree Specification 0.4, chapter 5 (flattened devicetree), section 3.4
(the memory node).
"""

import struct
from collections.abc import Callable, Iterable, Iterator

MAGIC = bytes.fromhex("d00dfeed")
HEADER_SIZE = 40
MAX_RANGES = 256
"""Ranges of registers that are read."""

MAX_SIZE = 1 << 21
"""Of a tree, in bytes: QEMU's has some 5 KiB."""

ALIGNMENT = 2 << 20
"""QEMU's `virt` puts the tree at such an address (hw/riscv/boot.c, riscv_compute_fdt_addr)."""

_MAX_NAME, _MAX_DEPTH = 256, 64
"""The specification has names of 31 characters, and QEMU's trees four levels."""

_BEGIN_NODE, _END_NODE, _PROP, _NOP = 1, 2, 3, 4


def trees(read: Callable[[int, int], bytes], places: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Each device tree that lies at one of `places`, with its place.

    `read` gives physical memory, and raises what it likes, which goes through.
    """
    for place in places:
        header = read(place, HEADER_SIZE)
        if header[:4] != MAGIC:
            continue
        size = struct.unpack_from(">I", header, 4)[0]
        if HEADER_SIZE <= size <= MAX_SIZE:
            yield place, read(place, size)


def properties(tree: bytes) -> Iterator[tuple[tuple[bytes, ...], bytes, bytes]]:
    """The properties in their order: the names of the nodes around it, its own, its value.

    The root has an empty name, others may end in "@" and their unit address. Raises struct.error
    and ValueError where nonsense begins.
    """
    _, _, at, strings = struct.unpack_from(">4I", tree)
    nodes: tuple[bytes, ...] = ()
    # Every token takes four bytes at least: the loop ends with the tree.
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == _BEGIN_NODE:
            end = tree.index(b"\0", at, at + _MAX_NAME)
            nodes = (*nodes, tree[at:end])
            if len(nodes) > _MAX_DEPTH:
                raise ValueError("nodes in nodes without end")
            at = end + 4 & ~3
        elif token == _END_NODE:
            if not nodes:
                return
            nodes = nodes[:-1]
        elif token == _PROP:
            length, offset = struct.unpack_from(">II", tree, at)
            at += 8
            start = strings + offset
            name = tree[start : tree.index(b"\0", start, start + _MAX_NAME)]
            yield nodes, name, tree[at : at + length]
            at = at + length + 3 & ~3
        elif token != _NOP:
            return


def find_memory(read: Callable[[int, int], bytes], places: Iterable[int]) -> tuple[int, int] | None:
    """Start and size in bytes of RAM, after the first tree that lies at one of `places`.

    `read` gives physical memory, and raises what it likes, which goes through. None if there is
    no tree, or none that makes sense.
    """
    for place, tree in trees(read, places):
        found = memory_of(tree)
        if found is not None and found[0] <= place < sum(found):
            return found
    return None


def memory_of(tree: bytes) -> tuple[int, int] | None:
    """Start and size in bytes of the first range of the memory node; None for nonsense."""
    try:
        for nodes, name, value in properties(tree):
            # Two cells each for addresses and sizes, as on every 64-bit machine.
            is_memory = len(nodes) == 2 and nodes[1].split(b"@")[0] == b"memory"
            if is_memory and name == b"reg" and len(value) >= 16:
                start, size = struct.unpack_from(">QQ", value)
                return start, size
    except (struct.error, ValueError):
        pass
    return None


def registers_of(tree: bytes) -> list[tuple[str, int, int]]:
    """Name, start and size in bytes of every range of registers; what makes sense of nonsense.

    Taken are nodes whose addresses have two cells each, as those of a 64-bit machine's bus.
    """
    found: list[tuple[str, int, int]] = []
    try:
        for nodes, name, value in properties(tree):
            if name == b"reg" and len(value) % 16 == 0 and nodes:
                node = nodes[-1].split(b"@")[0].decode("ascii", "replace")
                for start, size in struct.iter_unpack(">QQ", value):
                    found.append((node, start, size))
            if len(found) >= MAX_RANGES:
                break
    except (struct.error, ValueError):
        pass  # what was read before the damage is as good as ever
    return found
