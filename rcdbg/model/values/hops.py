"""From a value to what a wrapper around it holds, by types alone: single hops.

Wrappers are known by the names and fields that Rust's library and the usual crates give them:
pointers that own, Option, lazy_static, locks, cells.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rcdbg.image.types import (
    EnumType,
    PointerType,
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.model.values.containers import base_name, option
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value, number_in
from rcdbg.model.values.wrappers import QUIET, layer

_COUNTED = ("Arc", "Rc", "Weak")
_FLAGS = ("lock", "raw")
_STATES = ("status", "state", "inited")
_POINTER_AND_DYN = 2


@dataclass(frozen=True, slots=True)
class Shift:
    """Some bytes further lies a value of another type."""

    offset: int
    type: TypeId


@dataclass(frozen=True, slots=True)
class Ask:
    """What is there only memory tells: None where there is nothing."""

    find: Callable[[Value], Value | None]


@dataclass(frozen=True, slots=True)
class Counted:
    """An Arc or Rc: a pointer to counts and what is counted."""

    pointer: int
    """Bytes from here to the pointer; the next two are from where it points."""
    strong: int
    data: int
    type: TypeId
    is_weak: bool
    """Whether it is a Weak: what it points to may be dropped, or never have been."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The flag of a lock that is passed: `size` bytes, some from here; not 0 is locked."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Once:
    """The state of what is initialised when it is first used, as that flag."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class All:
    """Every element of a collection, and how the way to it is written."""

    text: str


Hop = Shift | Ask | Counted | Lock | Once | All


@dataclass(frozen=True, slots=True)
class Station:
    """How far a way has come."""

    hops: tuple[Hop, ...]
    type: TypeId

    def plus(self, type_id: TypeId, *hops: Hop) -> "Station":
        """The place that these hops lead to from here."""
        return Station((*self.hops, *hops), type_id)


def unwrapped(types: TypeTable, place: Station) -> Station | None:
    """Within one wrapper of the library or of a crate; None if it is none of them."""
    kind = types.type(place.type)
    name = base_name(kind)
    if isinstance(kind, EnumType):
        some = next((v.body.type for v in kind.variants if v.name == "Some"), None)
        body = None if some is None or name != "Option" else types.type(some)
        member = body.member("__0") if isinstance(body, StructType) else None
        return None if member is None else place.plus(member.type, Ask(option))
    if isinstance(kind, PointerType):
        return pointed(types, place, any_pointer=False)
    if isinstance(kind, UnionType):
        member = kind.member("value") if name == "MaybeUninit" else None
        if member is None:
            return None
        return place.plus(member.type, Shift(member.offset, member.type))
    if not isinstance(kind, StructType):
        return None
    if name in _COUNTED:
        return _counted(types, place)
    if name == "Box" and kind.member("__0") is not None:
        return _boxed(types, place)
    if kind.member("vtable") is not None and (fat := kind.member("pointer")) is not None:
        pointer = types.type(fat.type)
        target = pointer.target if isinstance(pointer, PointerType) else fat.type
        return place.plus(target, Ask(_concrete))
    guard = _guard(types, place)
    if guard is not None:
        return guard
    if name in QUIET or kind.name.startswith(("core::cell::", "core::mem::")):
        return only_field(types, place)
    return None


def _boxed(types: TypeTable, place: Station) -> Station | None:
    """What a Box points to whose allocator takes up space; None of a fat pointer."""
    for _, type_id in _within(types, place.type):
        kind = types.type(type_id)
        if (isinstance(kind, StructType) and kind.member("data_ptr")) or kind.name.startswith("&"):
            return None
        if isinstance(kind, PointerType):
            return place.plus(kind.target, Ask(_box_target))
    return None


def _box_target(box: Value) -> Value | None:
    peeled = layer(box)
    return None if peeled is None else peeled.content


def _counted(types: TypeTable, place: Station) -> Station | None:
    """What an Arc or Rc points to."""
    for offset, type_id in _within(types, place.type):
        pointer = types.type(type_id)
        target = types.type(pointer.target) if isinstance(pointer, PointerType) else None
        if isinstance(target, StructType):
            data, strong = target.member("data") or target.member("value"), target.member("strong")
            if data is None or strong is None:
                return None
            if base_name(types.type(place.type)) != "Weak" and _is_dyn(types, place.type):
                return place.plus(data.type, Ask(_concrete))
            count = number_in(types, strong.type)
            at = strong.offset + (count.offset if count is not None else 0)
            is_weak = base_name(types.type(place.type)) == "Weak"
            return place.plus(data.type, Counted(offset, at, data.offset, data.type, is_weak))
    return None


def _is_dyn(types: TypeTable, type_id: TypeId) -> bool:
    """Whether a pointer has a vtable beside it: only memory tells what type it leads to."""
    inside = (types.type(inner) for _, inner in _within(types, type_id))
    return any(isinstance(k, StructType) and k.member("vtable") is not None for k in inside)


def _concrete(value: Value) -> Value:
    """What a pointer to a `dyn Trait` leads to, with the type that its vtable tells."""
    for _ in range(_POINTER_AND_DYN):
        found = layer(value)
        if found is None or found.content is None:
            why = "no vtable" if found is None else found.note
            raise DecodeError(value.path, f"{value.type.name}: {why}")
        value = found.content
        if value.metadata is None:
            break
    return value


def _guard(types: TypeTable, place: Station) -> Station | None:
    """What a lock guards, or what is initialised when it is first used."""
    outer = base_name(types.type(place.type))
    for offset, type_id in _within(types, place.type):
        kind = types.type(type_id)
        if not isinstance(kind, StructType) or not _is_guard(base_name(kind)):
            if not _is_guard(outer):
                return None
            continue
        data = kind.member("data") or (kind.member("value") if kind.member("borrow") else None)
        if data is None:
            continue
        move = Shift(offset + data.offset, data.type)
        for name in (*_STATES, *_FLAGS, "borrow"):
            if (flag := kind.member(name)) is not None:
                found = number_in(types, flag.type)
                if found is not None:
                    at, size = offset + flag.offset + found.offset, found.size
                    hop = Once(at, size) if name in _STATES else Lock(at, size)
                    return place.plus(data.type, hop, move)
        return place.plus(data.type, move)
    return None


def _is_guard(name: str) -> bool:
    return any(word in name for word in ("Mutex", "Lock", "RefCell", "Once", "Lazy"))


def pointed(types: TypeTable, place: Station, *, any_pointer: bool) -> Station | None:
    """What a Box or a reference points to, or with `any_pointer` a raw pointer too."""
    kind = types.type(place.type)
    if not isinstance(kind, PointerType) or not types.type(kind.target).size:
        return None
    owns = kind.name.startswith("&") or base_name(kind) == "Box"
    if not owns and not any_pointer:
        return None
    return place.plus(kind.target, Ask(_target if owns else _raw_target))


def _target(pointer: Value) -> Value:
    found = _raw_target(pointer)
    if found is None:
        raise DecodeError(pointer.path, "a pointer that is null")
    return found


def _raw_target(pointer: Value) -> Value | None:
    """What a raw pointer points to; null is nothing."""
    kind = pointer.type
    assert isinstance(kind, PointerType)
    address = pointer.word(pointer.address, kind.size)
    return pointer.at(kind.target, address, pointer.path) if address else None


def only_field(types: TypeTable, place: Station) -> Station | None:
    """The only field of a struct that takes up space."""
    if not isinstance(types.type(place.type), StructType):
        return None
    found = list(members(types, place))
    return found[0] if len(found) == 1 else None


def members(types: TypeTable, place: Station) -> Iterator[Station]:
    """The fields of a struct or union that take up space."""
    kind = types.type(place.type)
    if isinstance(kind, StructType | UnionType):
        for member in kind.members:
            if types.type(member.type).size:
                yield place.plus(member.type, Shift(member.offset, member.type))


def _within(types: TypeTable, root: TypeId) -> Iterator[tuple[int, TypeId]]:
    """Offset and type of a wrapper and of its own fields, breadth first."""
    queue = deque([(0, root, 0)])
    while queue:
        offset, type_id, depth = queue.popleft()
        yield offset, type_id
        kind = types.type(type_id)
        if depth < MAX_DEPTH and isinstance(kind, StructType | UnionType):
            queue.extend(
                (offset + m.offset, m.type, depth + 1)
                for m in kind.members
                if types.type(m.type).size
            )
