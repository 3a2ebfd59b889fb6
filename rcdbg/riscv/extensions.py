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
    places = (_RAM_BASE + place * device_tree.ALIGNMENT for place in range(_PLACES))
    try:
        for _, tree in device_tree.trees(read, places):
            found = of_tree(tree)
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
    told: tuple[bytes, ...] = ()
    for nodes, name, value in device_tree.properties(tree):
        kinds = [node.split(b"@")[0] for node in nodes[-2:]]
        wanted = name in (b"riscv,isa", b"riscv,isa-extensions")
        if wanted and nodes != told and kinds == [b"cpus", b"cpu"]:
            told = nodes
            yield value
