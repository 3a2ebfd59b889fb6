"""Any value as a tree that can be shown: bounded, with every doubt in its place.

`inspect` never raises: what cannot be read is a Problem on the node where it should have stood.
Wrappers do not take up a level: what they say ("locked", "strong 2, weak 0") becomes notes of the
value inside.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.image.types import (
    BaseType,
    CEnumType,
    EnumType,
    OpaqueType,
    PointerType,
    StructType,
    TypeId,
    UnionType,
)
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import base_name, pointer_in
from rcdbg.model.values.contents import Contents, contents
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value
from rcdbg.model.values.wrappers import Layer, is_atomic_bool, layer

Kind = Literal[
    "integer", "bool", "char", "float", "pointer", "variant", "flags", "text", "bytes", "struct",
    "tuple", "enum", "list", "set", "map", "range", "union", "unit", "nothing", "elided", "unknown",
]  # fmt: skip
"""`nothing`: None, not initialised, dropped; the note says which. `elided`: it is shown elsewhere,
or deeper than was asked for. `unknown`: it could not be read, or has no layout."""

DEEPER = "deeper than --depth"
_SMALL = 4
_ADDRESSES = 1 << 31

Scalar = int | bool | float | str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a value is shown."""

    depth: int = 6
    """Levels of fields and elements below the value itself."""
    elements: int = 32
    """Elements of one collection."""
    text: int = 1024
    """Bytes of one text; of bytes that are no text a sixteenth of it."""
    nodes: int = 4000
    """Nodes of the whole tree."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Node:
    """A value, decoded.

    `name` is a field's name, `[index]` or `[key]`; `type` the type of the value inside its
    wrappers, and `wrappers` the names of those, from the outside in. `address` is where the
    value inside lies. `value` is a number, a bool, a character, a text, or None. `label` is what
    an enum's variant or the symbol at a pointer's target is called. `length` is that of a
    collection or text as it says itself, `more` how many of its elements are not in `children`.
    """

    name: str
    type: str
    kind: Kind
    address: int
    value: Scalar = None
    label: str = ""
    wrappers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    children: tuple["Node", ...] = ()
    length: int | None = None
    more: int = 0
    problems: tuple[Problem, ...] = ()


Symbol = Callable[[int], str | None]
"""The symbol at an address, with its offset, or None."""


def inspect(
    value: Value,
    name: str = "",
    limits: Limits = DEFAULT_LIMITS,
    symbol: Symbol = lambda address: None,
) -> Node:
    """The tree of a value; never raises."""
    return _Inspector(limits, symbol).node(name or value.path, value, limits.depth)


class _Inspector:
    """One inspection: what was seen already, and how much room is left."""

    def __init__(self, limits: Limits, symbol: Symbol) -> None:
        self._limits, self._symbol = limits, symbol
        self._room = limits.nodes
        self._seen: set[tuple[int, int]] = set()

    def node(self, name: str, value: Value, depth: int) -> Node:
        """The node of a value that may show `depth` levels below it."""
        self._room -= 1
        node, inner = Node(name, value.type.name, "unknown", value.address), value
        newtype = ""
        try:
            for _ in range(2 * MAX_DEPTH):
                node = replace(node, type=_type_name(inner), address=inner.address)
                if (found := contents(inner)) is not None:
                    return _renamed(self._contents(node, inner, found, depth), newtype)
                peeled = layer(inner)
                if peeled is None:
                    return _renamed(self._bare(node, inner, depth), newtype)
                if peeled.own:
                    newtype = newtype or inner.type.name
                elif not peeled.quiet:
                    newtype = ""
                if peeled.content is not None and _is_flags(inner):
                    number = peeled.content.scalar()
                    return replace(node, kind="flags", type=inner.type.name, value=number)
                node = _wrapped(node, inner, peeled)
                if peeled.content is None:
                    return replace(node, kind="nothing", type=inner.type.name)
                if is_atomic_bool(inner):
                    number = peeled.content.scalar()
                    return _bool(replace(node, type=inner.type.name), inner, number)
                if peeled.follows and (hidden := self._elsewhere(peeled.content, depth)):
                    kind = peeled.content.type.name
                    return replace(node, kind="elided", type=kind, notes=(*node.notes, hidden),
                                   address=peeled.content.address)  # fmt: skip
                inner = peeled.content
            raise DecodeError(value.path, f"more than {2 * MAX_DEPTH} wrappers around each other")
        except DecodeError as error:
            return replace(node, problems=(*node.problems, error.problem))

    def _elsewhere(self, target: Value, depth: int) -> str:
        """Why what a pointer leads to is not shown here; empty if it is."""
        if not isinstance(target.type, StructType | EnumType | UnionType) or not target.fields():
            return ""
        key = (target.address, target.type_id)
        if key in self._seen:
            return "shown above"
        if depth <= 0:
            return ""
        self._seen.add(key)
        return ""

    def _contents(self, node: Node, value: Value, found: Contents, depth: int) -> Node:
        node = replace(node, kind=found.kind, length=found.length)
        span = found.span
        if span is not None:
            element = value.space.types.type(span.element)
            if found.kind == "text" or (
                base_name(value.type) != "BinaryHeap"
                and isinstance(element, BaseType)
                and element.size == 1
                and element.name == "u8"
            ):
                return self._bytes(node, value, span.address, span.length)
        deep = depth <= 0 and (span is None or not _is_scalar(value, span.element))
        if deep and found.length:
            return replace(node, more=found.length, notes=(*node.notes, DEEPER))
        limit = self._limits.elements
        children: list[Node] = []
        problems: tuple[Problem, ...] = ()
        try:
            for key, item in found.walk() if found.length else ():
                if len(children) >= limit or self._room <= 0:
                    break
                label = f"[{len(children)}]" if key is None else f"[{self._key(key)}]"
                children.append(self.node(label, item, depth - 1))
                if children[0].kind == "elided" and DEEPER in children[0].notes:
                    return replace(node, more=found.length, notes=(*node.notes, DEEPER))
        except DecodeError as error:
            problems = (error.problem,)
        more = 0 if problems else max(found.length - len(children), 0)
        return replace(node, children=tuple(children), more=more, problems=problems)

    def _bytes(self, node: Node, value: Value, address: int, length: int) -> Node:
        is_text = node.kind == "text"
        size = min(length, self._limits.text if is_text else max(self._limits.text // 16, 1))
        data = value.read(address, size) if size else b""
        node = replace(node, more=length - size)
        if not is_text:
            start, _, rest = data.partition(b"\0")
            is_string = len(start) > 3 and start.isascii() and not rest.strip(b"\0")
            label = start.decode("ascii") if is_string else ""
            shown = data.hex(" ")
            return replace(node, kind="bytes", value=shown, label=label, address=address)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            # Each byte that is none as a lone surrogate: told apart from what it might look like.
            text = data.decode("utf-8", "surrogateescape")
            cut = node.more and error.start >= size - 4 and error.end >= size
            if cut:
                text = data[: error.start].decode("utf-8")
            else:
                why = f"byte {error.start} is not UTF-8"
                node = replace(node, problems=(Problem(value.path, why),))
        return replace(node, value=text, address=address)

    def _key(self, key: Value) -> str:
        """A map's key, short."""
        shown = self.node("", key, 1)
        if shown.problems:
            return "?"
        if isinstance(shown.value, str) and shown.kind == "text":
            return f'"{shown.value}"'
        if shown.value is not None:
            return str(shown.value)
        if shown.label:
            return shown.label
        parts = [c.label if c.value is None else str(c.value) for c in shown.children]
        return f"({', '.join(parts)})"

    def _bare(self, node: Node, value: Value, depth: int) -> Node:
        """What has no wrapper left and is no collection."""
        kind = value.type
        match kind:
            case BaseType():
                return self._labelled(_base(node, value, kind))
            case PointerType():
                return self._pointer(node, value, kind)
            case CEnumType():
                number = value.scalar()
                for name, known in kind.enumerators:
                    if known == number:
                        return replace(node, kind="variant", value=number, label=name)
                raise DecodeError(value.path, f"{number} is no variant of {kind.name}")
            case EnumType():
                name, body = value.variant()
                node = replace(node, kind="enum", label=name)
                return self._fields(node, body, depth)
            case UnionType():
                note = "a union: which of these is meant is not known"
                node = replace(node, kind="union", notes=(*node.notes, note))
                return self._fields(node, value, depth)
            case StructType():
                if value.has("data_ptr") and value.has("length"):
                    # A raw one that is null: `contents` took all others.
                    count = value["length"].scalar()
                    return replace(node, kind="pointer", value=0, length=count)
                if value.has("start") and value.has("end") and base_name(kind) == "Range":
                    return self._fields(replace(node, kind="range"), value, max(depth, 1))
                tuples = kind.name.startswith("(") or kind.member("__0") is not None
                sort: Kind = "unit" if not value.fields() else "tuple" if tuples else "struct"
                return self._fields(replace(node, kind=sort), value, depth)
            case OpaqueType():
                note = "its layout is not in the debug info"
                if kind.name in ("()", "!"):
                    return replace(node, kind="unit")
                return replace(node, notes=(*node.notes, note))
        raise DecodeError(value.path, f"{kind.name} cannot be shown")

    def _labelled(self, node: Node) -> Node:
        """An integer that is as large as a kernel's address may be one."""
        number = node.value
        if node.kind != "integer" or not isinstance(number, int) or number < _ADDRESSES:
            return node
        return replace(node, label=self._symbol(number) or "")

    def _pointer(self, node: Node, value: Value, kind: PointerType) -> Node:
        number = value.scalar()
        label = self._symbol(number) or "" if number else ""
        return replace(node, kind="pointer", value=number, label=label)

    def _fields(self, node: Node, value: Value, depth: int) -> Node:
        fields = value.fields()
        if not fields:
            return node
        fields = _shown_fields(value)
        small = len(fields) <= _SMALL and all(_is_scalar(f, f.type_id) for f in fields)
        if depth <= 0 and not small:
            return replace(node, kind="elided", notes=(*node.notes, DEEPER))
        children: list[Node] = []
        for field in fields:
            if self._room <= 0:
                break
            name = field.path.rpartition(".")[2]
            children.append(self.node(name.removeprefix("__"), field, depth - 1))
        return replace(node, children=tuple(children), more=len(fields) - len(children))


def _type_name(value: Value) -> str:
    """The name of its type; that of a `[T]` at the end of a struct is not in the debug info."""
    held = value.metadata
    if held is None or not held.is_elements:
        return value.type.name
    return "str" if held.is_text else f"[{value.type.name}]"


def _shown_fields(value: Value) -> list[Value]:
    """All fields of a tuple, whose places count, and of others those that take up space."""
    members = getattr(value.type, "members", ())
    if not members or not all(member.name.startswith("__") for member in members):
        return value.fields()
    return [value[member.name] for member in members]


def _is_scalar(value: Value, type_id: TypeId) -> bool:
    """Whether it is one number, newtypes and cells looked through."""
    for _ in range(MAX_DEPTH):
        kind = value.space.types.type(type_id)
        if isinstance(kind, BaseType | CEnumType):
            return True
        members = kind.members if isinstance(kind, StructType) else ()
        held = [m.type for m in members if value.space.types.type(m.type).size]
        if len(held) != 1:
            return False
        type_id = held[0]
    return False


def _renamed(node: Node, newtype: str) -> Node:
    """A number or text in a newtype of the kernel goes by the newtype's name."""
    if not newtype or node.kind not in ("integer", "flags", "bytes", "text", "bool", "pointer"):
        return node
    own = base_name(StructType(newtype, 0, ()))
    wrappers = tuple(name for name in node.wrappers if name != own)
    return replace(node, type=newtype, wrappers=wrappers)


def _wrapped(node: Node, value: Value, peeled: Layer) -> Node:
    wrappers = node.wrappers if peeled.quiet else (*node.wrappers, peeled.name)
    notes = (*node.notes, peeled.note) if peeled.note else node.notes
    return replace(node, wrappers=wrappers, notes=notes)


def _is_flags(value: Value) -> bool:
    """A type made by `bitflags!`: a newtype around its InternalBitFlags."""
    fields = value.fields()
    return len(fields) == 1 and base_name(fields[0].type) == "InternalBitFlags"


def _bool(node: Node, value: Value, number: int) -> Node:
    if number not in (0, 1):
        raise DecodeError(value.path, f"{number} is no bool")
    return replace(node, kind="bool", value=bool(number))


def _base(node: Node, value: Value, kind: BaseType) -> Node:
    if not kind.size:
        return replace(node, kind="unit")
    if kind.encoding == "float":
        form = {2: "<e", 4: "<f", 8: "<d"}.get(kind.size)
        if form is None:
            raise DecodeError(value.path, f"a float of {kind.size} bytes")
        return replace(node, kind="float", value=struct.unpack(form, value.raw())[0])
    number = value.scalar()
    if kind.encoding == "bool":
        return _bool(node, value, number)
    if kind.encoding == "char" and kind.size == 4:
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise DecodeError(value.path, f"{number:#x} is no char")
        return replace(node, kind="char", value=chr(number))
    return replace(node, kind="integer", value=number)


def raw_pointer(value: Value) -> Value:
    """What a raw pointer, or a NonNull, leads to; raises DecodeError if it is none."""
    pointer = pointer_in(value)
    kind = pointer.type
    if not isinstance(kind, PointerType):
        raise DecodeError(value.path, f"{value.type.name} is no pointer")
    address = pointer.scalar()
    if not address:
        raise DecodeError(value.path, "a null pointer")
    return value.at(kind.target, address, f"*{value.path}")
