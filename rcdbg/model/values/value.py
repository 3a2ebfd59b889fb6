"""Typed values in guest memory: read by field name, lazily, with every doubt an exception.

A decoder catches `DecodeError` at the place where it can say what is missing, and goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from rcdbg.errors import MemoryReadError
from rcdbg.image.types import (
    ArrayType,
    BaseType,
    CEnumType,
    EnumType,
    Member,
    PointerType,
    StructType,
    Type,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.model.state import Problem

MAX_ELEMENTS = 1 << 16
"""Elements that any container may have before it counts as nonsense."""

MAX_DEPTH = 12
"""Wrappers around wrappers that are looked through."""

_WORD = 8
_MAX_ALIGNMENT = 1 << 29
"""Of a type, in bytes: rustc takes no larger one."""


class DecodeError(Exception):
    """Guest memory, or its type, is not what a decoder needs; carries the Problem."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.problem = Problem(where, why)


@dataclass(frozen=True, slots=True)
class Space:
    """Where values live: the types of the image and a reader of virtual memory."""

    types: TypeTable
    read: Callable[[int, int], bytes]


class Number(NamedTuple):
    """Where in a value its one number is; `path` leads there."""

    offset: int
    size: int
    signed: bool
    path: str


@lru_cache(maxsize=1 << 12)
def number_in(types: TypeTable, type_id: TypeId) -> Number | None:
    """The one number inside a type; None if it has none, or several.

    Kept, since the books of a kernel hold the same few newtypes thousands of times.
    """
    offset, path = 0, ""
    for _ in range(MAX_DEPTH):
        kind = types.type(type_id)
        if isinstance(kind, BaseType | PointerType | CEnumType):
            signed = isinstance(kind, BaseType) and kind.encoding == "signed"
            return Number(offset, kind.size, signed, path)
        if not isinstance(kind, StructType | UnionType):
            return None
        members = [member for member in kind.members if types.type(member.type).size]
        if len(members) != 1:
            return None
        (member,) = members
        offset, type_id, path = offset + member.offset, member.type, f"{path}.{member.name}"
    return None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a fat pointer says of a value whose type does not tell its size: Rust's metadata.

    `length` is that of `[T]` and `str`, `vtable` the address of that of a `dyn Trait`; a struct
    that ends in one has what its last field has. With `is_elements` the value is `length` values
    of its type, side by side: so rustc describes a `[T]` that is a field.
    """

    length: int = 0
    vtable: int = 0
    is_elements: bool = False
    is_text: bool = False
    """Whether the elements are a `str`."""


@dataclass(frozen=True, slots=True)
class Value:
    """An object of a known type at an address; `path` is how one got to it, for messages."""

    space: Space
    type_id: TypeId
    address: int
    path: str
    metadata: Metadata | None = None
    """Only of a value whose size its type does not tell."""

    @property
    def type(self) -> Type:
        """Its type's layout."""
        return self.space.types.type(self.type_id)

    def at(self, type_id: TypeId, address: int, path: str) -> "Value":
        """Another value in the same space."""
        return Value(self.space, type_id, address, path)

    def named(self, path: str) -> "Value":
        """The same value, under another path."""
        return Value(self.space, self.type_id, self.address, path, self.metadata)

    def raw(self) -> bytes:
        """Its bytes; raises DecodeError where memory cannot be read."""
        return self.read(self.address, self.type.size)

    def read(self, address: int, size: int) -> bytes:
        """Bytes at any virtual address; raises DecodeError where memory cannot be read."""
        try:
            return self.space.read(address, size)
        except MemoryReadError as error:
            raise DecodeError(self.path, str(error)) from error

    def word(self, address: int, size: int) -> int:
        """The unsigned little-endian integer of `size` bytes at `address`."""
        return int.from_bytes(self.read(address, size), "little")

    def has(self, name: str) -> bool:
        """Whether it is a struct or union with that field."""
        kind = self.type
        return isinstance(kind, StructType | UnionType) and kind.member(name) is not None

    def __getitem__(self, name: str) -> "Value":
        """The field `name` of a struct or union; raises DecodeError if there is none."""
        kind = self.type
        member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
        if member is None:
            raise DecodeError(self.path, f"{kind.name} has no field {name!r}")
        if self.metadata is not None and member is _last(kind):
            return self._tail(member)
        return self.at(member.type, self.address + member.offset, f"{self.path}.{name}")

    def _tail(self, member: Member) -> "Value":
        """The last field of a value whose size its type does not tell, which is why."""
        held = self.metadata
        assert held is not None
        offset, path = member.offset, f"{self.path}.{member.name}"
        kind, inner = self.type, self.space.types.type(member.type)
        if held.vtable:
            # The type's offset is that for no alignment: the vtable has it as its third word.
            alignment = self.word(held.vtable + 2 * _WORD, _WORD)
            if not 0 < alignment <= _MAX_ALIGNMENT:
                raise DecodeError(path, f"an alignment of {alignment:#x} is nonsense")
            offset = -(-offset // alignment) * alignment
        else:
            held = replace(held, is_elements=_is_elements(kind, member, inner, path))
        return Value(self.space, member.type, self.address + offset, path, held)

    def fields(self) -> list["Value"]:
        """The fields of a struct or union that take up space."""
        kind = self.type
        if not isinstance(kind, StructType | UnionType):
            return []
        last = _last(kind) if self.metadata is not None else None
        return [
            self.at(m.type, self.address + m.offset, f"{self.path}.{m.name}")
            if m is not last
            else self._tail(m)
            for m in kind.members
            if m is last or self.space.types.type(m.type).size
        ]

    def element(self, position: int) -> "Value":
        """Element `position` of an array."""
        kind = self.type
        if not isinstance(kind, ArrayType) or not 0 <= position < kind.count:
            raise DecodeError(self.path, f"{kind.name} has no element {position}")
        size = self.space.types.type(kind.element).size
        return self.at(kind.element, self.address + position * size, f"{self.path}[{position}]")

    def scalar(self) -> int:
        """The one number that it holds, newtypes and cells looked through.

        Raises DecodeError if it holds none, or several.
        """
        found = number_in(self.space.types, self.type_id)
        if found is None:
            raise DecodeError(self.path, f"{self.type.name} is not a single number")
        try:
            data = self.space.read(self.address + found.offset, found.size)
        except MemoryReadError as error:
            raise DecodeError(self.path + found.path, str(error)) from error
        return int.from_bytes(data, "little", signed=found.signed)

    def variant(self) -> tuple[str, "Value"]:
        """The variant that an enum is in, by name, and its body."""
        kind = self.type
        if not isinstance(kind, EnumType):
            raise DecodeError(self.path, f"{kind.name} is not an enum with data")
        chosen = None
        if kind.discriminant is None:
            chosen = kind.variants[0] if kind.variants else None
        else:
            tag = kind.discriminant
            read_as = self.space.types.type(tag.type)
            number = self.word(self.address + tag.offset, read_as.size)
            if isinstance(read_as, BaseType) and read_as.encoding == "signed" and read_as.size:
                number -= (number >> (8 * read_as.size - 1) & 1) << (8 * read_as.size)
            for variant in kind.variants:
                if not variant.discriminants:
                    chosen = variant  # the one for every other value
                elif any(low <= number <= high for low, high in variant.discriminants):
                    chosen = variant
                    break
            if chosen is None:
                raise DecodeError(self.path, f"{number:#x} is no variant of {kind.name}")
        if chosen is None:
            raise DecodeError(self.path, f"{kind.name} has no variant")
        body = chosen.body
        path = f"{self.path}.{chosen.name}"
        return chosen.name, self.at(body.type, self.address + body.offset, path)

    def parameter(self, name: str) -> TypeId:
        """The generic argument `name` of its type."""
        kind = self.type
        for parameter, type_id in getattr(kind, "parameters", ()):
            if parameter == name:
                return int(type_id)
        raise DecodeError(self.path, f"{kind.name} has no generic argument {name}")


def _last(kind: Type) -> Member | None:
    """The field of a struct that lies last in memory."""
    members = kind.members if isinstance(kind, StructType) else ()
    return max(reversed(members), key=lambda member: member.offset, default=None)


def _is_elements(owner: Type, member: Member, kind: Type, path: str) -> bool:
    """Whether a last field is a `[T]`, as which its element's type stands, or a struct that ends
    in one; raises DecodeError where it could be either."""
    if not isinstance(kind, StructType):
        return True
    if f"[{kind.name}]" in owner.name or member.offset + kind.size > owner.size:
        return True
    if kind.name.endswith(("]>", "<str>")):
        return False
    raise DecodeError(path, f"{owner.name} may end in a {kind.name} or in several")
