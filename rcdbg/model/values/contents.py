"""The elements of whatever holds several: one function for all of Rust's collections.

Sources: alloc::collections::btree (a B-tree with 11 keys a node), and what `containers` names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rcdbg.image.types import ArrayType, BaseType, PointerType, StructType, Type, TypeId
from rcdbg.model.values.containers import (
    base_name,
    dig,
    elements,
    is_str,
    option,
    pointer_in,
    unwrap,
)
from rcdbg.model.values.value import MAX_ELEMENTS, DecodeError, Metadata, Value

MAX_HEIGHT = 24
"""Levels of a B-tree: 6 ** 24 elements fit in no memory."""

MAX_SPAN_BYTES = 1 << 40
"""Bytes of a Vec or slice that are not nonsense; elements are read one by one."""

Kind = Literal["list", "set", "map", "text"]


@dataclass(frozen=True, slots=True)
class Span:
    """Elements that lie side by side in memory."""

    element: TypeId
    address: int
    length: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a collection holds: `length` as it says itself, and a way to go through it.

    `walk` yields a map's (key, value), and for all others (None, element); it raises DecodeError
    where the collection is broken. `span` is there where the elements lie side by side.
    """

    kind: Kind
    length: int
    walk: Callable[[], Iterator[tuple[Value | None, Value]]]
    span: Span | None = None


def contents(value: Value) -> Contents | None:
    """What the value holds, or None if it is no collection; raises DecodeError for nonsense."""
    kind = value.type
    if value.metadata is not None and value.metadata.is_elements:
        return _tail(value, value.metadata)
    if isinstance(kind, ArrayType):
        return of_span(value, Span(kind.element, value.address, kind.count))
    if not isinstance(kind, StructType):
        return None
    if is_slice(value):
        return _slice(value)
    name = base_name(kind)
    if name == "String" and value.has("vec"):
        return of_span(value, _vec_span(value["vec"]), "text")
    if name == "Vec" and value.has("buf") and value.has("len"):
        return of_span(value, _vec_span(value))
    if name == "BinaryHeap" and value.has("data"):
        return of_span(value, _vec_span(value["data"]))
    if name in ("VecDeque", "LinkedList") and value.has("len"):
        return Contents("list", value["len"].scalar(), lambda: _plain(elements(value)))
    if name in ("HashSet", "HashMap") and (value.has("map") or value.has("table")
                                           or value.has("base")):  # fmt: skip
        length = dig(dig(value, "table"), "items").scalar()
        if name == "HashSet":
            return Contents("set", length, lambda: _plain(elements(value)))
        return Contents("map", length, lambda: _pairs(elements(value)))
    if name == "BTreeSet" and value.has("map"):
        inner = value["map"]
        return Contents("set", inner["length"].scalar(), lambda: _keys(btree(inner)))
    if name == "BTreeMap" and value.has("root"):
        return Contents("map", value["length"].scalar(), lambda: btree(value))
    return None


def _plain(found: Iterator[Value]) -> Iterator[tuple[Value | None, Value]]:
    for value in found:
        yield None, value


def _keys(found: Iterator[tuple[Value, Value]]) -> Iterator[tuple[Value | None, Value]]:
    for key, _ in found:
        yield None, key


def _pairs(found: Iterator[Value]) -> Iterator[tuple[Value | None, Value]]:
    for pair in found:
        yield pair["__0"], pair["__1"]


def of_span(value: Value, span: Span, kind: Kind = "list") -> Contents:
    """Elements side by side; raises DecodeError for a length that is nonsense."""
    size = value.space.types.type(span.element).size
    if not 0 <= span.length * max(size, 1) <= MAX_SPAN_BYTES:
        raise DecodeError(value.path, f"a length of {span.length:#x} is nonsense")

    def walk() -> Iterator[tuple[Value | None, Value]]:
        for position in range(span.length):
            path = f"{value.path}[{position}]"
            yield None, value.at(span.element, span.address + position * size, path)

    return Contents(kind, span.length, walk, span)


def _vec_span(vec: Value) -> Span:
    length, element = vec["len"].scalar(), vec.parameter("T")
    buffer = vec["buf"]
    capacity = dig(buffer, "cap").scalar()
    if length > capacity and vec.space.types.type(element).size:
        raise DecodeError(vec.path, f"length {length} exceeds capacity {capacity}")
    return Span(element, pointer_in(buffer).scalar(), length)


def is_slice(value: Value) -> bool:
    """Whether it is a fat pointer to elements, and not to a struct that ends in some."""
    if not (value.has("data_ptr") and value.has("length")):
        return False
    name = value.type.name
    target = name.lstrip("&*") if name.startswith(("&", "*")) else name.partition("<")[2]
    return target.removeprefix("const ").removeprefix("mut ").startswith(("[", "str"))


def slice_span(value: Value) -> Span:
    """The elements of what `is_slice`; raises DecodeError."""
    pointer = pointer_in(value["data_ptr"])
    kind = pointer.type
    if not isinstance(kind, PointerType):
        raise DecodeError(value.path, f"{value.type.name} holds no pointer")
    return Span(kind.target, pointer.scalar(), value["length"].scalar())


def _slice(value: Value) -> Contents | None:
    """`&[T]`, `&str`, and boxes of them; None of a raw pointer that is null."""
    span = slice_span(value)
    if not span.address:
        if value.type.name.startswith("*"):
            return None
        raise DecodeError(value.path, f"a {value.type.name} that is null")
    return of_span(value, span, _kind(value, span.element, value.type.name))


def _tail(value: Value, metadata: Metadata) -> Contents:
    """A `[T]` or `str` at the end of a struct."""
    span = Span(value.type_id, value.address, metadata.length)
    held = value.at(value.type_id, value.address, value.path)
    is_text = metadata.is_text and is_byte(value.type)
    return of_span(held, span, "text" if is_text else "list")


def _kind(value: Value, element: TypeId, name: str) -> Kind:
    return "text" if is_str(name) and is_byte(value.space.types.type(element)) else "list"


def is_byte(kind: Type) -> bool:
    """Whether it is an integer of one byte."""
    return isinstance(kind, BaseType) and kind.size == 1


def btree(value: Value) -> Iterator[tuple[Value, Value]]:
    """The (key, value) of a BTreeMap in the order of the keys.

    Raises DecodeError at a node that is full of nonsense, or that is not its parent's child.
    """
    length = value["length"].scalar()
    if not 0 <= length <= MAX_ELEMENTS:
        raise DecodeError(value.path, f"a length of {length:#x} is nonsense")
    root = option(value["root"])
    if root is None:
        if length:
            raise DecodeError(value.path, f"no root, but a length of {length}")
        return
    height = dig(root, "height").scalar()
    if not 0 <= height <= MAX_HEIGHT:
        raise DecodeError(value.path, f"a height of {height} is nonsense")
    pointer = pointer_in(dig(root, "node"))
    kind = pointer.type
    if not isinstance(kind, PointerType):
        raise DecodeError(value.path, "a root that is no pointer")
    walk = _Tree(value, kind.target)
    found = 0
    for pair in walk.node(pointer.scalar(), 0, height):
        if found >= length:
            raise DecodeError(value.path, f"more elements than its length of {length}")
        yield pair
        found += 1
    if found != length:
        raise DecodeError(value.path, f"{found} elements, but a length of {length}")


class _Tree:
    """One walk; `leaf` is the type of a leaf node, with which an inner node begins."""

    def __init__(self, owner: Value, leaf: TypeId) -> None:
        self._owner, self._leaf = owner, leaf
        self._seen: set[int] = set()
        self._found = 0

    def node(self, address: int, parent: int, height: int) -> Iterator[tuple[Value, Value]]:
        if address in self._seen:
            raise DecodeError(self._owner.path, f"the node at {address:#x} is there twice")
        self._seen.add(address)
        node = self._owner.at(self._leaf, address, self._owner.path)
        link = option(node["parent"])
        above = 0 if link is None else pointer_in(link).scalar()
        if above != parent:
            why = f"the node at {address:#x} belongs to {above:#x}, not to {parent:#x}"
            raise DecodeError(self._owner.path, why)
        keys, values = node["keys"], node["vals"]
        count = node["len"].scalar()
        if not isinstance(keys.type, ArrayType) or count > keys.type.count:
            raise DecodeError(self._owner.path, f"the node at {address:#x} has {count} keys")
        edges = self._edges(node) if height else None
        for position in range(count):
            if edges is not None:
                yield from self._child(edges, position, address, height)
            yield self._entry(keys, values, position)
        if edges is not None:
            yield from self._child(edges, count, address, height)

    def _entry(self, keys: Value, values: Value, position: int) -> tuple[Value, Value]:
        path = f"{self._owner.path}[{self._found}]"
        self._found += 1
        key, value = unwrap(keys.element(position)), unwrap(values.element(position))
        return (
            key.at(key.type_id, key.address, path),
            value.at(value.type_id, value.address, path),
        )

    def _edges(self, node: Value) -> Value:
        """The children of an inner node, whose type the link to a parent tells."""
        kind = node["parent"].type
        for variant in getattr(kind, "variants", ()):
            if variant.name == "Some":
                body = node["parent"].at(variant.body.type, node.address, node.path)
                pointer = pointer_in(body["__0"] if body.has("__0") else body).type
                if isinstance(pointer, PointerType):
                    inner = node.at(pointer.target, node.address, node.path)
                    moved = inner["data"].address - inner.address
                    return inner.at(inner.type_id, inner.address - moved, node.path)["edges"]
        raise DecodeError(self._owner.path, "the type of its inner nodes is not known")

    def _child(
        self, edges: Value, position: int, parent: int, height: int
    ) -> Iterator[tuple[Value, Value]]:
        pointer = pointer_in(unwrap(edges.element(position)))
        return self.node(pointer.scalar(), parent, height - 1)
