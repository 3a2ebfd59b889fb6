"""Ways from the values of one type to a part of them, found by types alone.

A way is a few hops: distances within a value, and what only memory tells. Wrappers are looked
through, by the names and fields that Rust's library and the usual crates give them: pointers that
own, Option, lazy_static, locks, cells; and structs of one field around such. Each way is found once
for a type, so that following one is cheap, and whether a kernel has one is known without reading.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rcdbg.image.types import (
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.kernels.description import Names, Paths
from rcdbg.kernels.paths import Deref, Each, Field, Find, Index, Step, steps_text
from rcdbg.model.by_types import by_types
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.contents import contents
from rcdbg.model.values.hops import (
    All,
    Ask,
    Counted,
    Hop,
    Shift,
    Station,
    members,
    only_field,
    pointed,
    unwrapped,
)
from rcdbg.model.values.type_path import element
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Number, Value, number_in


@dataclass(frozen=True, slots=True)
class Way:
    """The hops to a part, the type that it has, and how it is written."""

    hops: tuple[Hop, ...]
    type: TypeId
    text: str
    number: Number | None
    """The single number that the part is, if it is one."""


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
        place: Station | None = Station((), type_id)
        begin = 0
        for number, step in enumerate(path.steps):
            if place is None:
                break
            if isinstance(step, Each):
                place = _elements(types, place, steps_text(path.steps[begin:number]))
                begin = number + 1
            else:
                place = _step(types, place, step)
        if place is not None:
            place = _settled(types, place, stop)
            return _way_of(types, place, steps_text(path.steps))
    return None


def _way_to_struct(types: TypeTable, type_id: TypeId, names: Names) -> Way | None:
    place = Station((), type_id)
    for _ in range(2 * MAX_DEPTH):
        kind = types.type(place.type)
        if isinstance(kind, StructType) and base_name(kind) in names:
            return _way_of(types, place)
        inner = unwrapped(types, place) or only_field(types, place)
        if inner is None:
            break
        place = inner
    for inner in _inside(types, place):
        found = _settled(types, inner, names)
        kind = types.type(found.type)
        if isinstance(kind, StructType) and base_name(kind) in names:
            return _way_of(types, found)
    return None


def _way_of(types: TypeTable, place: Station, text: str = "") -> Way:
    return Way(_merged(place.hops), place.type, text, number_in(types, place.type))


def _merged(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """The hops with one move for several that follow each other."""
    found: list[Hop] = []
    for hop in hops:
        last = found[-1] if found else None
        if isinstance(hop, Shift) and isinstance(last, Shift):
            found[-1] = Shift(last.offset + hop.offset, hop.type)
        else:
            found.append(hop)
    return tuple(found)


def _step(types: TypeTable, place: Station, step: Step) -> Station | None:
    match step:
        case Field(name):
            return _field(types, place, name)
        case Find(name):
            return _anywhere(types, place, name)
        case Deref():
            return pointed(types, _settled(types, place, Names()), any_pointer=True)
        case Index(key):
            place = _collection(types, place)
            inner = element(types, place.type)
            if inner is None or not isinstance(key, int):
                return None
            return place.plus(inner, Ask(partial(_element, position=key)))
    return None


def _elements(types: TypeTable, place: Station, text: str) -> Station | None:
    place = _collection(types, place)
    inner = element(types, place.type)
    return None if inner is None else place.plus(inner, All(text))


def _field(types: TypeTable, place: Station, name: str) -> Station | None:
    """A field of the kernel's own structs around or inside wrappers, or else of a wrapper."""
    own: list[Station] = []
    library: list[Station] = []
    current: Station | None = place
    for _ in range(2 * MAX_DEPTH):
        if current is None:
            break
        inner = unwrapped(types, current) or pointed(types, current, any_pointer=True)
        (own if inner is None else library).append(current)
        current = inner or only_field(types, current)
    for holder in (*own, *library):
        kind = types.type(holder.type)
        member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
        if member is not None:
            return holder.plus(member.type, Shift(member.offset, member.type))
    return None


def _anywhere(types: TypeTable, place: Station, name: str) -> Station | None:
    """A field anywhere inside, the outermost first; behind a pointer only if that is all."""
    current: Station | None = place
    for _ in range(MAX_DEPTH):
        if current is None:
            break
        for holder in _inside(types, current):
            kind = types.type(holder.type)
            member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
            if member is not None:
                return holder.plus(member.type, Shift(member.offset, member.type))
        current = unwrapped(types, current)
    return None


def _settled(types: TypeTable, place: Station, stop: Names) -> Station:
    """Within the wrappers around a value; a struct of one field is one if it has another inside."""
    for _ in range(2 * MAX_DEPTH):
        kind = types.type(place.type)
        if stop and isinstance(kind, StructType) and base_name(kind) in stop:
            break
        inner = unwrapped(types, place)
        if inner is None:
            field = only_field(types, place)
            inner = field if field is not None and unwrapped(types, field) else None
        if inner is None:
            break
        place = inner
    return place


def _collection(types: TypeTable, place: Station) -> Station:
    """The collection within wrappers."""
    for _ in range(2 * MAX_DEPTH):
        inner = unwrapped(types, place) or only_field(types, place)
        if inner is None or base_name(types.type(place.type)) in _COLLECTIONS:
            break
        place = inner
    return place


_COLLECTIONS = ("Vec", "VecDeque", "LinkedList", "HashSet", "HashMap", "BTreeSet", "BTreeMap",
                "BinaryHeap")  # fmt: skip


def _element(value: Value, position: int) -> Value:
    found = contents(value)
    if found is None or not 0 <= position < found.length:
        raise DecodeError(value.path, f"there is no element {position}")
    for number, (_, item) in enumerate(found.walk()):
        if number == position:
            return item
    raise DecodeError(value.path, "it ends before its length")


def _inside(types: TypeTable, root: Station) -> Iterator[Station]:
    """A value and what is inside it, the outermost first, as far as no memory has to tell."""
    queue = deque([(root, 0)])
    while queue:
        place, depth = queue.popleft()
        yield place
        if depth == MAX_DEPTH:
            continue
        inner = unwrapped(types, place)
        if inner is None:
            queue.extend((member, depth + 1) for member in members(types, place))
        elif not isinstance(inner.hops[-1], Ask | Counted):
            queue.append((inner, depth + 1))
