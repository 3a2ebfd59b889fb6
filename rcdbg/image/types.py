"""Type layouts as DWARF gives them: plain data, no memory, no decoding.

Types refer to each other by `TypeId` (the DIE's offset in .debug_info), since Rust's types are
recursive; a `TypeTable` resolves them. Sizes and offsets are in bytes. Names are Rust paths
(`os::process::thread::Thread`), generic arguments included as rustc writes them.
Source of the format: DWARF 5, sections 5 (types) and 5.10 (variants).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

TypeId = int
"""The offset of the type's DIE in .debug_info; 0 stands for `()`, which has no DIE."""


@dataclass(frozen=True, slots=True)
class BaseType:
    """An integer, bool, char or float."""

    name: str
    size: int
    encoding: Literal["unsigned", "signed", "bool", "char", "float"]


@dataclass(frozen=True, slots=True)
class PointerType:
    """A thin pointer or reference; fat ones are structs of a pointer and a length or vtable."""

    name: str
    size: int
    target: TypeId


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A fixed-size array."""

    name: str
    size: int
    element: TypeId
    count: int


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a struct, union or variant; tuple fields are named `__0`, `__1`, ..."""

    name: str
    type: TypeId
    offset: int


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct, tuple, slice reference, or the body of an enum variant."""

    name: str
    size: int
    members: tuple[Member, ...]
    parameters: tuple[tuple[str, TypeId], ...] = ()
    """The generic arguments, in order: ("T", type)."""

    def member(self, name: str) -> Member | None:
        """The field of that name, or None."""
        return next((m for m in self.members if m.name == name), None)


@dataclass(frozen=True, slots=True)
class UnionType:
    """A union such as MaybeUninit: all members at their offsets, none of them known to be live."""

    name: str
    size: int
    members: tuple[Member, ...]
    parameters: tuple[tuple[str, TypeId], ...] = ()

    def member(self, name: str) -> Member | None:
        """The member of that name, or None."""
        return next((m for m in self.members if m.name == name), None)


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of an enum with data.

    `discriminants` are the inclusive ranges of discriminant values that select it, as the
    discriminant's type reads: negative only where that is a signed BaseType;
    empty means that it is the one for every other value (the niche's dataful variant,
    or the only one).
    """

    name: str
    discriminants: tuple[tuple[int, int], ...]
    body: Member


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum with data: a variant part. `discriminant` is None when there is a single variant."""

    name: str
    size: int
    discriminant: Member | None
    variants: tuple[Variant, ...]
    parameters: tuple[tuple[str, TypeId], ...] = ()


@dataclass(frozen=True, slots=True)
class CEnumType:
    """An enum without data: names for integer values (unsigned, as wide as `size`)."""

    name: str
    size: int
    enumerators: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class OpaqueType:
    """Something without a layout that we could use: a function, an extern type, `!`."""

    name: str
    size: int = 0


Type = (
    BaseType | PointerType | ArrayType | StructType | UnionType | EnumType | CEnumType | OpaqueType
)


@dataclass(frozen=True, slots=True)
class Static:
    """A static variable: its Rust path, linkage name, virtual address and type.

    A `lazy_static!` X has two: the zero-sized handle X, and its data, a static whose linkage
    name ends in `...deref...__stability...LAZY...`.
    """

    path: str
    linkage_name: str
    address: int
    type: TypeId
    file: str | None = None
    line: int | None = None


class TypeTable(Protocol):
    """All types and statics of an image."""

    def __hash__(self) -> int:
        """By identity: what was found out about a type is kept."""

    def type(self, type_id: TypeId) -> Type:
        """The type with that id, typedefs and qualifiers resolved; OpaqueType when unknown."""

    def types_named(self, name: str) -> list[TypeId]:
        """Ids of the types whose full path, or whose last path segment without generic
        arguments, is `name`; in the order of the DWARF."""

    def statics(self) -> Iterator[Static]:
        """Every static that has an address, in the order of the DWARF."""

    def vtable_type(self, address: int) -> TypeId | None:
        """The concrete type behind a trait object whose vtable is at that address, or None."""
