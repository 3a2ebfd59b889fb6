"""Ways from the values of one type to a part of them, found by types alone.

A way is a few hops: distances within a value, and what only memory tells. Wrappers are looked
through, by the names and fields that Rust's library and the usual crates give them: pointers that
own, Option, lazy_static, locks, cells; and structs of one field around such. Each way is found once
for a type, so that following one is cheap, and whether a kernel has one is known without reading.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rcdbg.image.types import (
    BaseType,
    CEnumType,
    EnumType,
    PointerType,
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.kernels.description import Names, Paths
from rcdbg.kernels.paths import Deref, Each, Field, Find, Index, Step, steps_text
from rcdbg.model.by_types import by_types
from rcdbg.model.values.containers import base_name, option
from rcdbg.model.values.contents import contents
from rcdbg.model.values.type_path import element
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value
from rcdbg.model.values.wrappers import QUIET

_COUNTED = ("Arc", "Rc")
_FLAGS = ("lock", "raw")
_STATES = ("status", "state")


@dataclass(frozen=True, slots=True)
class Move:
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
    """Every element of a collection."""


Hop = Move | Ask | Counted | Lock | Once | All


@dataclass(frozen=True, slots=True)
class Number:
    """A number within a value: bytes from there, and how they read."""

    offset: int
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Way:
    """The hops to a part, the type that it has, and how it is written."""

    hops: tuple[Hop, ...]
    type: TypeId
    text: str
    number: Number | None
    """The single number that the part is, if it is one."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a way has come."""

    hops: tuple[Hop, ...]
    type: TypeId

    def plus(self, type_id: TypeId, *hops: Hop) -> "_Place":
        return _Place((*self.hops, *hops), type_id)


def way(types: TypeTable, type_id: TypeId, paths: Paths, stop: Names) -> Way | None:
    """The way by the first of these paths that the type has, or None.

    It ends within the wrappers around the part; structs called `stop` are none.
    """
    question = (type_id, paths, stop)
    return by_types(types, question, lambda: _way(types, type_id, paths, stop))


def way_to_struct(types: TypeTable, type_id: TypeId, names: Names) -> Way | None:
    """The way to the struct with one of these names, or None.

    It is what is within the wrappers, or else the outermost of the fields inside, or what one of
    them points to.
    """
    return by_types(types, (type_id, names), lambda: _way_to_struct(types, type_id, names))


def _way(types: TypeTable, type_id: TypeId, paths: Paths, stop: Names) -> Way | None:
    for path in paths:
        place: _Place | None = _Place((), type_id)
        for step in path.steps:
            place = None if place is None else _step(types, place, step)
        if place is not None:
            place = _settled(types, place, stop)
            return _way_of(types, place, steps_text(path.steps))
    return None


def _way_to_struct(types: TypeTable, type_id: TypeId, names: Names) -> Way | None:
    place = _Place((), type_id)
    for _ in range(2 * MAX_DEPTH):
        kind = types.type(place.type)
        if isinstance(kind, StructType) and base_name(kind) in names:
            return _way_of(types, place)
        inner = _unwrapped(types, place) or _only_field(types, place)
        if inner is None:
            break
        place = inner
    for inner in _inside(types, place):
        found = _settled(types, inner, names)
        kind = types.type(found.type)
        if isinstance(kind, StructType) and base_name(kind) in names:
            return _way_of(types, found)
    return None


def _way_of(types: TypeTable, place: _Place, text: str = "") -> Way:
    return Way(_merged(place.hops), place.type, text, _number(types, place.type))


def _number(types: TypeTable, type_id: TypeId) -> Number | None:
    """The number in a value of that type, within structs of one field; None for anything else."""
    place: _Place | None = _Place((), type_id)
    offset = 0
    for _ in range(MAX_DEPTH):
        if place is None:
            break
        offset += sum(hop.offset for hop in place.hops if isinstance(hop, Move))
        kind = types.type(place.type)
        if isinstance(kind, BaseType | PointerType | CEnumType):
            signed = isinstance(kind, BaseType) and kind.encoding == "signed"
            return Number(offset, kind.size, signed)
        members = list(_members(types, _Place((), place.type)))
        place = members[0] if len(members) == 1 else None
    return None


def _merged(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """The hops with one move for several that follow each other."""
    found: list[Hop] = []
    for hop in hops:
        last = found[-1] if found else None
        if isinstance(hop, Move) and isinstance(last, Move):
            found[-1] = Move(last.offset + hop.offset, hop.type)
        else:
            found.append(hop)
    return tuple(found)


def _step(types: TypeTable, place: _Place, step: Step) -> _Place | None:
    match step:
        case Field(name):
            return _field(types, place, name)
        case Find(name):
            return _anywhere(types, place, name)
        case Deref():
            return _pointed(types, _settled(types, place, Names()), any_pointer=True)
        case Each():
            place = _collection(types, place)
            inner = element(types, place.type)
            return None if inner is None else place.plus(inner, All())
        case Index(key):
            place = _collection(types, place)
            inner = element(types, place.type)
            if inner is None or not isinstance(key, int):
                return None
            return place.plus(inner, Ask(partial(_element, position=key)))
    return None


def _field(types: TypeTable, place: _Place, name: str) -> _Place | None:
    """A field of the kernel's own structs around or inside wrappers, or else of a wrapper."""
    own: list[_Place] = []
    library: list[_Place] = []
    current: _Place | None = place
    for _ in range(2 * MAX_DEPTH):
        if current is None:
            break
        inner = _unwrapped(types, current) or _pointed(types, current, any_pointer=True)
        (own if inner is None else library).append(current)
        current = inner or _only_field(types, current)
    for holder in (*own, *library):
        kind = types.type(holder.type)
        member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
        if member is not None:
            return holder.plus(member.type, Move(member.offset, member.type))
    return None


def _anywhere(types: TypeTable, place: _Place, name: str) -> _Place | None:
    """A field anywhere inside, the outermost first; behind a pointer only if that is all."""
    current: _Place | None = place
    for _ in range(MAX_DEPTH):
        if current is None:
            break
        for holder in _inside(types, current):
            kind = types.type(holder.type)
            member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
            if member is not None:
                return holder.plus(member.type, Move(member.offset, member.type))
        current = _unwrapped(types, current)
    return None


def _settled(types: TypeTable, place: _Place, stop: Names) -> _Place:
    """Within the wrappers around a value; a struct of one field is one if it has another inside."""
    for _ in range(2 * MAX_DEPTH):
        kind = types.type(place.type)
        if stop and isinstance(kind, StructType) and base_name(kind) in stop:
            break
        inner = _unwrapped(types, place)
        if inner is None:
            field = _only_field(types, place)
            inner = field if field is not None and _unwrapped(types, field) else None
        if inner is None:
            break
        place = inner
    return place


def _collection(types: TypeTable, place: _Place) -> _Place:
    """The collection within wrappers."""
    for _ in range(2 * MAX_DEPTH):
        inner = _unwrapped(types, place) or _only_field(types, place)
        if inner is None or base_name(types.type(place.type)) in _COLLECTIONS:
            break
        place = inner
    return place


_COLLECTIONS = ("Vec", "VecDeque", "LinkedList", "HashSet", "HashMap", "BTreeSet", "BTreeMap",
                "BinaryHeap")  # fmt: skip


def _unwrapped(types: TypeTable, place: _Place) -> _Place | None:
    """Within one wrapper of the library or of a crate; None if it is none of them."""
    kind = types.type(place.type)
    name = base_name(kind)
    if isinstance(kind, EnumType):
        some = next((v.body.type for v in kind.variants if v.name == "Some"), None)
        body = None if some is None or name != "Option" else types.type(some)
        member = body.member("__0") if isinstance(body, StructType) else None
        return None if member is None else place.plus(member.type, Ask(option))
    if isinstance(kind, PointerType):
        return _pointed(types, place, any_pointer=False)
    if isinstance(kind, UnionType):
        member = kind.member("value") if name == "MaybeUninit" else None
        return None if member is None else place.plus(member.type, Move(member.offset, member.type))
    if not isinstance(kind, StructType):
        return None
    if name in _COUNTED:
        return _counted(types, place)
    guard = _guard(types, place)
    if guard is not None:
        return guard
    if name in QUIET or kind.name.startswith(("core::cell::", "core::mem::")):
        return _only_field(types, place)
    return None


def _counted(types: TypeTable, place: _Place) -> _Place | None:
    """What an Arc or Rc points to."""
    for offset, type_id in _within(types, place.type):
        pointer = types.type(type_id)
        target = types.type(pointer.target) if isinstance(pointer, PointerType) else None
        if isinstance(target, StructType):
            data, strong = target.member("data") or target.member("value"), target.member("strong")
            if data is None or strong is None:
                return None
            count = _number(types, strong.type)
            at = strong.offset + (count.offset if count is not None else 0)
            return place.plus(data.type, Counted(offset, at, data.offset, data.type))
    return None


def _guard(types: TypeTable, place: _Place) -> _Place | None:
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
        move = Move(offset + data.offset, data.type)
        for name in (*_STATES, *_FLAGS, "borrow"):
            if (flag := kind.member(name)) is not None:
                found = _number(types, flag.type)
                if found is not None:
                    at, size = offset + flag.offset + found.offset, found.size
                    hop = Once(at, size) if name in _STATES else Lock(at, size)
                    return place.plus(data.type, hop, move)
        return place.plus(data.type, move)
    return None


def _is_guard(name: str) -> bool:
    return any(word in name for word in ("Mutex", "Lock", "RefCell", "Once", "Lazy"))


def _pointed(types: TypeTable, place: _Place, *, any_pointer: bool) -> _Place | None:
    """What a Box or a reference points to, or with `any_pointer` a raw pointer too."""
    kind = types.type(place.type)
    if not isinstance(kind, PointerType) or not types.type(kind.target).size:
        return None
    if not any_pointer and not kind.name.startswith("&") and base_name(kind) != "Box":
        return None
    return place.plus(kind.target, Ask(_target))


def _target(pointer: Value) -> Value:
    kind = pointer.type
    assert isinstance(kind, PointerType)
    address = pointer.word(pointer.address, kind.size)
    if not address:
        raise DecodeError(pointer.path, "a pointer that is null")
    return pointer.at(kind.target, address, pointer.path)


def _element(value: Value, position: int) -> Value:
    found = contents(value)
    if found is None or not 0 <= position < found.length:
        raise DecodeError(value.path, f"there is no element {position}")
    for number, (_, item) in enumerate(found.walk()):
        if number == position:
            return item
    raise DecodeError(value.path, "it ends before its length")


def _only_field(types: TypeTable, place: _Place) -> _Place | None:
    """The only field of a struct that takes up space."""
    if not isinstance(types.type(place.type), StructType):
        return None
    members = list(_members(types, place))
    return members[0] if len(members) == 1 else None


def _inside(types: TypeTable, root: _Place) -> Iterator[_Place]:
    """A value and what is inside it, the outermost first, as far as no memory has to tell."""
    queue = deque([(root, 0)])
    while queue:
        place, depth = queue.popleft()
        yield place
        if depth == MAX_DEPTH:
            continue
        inner = _unwrapped(types, place)
        if inner is None:
            queue.extend((member, depth + 1) for member in _members(types, place))
        elif not isinstance(inner.hops[-1], Ask | Counted):
            queue.append((inner, depth + 1))


def _members(types: TypeTable, place: _Place) -> Iterator[_Place]:
    kind = types.type(place.type)
    if isinstance(kind, StructType | UnionType):
        for member in kind.members:
            if types.type(member.type).size:
                yield place.plus(member.type, Move(member.offset, member.type))


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


__all__ = ["All", "Ask", "Counted", "Hop", "Lock", "Move", "Once", "Way", "way", "way_to_struct"]
