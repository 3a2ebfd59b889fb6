"""Where RAM is, out of the device tree that the firmware leaves in memory.

Source of the format: Devicetree Specification 0.4, chapter 5 (flattened devicetree), section 3.4
(the memory node).
"""

import struct
from collections.abc import Callable, Iterable

MAGIC = bytes.fromhex("d00dfeed")
HEADER_SIZE = 40
MAX_RANGES = 256
"""Ranges of registers that are read."""

MAX_SIZE = 1 << 21
"""Of a tree, in bytes: QEMU's has some 5 KiB."""

ALIGNMENT = 2 << 20
"""QEMU's `virt` puts the tree at such an address (hw/riscv/boot.c, riscv_compute_fdt_addr)."""

_BEGIN_NODE, _END_NODE, _PROP, _NOP = 1, 2, 3, 4


def find_memory(read: Callable[[int, int], bytes], places: Iterable[int]) -> tuple[int, int] | None:
    """Start and size in bytes of RAM, after the first tree that lies at one of `places`.

    `read` gives physical memory, and raises what it likes, which goes through. None if there is
    no tree, or none that makes sense.
    """
    for place in places:
        header = read(place, HEADER_SIZE)
        if header[:4] != MAGIC:
            continue
        size = struct.unpack_from(">I", header, 4)[0]
        if not HEADER_SIZE <= size <= MAX_SIZE:
            continue
        found = memory_of(read(place, size))
        if found is not None and found[0] <= place < sum(found):
            return found
    return None


def memory_of(tree: bytes) -> tuple[int, int] | None:
    """Start and size in bytes of the first range of the memory node; None for nonsense."""
    try:
        _, _, structure, strings = struct.unpack_from(">4I", tree)
        return _memory(tree, structure, strings)
    except (struct.error, ValueError):
        return None


def _memory(tree: bytes, at: int, strings: int) -> tuple[int, int] | None:
    depth, inside = 0, False
    # Every token takes four bytes at least: the loop ends with the tree.
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == _BEGIN_NODE:
            end = tree.index(b"\0", at)
            depth += 1
            inside = depth == 2 and tree[at:end].split(b"@")[0] == b"memory"
            at = end + 4 & ~3
        elif token == _END_NODE:
            depth, inside = depth - 1, False
        elif token == _PROP:
            length, name = struct.unpack_from(">II", tree, at)
            at += 8
            # Two cells each for addresses and sizes, as on every 64-bit machine.
            if inside and tree.startswith(b"reg\0", strings + name) and length >= 16:
                start, size = struct.unpack_from(">QQ", tree, at)
                return start, size
            at = at + length + 3 & ~3
        elif token != _NOP:
            return None


def registers_of(tree: bytes) -> list[tuple[str, int, int]]:
    """Name, start and size in bytes of every range of registers; what makes sense of nonsense.

    Taken are nodes whose addresses have two cells each, as those of a 64-bit machine's bus.
    """
    found: list[tuple[str, int, int]] = []
    try:
        _, _, at, strings = struct.unpack_from(">4I", tree)
        names: list[str] = []
        while len(found) < MAX_RANGES:
            (token,) = struct.unpack_from(">I", tree, at)
            at += 4
            if token == _BEGIN_NODE:
                end = tree.index(b"\0", at)
                names.append(tree[at:end].split(b"@")[0].decode("ascii", "replace"))
                at = end + 4 & ~3
            elif token == _END_NODE:
                names.pop()
            elif token == _PROP:
                length, name = struct.unpack_from(">II", tree, at)
                at += 8
                if tree.startswith(b"reg\0", strings + name) and length % 16 == 0 and names:
                    for place in range(at, at + length, 16):
                        found.append((names[-1], *struct.unpack_from(">QQ", tree, place)))
                at = at + length + 3 & ~3
            elif token != _NOP:
                return found
    except (struct.error, ValueError, IndexError):
        pass  # what was read before the damage is as good as ever
    return found
