"""What the heaps of other crates keep, by the shapes of their types.

linked_list_allocator: holes of any size, each with its size and the next one's address, ascending.
slab_allocator: lists of blocks of one size each, and another allocator for what is larger. talc:
bins of gaps; a gap begins with its list's node, and its size follows that. customizable-buddy: a
line for each order, with a list through the free blocks or with bits. Sources: the crates' own
definitions (linked_list_allocator 0.9 and 0.10, slab_allocator_rs 1.0, talc 4, customizable-buddy
0.0.4). Each link lies in memory that programs scribble over: it is followed within bounds, once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rcdbg.image.types import PointerType, StructType
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import array, base_name, dig, option, pointer_in
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value

MAX_BLOCKS = 1 << 16
"""Free blocks that are followed together."""

_WORD = 8
_MAX_ORDER = 48


@dataclass(slots=True)
class FreeBlocks:
    """What such a heap says of itself: bytes, and its free blocks as (address, size)."""

    total: int | None
    used: int | None
    blocks: list[tuple[int, int]] = field(default_factory=list)
    start: int | None = None
    end: int | None = None
    complete: bool = True
    """Whether all free blocks are among `blocks`."""
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def free_blocks(owner: Value) -> FreeBlocks | None:
    """The same of a heap of one of these makes, or None of another; raises DecodeError."""
    if owner.has("holes") and owner.has("used"):
        return _linked_list(owner)
    if owner.has("bins") and owner.has("availability_low"):
        return _talc(owner)
    if owner.has("buddies") and owner.has("min_order"):
        return _buddies(owner)
    if any(_is_slab(member) for member in owner.fields()):
        return _slabs(owner)
    return None


def _follow(
    found: FreeBlocks, place: Value, first: Value | None, size_of: "SizeOf"
) -> Iterator[Value]:
    """The nodes of a chain from that one on; ends with a Problem at one that cannot be."""
    seen = {address for address, _ in found.blocks}
    node = first
    while node is not None:
        try:
            size = _size(found, node, seen, size_of)
            seen.add(node.address)
            found.blocks.append((node.address, size))
            yield node
            node = _next(node)
        except DecodeError as error:
            found.problems.append(Problem(place.path, error.problem.why))
            found.complete = False
            return


def _size(found: FreeBlocks, node: Value, seen: set[int], size_of: "SizeOf") -> int:
    """The size of a free block; raises DecodeError for one that cannot be."""
    if node.address in seen:
        raise DecodeError(node.path, f"the free block at {node.address:#x} is there twice")
    if len(found.blocks) >= MAX_BLOCKS:
        why = f"more than {MAX_BLOCKS} free blocks: the rest is left out"
        raise DecodeError(node.path, why)
    if node.address % _WORD or not _fits(found, node.address, 1):
        raise DecodeError(node.path, f"a free block at {node.address:#x} cannot be")
    size = size_of(node)
    if not _fits(found, node.address, size):
        why = f"a free block of {size:#x} bytes at {node.address:#x} cannot be"
        raise DecodeError(node.path, why)
    return size


class SizeOf:
    """The size of a block from its node."""

    def __call__(self, node: Value) -> int:
        """In bytes; raises DecodeError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Fixed(SizeOf):
    size: int

    def __call__(self, node: Value) -> int:
        return self.size


class _Told(SizeOf):
    def __call__(self, node: Value) -> int:
        return node["size"].scalar()


class _Behind(SizeOf):
    """The word behind the node."""

    def __call__(self, node: Value) -> int:
        return node.word(node.address + node.type.size, _WORD)


def _fits(found: FreeBlocks, address: int, size: int) -> bool:
    low = found.start if found.start is not None else 0
    high = found.end if found.end is not None else 1 << 64
    return size > 0 and low <= address and address + size <= high


def _next(node: Value) -> Value | None:
    return _target(node["next"])


def _target(link: Value) -> Value | None:
    """What an Option of a pointer leads to, or a pointer that may be null."""
    held: Value | None = link
    for _ in range(MAX_DEPTH):
        if held is None or base_name(held.type) != "Option":
            break
        held = option(held)
    if held is None:
        return None
    pointer = pointer_in(held)
    kind = pointer.type
    address = pointer.scalar()
    if not isinstance(kind, PointerType) or not address:
        return None
    return Value(pointer.space, kind.target, address, link.path)


def _linked_list(owner: Value) -> FreeBlocks:
    used, holes = owner["used"].scalar(), owner["holes"]
    pending = 0
    if owner.has("bottom") and owner.has("size"):
        start, total = owner["bottom"].scalar(), owner["size"].scalar()
    else:
        start = pointer_in(holes["bottom"]).scalar()
        total = pointer_in(holes["top"]).scalar() - start
        pending = holes["pending_extend"].scalar() if holes.has("pending_extend") else 0
    found = FreeBlocks(total, used, start=start, end=start + total)
    for _ in _follow(found, holes, _next(holes["first"]), _Told()):
        pass
    if [address for address, _ in found.blocks] != sorted(a for a, _ in found.blocks):
        found.problems.append(Problem(holes.path, "its holes are not in ascending order"))
    free = sum(size for _, size in found.blocks)
    if found.complete and used + free + pending != total:
        why = f"{used:,} bytes used and {free:,} free are not its {total:,}"
        found.problems.append(Problem(owner.path, why))
    return found


def _talc(owner: Value) -> FreeBlocks:
    bits = 8 * (owner["availability_low"].type.size + owner["availability_high"].type.size)
    total = used = None
    if owner.has("counters"):
        total = owner["counters"]["claimed_bytes"].scalar()
        used = total - owner["counters"]["available_bytes"].scalar()
    found = FreeBlocks(total, used)
    bins = _pointed(owner["bins"])
    if bins is None:
        found.notes.append("no memory was given to it yet")
        return found
    size = bins.type.size
    for number in range(bits):
        head = Value(bins.space, bins.type_id, bins.address + number * size, bins.path)
        for _ in _follow(found, head, _target(head), _Behind()):
            pass
    return found


def _pointed(link: Value) -> Value | None:
    pointer = pointer_in(link)
    kind, address = pointer.type, pointer.scalar()
    if not isinstance(kind, PointerType) or not address:
        return None
    return Value(pointer.space, kind.target, address, link.path)


def _buddies(owner: Value) -> FreeBlocks:
    total, free = owner["capacity"].scalar(), owner["free"].scalar()
    found = FreeBlocks(total, total - free)
    if not 0 <= free <= total:
        found.used = None
        found.problems.append(Problem(owner.path, f"{free:,} bytes of {total:,} are free"))
    order = owner["min_order"].scalar()
    if not 0 <= order <= _MAX_ORDER:
        raise DecodeError(owner.path, f"a smallest block of 2**{order} bytes is nonsense")
    lines = [*array(owner["buddies"]), *([owner["oligarchy"]] if owner.has("oligarchy") else [])]
    for number, line in enumerate(lines):
        _line(found, line, order + number)
    listed = sum(size for _, size in found.blocks)
    if listed > free:
        why = f"{listed:,} bytes are in its lists, but it counts {free:,} as free"
        found.problems.append(Problem(owner.path, why))
    elif listed < free:
        found.complete = False
        found.notes.append(f"{free - listed:,} bytes that it counts as free are not listed")
    return found


def _line(found: FreeBlocks, line: Value, order: int) -> None:
    """The blocks of one order: in a list through them, or as bits counted from an index."""
    if line.has("free_list"):
        head = _target(dig(line["free_list"], "next"))
        for _ in _follow(found, line, head, _Fixed(1 << order)):
            pass
    elif line.has("bits") and line.has("base"):
        bits, base = line["bits"].scalar(), line["base"].scalar()
        places = [base + bit for bit in range(8 * _WORD) if bits >> bit & 1]
        found.blocks += [(place << order, 1 << order) for place in places]


def _is_slab(value: Value) -> bool:
    return isinstance(value.type, StructType) and value.has("free_block_list")


def _slabs(owner: Value) -> FreeBlocks:
    found = FreeBlocks(None, None)
    for member in owner.fields():
        if _is_slab(member):
            _slab(found, member)
            continue
        inner = free_blocks(member)
        if inner is not None:
            found.blocks += inner.blocks
            found.problems += inner.problems
            found.complete &= inner.complete
        elif member.has("free_list"):
            found.complete = False
            found.notes.append(f"the blocks of {base_name(member.type)} are not listed")
    return found


def _slab(found: FreeBlocks, slab: Value) -> None:
    """The free blocks of one size; its list's length has to be theirs."""
    blocks, before, problems = slab["free_block_list"], len(found.blocks), len(found.problems)
    if slab.has("block_size"):
        size = slab["block_size"].scalar()
    else:  # a parameter of its type
        digits = "".join(c for c in slab.type.name.partition("<")[2] if c.isdigit())
        size = int(digits) if digits else 0
    for _ in _follow(found, slab, _target(blocks["head"]), _Fixed(size)):
        pass
    length = blocks["len"].scalar()
    if len(found.problems) == problems and length != len(found.blocks) - before:
        why = f"{len(found.blocks) - before} free blocks, but a length of {length}"
        found.problems.append(Problem(slab.path, why))
        found.complete = False
