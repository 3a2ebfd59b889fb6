"""Encoders of more of Rust's values, on top of `world`, from the library's definitions."""

import struct
from collections.abc import Sequence
from itertools import pairwise

from rcdbg.image.types import (
    ArrayType,
    BaseType,
    CEnumType,
    Member,
    OpaqueType,
    StructType,
    TypeId,
    UnionType,
)
from rcdbg.model.values.value import Value
from tests.unit.model.world import World

_CAPACITY = 11


def string(world: World, content: bytes) -> Value:
    """A String with any bytes in it, also such as no String may have."""
    inner = world.struct(
        "alloc::vec::Vec<u8>",
        [("buf", world.raw_vec(world.u8)), ("len", world.u64)],
        [("T", world.u8)],
    )
    value = world.new(world.struct("alloc::string::String", [("vec", inner)]))
    buffer = world.alloc(len(content) + 1)
    world.write(buffer, content)
    world.set(value, "vec", "buf", "inner", "ptr", "__0", buffer)
    world.set(value, "vec", "buf", "inner", "cap", "__0", len(content))
    world.set(value, "vec", "len", len(content))
    return value


def text(world: World, content: bytes) -> Value:
    """A &str: a pointer and a length."""
    kind = world.struct("&str", [("data_ptr", world.pointer(world.u8)), ("length", world.u64)])
    value = world.new(kind)
    buffer = world.alloc(len(content) + 1)
    world.write(buffer, content)
    world.set(value, "data_ptr", buffer)
    world.set(value, "length", len(content))
    return value


def ref_cell(world: World, number: int, borrow: int) -> Value:
    """A RefCell: a signed count of borrows, and the value."""
    signed = world.add(BaseType("isize", 8, "signed"))
    flag = world.struct("core::cell::Cell<isize>", [("value", signed)])
    cell = world.struct("core::cell::UnsafeCell<usize>", [("value", world.u64)])
    kind = world.struct("core::cell::RefCell<usize>", [("borrow", flag), ("value", cell)])
    value = world.new(kind)
    world.set(value, "borrow", "value", borrow)
    world.set(value, "value", "value", number)
    return value


def colour(world: World, number: int) -> Value:
    """An enum without data: Red is 3, Green 200."""
    value = world.new(world.add(CEnumType("Colour", 1, (("Red", 3), ("Green", 200)))))
    world.write(value.address, bytes([number]))
    return value


def _maybe(world: World, held: TypeId) -> TypeId:
    manual = world.add(
        StructType("core::mem::ManuallyDrop", world.size(held), (Member("value", held, 0),))
    )
    members = (Member("uninit", world.unit, 0), Member("value", manual, 0))
    return world.add(UnionType("core::mem::MaybeUninit", world.size(held), members))


def _node_types(world: World, held: TypeId) -> tuple[TypeId, TypeId, TypeId]:
    """A leaf, an inner node, and a link to one; values are of the type `held`, a word."""
    leaf_id, inner_id = world.add(OpaqueType("leaf")), world.add(OpaqueType("inner"))
    link = world.wrapped("core::ptr::non_null::NonNull<Leaf>", world.pointer(leaf_id))
    parent = world.option_pointer(
        world.wrapped("core::ptr::non_null::NonNull<Inner>", world.pointer(inner_id))
    )
    u16 = world.add(BaseType("u16", 2, "unsigned"))
    maybe = _maybe(world, world.u64)
    slots = world.add(ArrayType("[K; 11]", 8 * _CAPACITY, maybe, _CAPACITY))
    of_values = _maybe(world, held)
    values = world.add(ArrayType("[V; 11]", 8 * _CAPACITY, of_values, _CAPACITY))
    made = world.struct(
        "alloc::collections::btree::node::LeafNode<usize, usize>",
        [("parent", parent), ("len", u16), ("keys", slots), ("vals", values)],
    )
    world.table[leaf_id] = world.table[made]
    size = world.size(leaf_id)
    edges = world.add(ArrayType("[E; 12]", 8 * (_CAPACITY + 1), _maybe(world, link), _CAPACITY + 1))
    inner = "alloc::collections::btree::node::InternalNode<usize, usize>"
    members = (Member("data", leaf_id, 0), Member("edges", edges, size))
    world.table[inner_id] = StructType(inner, size + 8 * (_CAPACITY + 1), members)
    return leaf_id, inner_id, link


def btree_map(
    world: World, pairs: Sequence[tuple[int, int]], held: TypeId | None = None
) -> tuple[Value, list[int]]:
    """A BTreeMap of the sorted pairs, and the addresses of its nodes.

    `held` is the type of the values, if they are something around a word.
    """
    held = world.u64 if held is None else held
    leaf_id, inner_id, link = _node_types(world, held)
    nodes: list[int] = []

    def build(items: Sequence[tuple[int, int]], above: int, height: int) -> int:
        node = world.new(inner_id if height else leaf_id)
        nodes.append(node.address)
        data = node["data"] if height else node
        count = min(len(items), _CAPACITY)
        children, between = [], list(items)
        if height:
            cuts = [(len(items) + 1) * i // (count + 1) for i in range(count + 2)]
            children = [items[low : high - 1] for low, high in pairwise(cuts)]
            between = [items[high - 1] for high in cuts[1:-1]]
        world.set(data, "parent", above)
        world.write(data["len"].address, struct.pack("<H", len(between)))
        for position, (key, value) in enumerate(between):
            world.put(data["keys"].address + 8 * position, key)
            world.put(data["vals"].address + 8 * position, value)
        for position, part in enumerate(children):
            child = build(part, node.address, height - 1)
            world.put(node["edges"].address + 8 * position, child)
        return node.address

    height = 0
    while 12 ** (height + 1) - 1 < len(pairs):
        height += 1
    root_kind = world.add(
        StructType("NodeRef", 16, (Member("node", link, 0), Member("height", world.u64, 8)))
    )
    option = world.option(root_kind)
    kind = world.struct(
        "alloc::collections::btree::map::BTreeMap<usize, usize>",
        [("root", option), ("length", world.u64)],
        [("K", world.u64), ("V", held)],
    )
    value = world.new(kind)
    if pairs:
        root = value["root"].address
        world.put(root, 1)
        world.put(root + 8, build(pairs, 0, height))
        world.put(root + 16, height)
    world.set(value, "length", len(pairs))
    return value, nodes
