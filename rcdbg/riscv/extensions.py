"""What a hart makes of bits 63..61 of a page table entry, as the device tree in its memory says.

Source of the format: Devicetree Specification 0.4, chapter 5; RISC-V binding of the cpu nodes,
properties `riscv,isa` and `riscv,isa-extensions`.
"""

import re
import struct
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from rcdbg.errors import MemoryReadError
from rcdbg.riscv import device_tree
from rcdbg.riscv.pte import NOT_KNOWN, Extensions

_RAM_BASE = 0x8000_0000
_PLACES = 2048
"""Places of a tree that are looked at: 4 GiB from where RAM begins on QEMU's `virt`."""

ReadPhysical = Callable[[int, int], bytes]

_BEGIN_NODE, _END_NODE, _PROP, _NOP = 1, 2, 3, 4
_known: WeakKeyDictionary[object, Extensions] = WeakKeyDictionary()


def extensions(read: ReadPhysical) -> Extensions:
    """What all harts of the machine have; not known without a tree that tells. Never fails.

    Kept for the target that `read` is a method of: a hart's extensions do not change.
    """
    target = getattr(read, "__self__", None)
    try:
        found = _known.get(target)
    except TypeError:
        return _look(read)  # no object, or one that cannot be kept
    if found is None:
        found = _known[target] = _look(read)
    return found


def _look(read: ReadPhysical) -> Extensions:
    try:
        for place in range(_PLACES):
            at = _RAM_BASE + place * device_tree.ALIGNMENT
            header = read(at, device_tree.HEADER_SIZE)
            if header[:4] != device_tree.MAGIC:
                continue
            size = int.from_bytes(header[4:8], "big")
            if device_tree.HEADER_SIZE <= size <= device_tree.MAX_SIZE:
                found = of_tree(read(at, size))
                if found != NOT_KNOWN:
                    return found
    except MemoryReadError:
        return NOT_KNOWN  # RAM has come to its end
    return NOT_KNOWN


def of_tree(tree: bytes) -> Extensions:
    """What the cpu nodes of a device tree have in common; not known where they differ."""
    try:
        harts = [_words(value) for value in _isa(tree)]
    except (struct.error, ValueError):
        return NOT_KNOWN
    if not harts:
        return NOT_KNOWN
    return Extensions(*(_common([name in hart for hart in harts]) for name in _NAMES))


_NAMES = ("svnapot", "svpbmt")


def _common(said: list[bool]) -> bool | None:
    return said[0] if len(set(said)) == 1 else None


def _words(value: bytes) -> set[str]:
    """`rv64imafdc_zicsr_svnapot`, or one extension after the other, each with its NUL."""
    return set(re.split("[_\0]", value.decode("ascii", "replace").lower()))


def _isa(tree: bytes) -> Iterator[bytes]:
    """The properties of the cpu nodes that tell; of two in a node, the first."""
    _, _, at, strings = struct.unpack_from(">4I", tree)
    names: list[bytes] = []
    told = False
    # Every token takes four bytes at least: the loop ends with the tree.
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == _BEGIN_NODE:
            end = tree.index(b"\0", at)
            names.append(tree[at:end].split(b"@")[0])
            told = False
            at = end + 4 & ~3
        elif token == _END_NODE:
            if not names:
                return
            names.pop()
        elif token == _PROP:
            length, offset = struct.unpack_from(">II", tree, at)
            at += 8
            name = tree[strings + offset : tree.index(b"\0", strings + offset)]
            wanted = name in (b"riscv,isa", b"riscv,isa-extensions")
            if wanted and not told and names[-2:] == [b"cpus", b"cpu"]:
                told = True
                yield tree[at : at + length]
            at = at + length + 3 & ~3
        elif token != _NOP:
            return
