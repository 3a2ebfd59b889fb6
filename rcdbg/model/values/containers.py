"""Rust's containers and wrappers, peeled by the names of their fields.

Nothing here knows an offset, and nothing trusts a length, a pointer or a link: each is bounded
by MAX_ELEMENTS or a visited set, and nonsense raises DecodeError with what was read so far lost
only where it cannot be told apart. Sources: the standard library's own definitions (alloc::vec,
alloc::collections, alloc::sync), hashbrown's RawTable, spin's Mutex and Once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.types import (
    ArrayType,
    CEnumType,
    EnumType,
    PointerType,
    StructType,
    Type,
    UnionType,
)
from rcdbg.model.values.value import MAX_DEPTH, MAX_ELEMENTS, DecodeError, Metadata, Value

MAX_BYTES = 1 << 22
"""Bytes that a byte string may have: a bit for each frame of 128 GiB."""

_ALLOCATORS = ("alloc", "allocator")
_FAT_POINTERS = (("data_ptr", "length"), ("pointer", "vtable"))
"""What rustc calls the parts of `&[T]` and of `&dyn Trait`."""

_PAIR = 2
_ONCE_COMPLETE = 2
"""spin::once::Status::Complete (0 Incomplete, 1 Running, 3 Panicked)."""


def base_name(kind: Type) -> str:
    """The last segment of a type's path, without generic arguments: `Mutex`; a tuple has none."""
    if kind.name.startswith("("):
        return kind.name
    return kind.name.split("<", 1)[0].rsplit("::", 1)[-1]


def _inside(value: Value) -> Iterator[Value]:
    """The value and the fields inside it, breadth first; pointers are not followed."""
    queue = deque([(value, 0)])
    while queue:
        current, depth = queue.popleft()
        yield current
        if depth < MAX_DEPTH:
            queue.extend((field, depth + 1) for field in current.fields())


def dig(value: Value, name: str) -> Value:
    """The field `name` of the value or of the wrappers inside it, the outermost first.

    Raises DecodeError if no wrapper has it.
    """
    for current in _inside(value):
        if current.has(name):
            return current[name]
    raise DecodeError(value.path, f"{value.type.name} has no field {name!r} inside")


def pointer_in(value: Value) -> Value:
    """The thin pointer inside wrappers such as NonNull, Unique, RawVec, Box: the outermost.

    What an allocator holds is passed over, and of a fat pointer the vtable and the length are.
    Raises DecodeError where there is none, or where it could be either of two.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        found = [inner for inner in level if isinstance(inner.type, PointerType)]
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(inner.path.rpartition(".")[2] for inner in found)
            why = f"{value.type.name} holds several pointers: {names}"
            raise DecodeError(value.path, why)
        level = [field for inner in level for field in _owning(inner)]
    raise DecodeError(value.path, f"{value.type.name} holds no pointer")


def _owning(value: Value) -> list[Value]:
    """The fields in which the pointer that a wrapper is about may lie."""
    for first, second in _FAT_POINTERS:
        if value.has(first) and value.has(second):
            return [value[first]]
    fields = value.fields()
    if base_name(value.type) == "Box":
        return fields[:1]  # its second is the allocator
    return [field for field in fields if field.path.rpartition(".")[2] not in _ALLOCATORS]


def option(value: Value) -> Value | None:
    """What an Option holds, or None."""
    name, body = value.variant()
    if name == "None":
        return None
    if name != "Some":
        raise DecodeError(value.path, f"{value.type.name} is not an Option")
    return body["__0"] if body.has("__0") else body


def pair(value: Value, what: str) -> tuple[Value, Value]:
    """The two parts of a tuple, or of a struct of two; raises DecodeError if it is no `what`."""
    parts = [value[name] for name in ("__0", "__1") if value.has(name)]
    parts = parts if len(parts) == len(value.fields()) else value.fields()
    if len(parts) != _PAIR:
        raise DecodeError(value.path, f"{value.type.name} is no {what}")
    return parts[0], parts[1]


def variant_name(value: Value) -> str:
    """The name of the variant that an enum is in; raises DecodeError for a number of none."""
    kind = value.type
    if isinstance(kind, CEnumType):
        number = int.from_bytes(value.raw(), "little")
        for name, known in kind.enumerators:
            if known == number:
                return name
        raise DecodeError(value.path, f"{number:#x} is no variant of {kind.name}")
    if isinstance(kind, EnumType):
        return value.variant()[0]
    return base_name(kind)


def arc(value: Value) -> Value:
    """What an Arc or Rc points to; raises DecodeError for a null pointer or a zero count."""
    pointer = pointer_in(value)
    kind = pointer.type
    address = pointer.scalar()
    if not isinstance(kind, PointerType) or address == 0:
        raise DecodeError(value.path, "a null Arc")
    inner = Value(value.space, kind.target, address, value.path, metadata(value))
    strong = dig(inner, "strong").scalar()
    if not 0 < strong < 1 << 63:
        raise DecodeError(value.path, f"an Arc at {address:#x} with a strong count of {strong}")
    return inner["data"] if inner.has("data") else inner["value"]


def metadata(value: Value) -> Metadata | None:
    """What the fat pointer inside a Box, Arc, Rc or Weak says; None of a thin one."""
    for current in _inside(value):
        if current.has("vtable"):
            return Metadata(vtable=current["vtable"].scalar())
        if current.has("data_ptr") and current.has("length"):
            return Metadata(current["length"].scalar(), is_text=is_str(value.type.name))
        if isinstance(current.type, PointerType):
            return None
    return None


def is_str(name: str) -> bool:
    """Whether a type of that name is about a `str`: `&str`, `Box<str>`, `Arc<Name<str>>`."""
    words = name.replace("<", " ").replace(">", " ").replace(",", " ").replace("&", " ").split()
    return "str" in words


def find_struct(value: Value, name: str) -> Value:
    """The struct whose type's last segment is `name`: the value itself or inside it."""
    for current in _inside(value):
        if isinstance(current.type, StructType) and base_name(current.type) == name:
            return current
    raise DecodeError(value.path, f"no {name} in {value.type.name}")


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a lock protects; `locked` is None when the lock's flag was not found."""

    value: Value
    locked: bool | None


def mutex(value: Value) -> Guarded:
    """The data behind a lock of any make that keeps it in a field named `data` or `value`."""
    try:
        data = dig(value, "data")
    except DecodeError:
        return Guarded(value, None)
    try:
        locked: bool | None = dig(value, "lock").scalar() != 0
    except DecodeError:
        locked = None
    return Guarded(unwrap(data), locked)


def unwrap(value: Value) -> Value:
    """Past cells: UnsafeCell, Cell, ManuallyDrop, MaybeUninit, and other one-field shells.

    Only core's own cells and unions are opened, so that a kernel's newtype keeps its name.
    """
    for _ in range(MAX_DEPTH):
        kind = value.type
        cell = kind.name.startswith(("core::cell::", "core::mem::"))
        fields = value.fields()
        if isinstance(kind, UnionType) and value.has("value"):
            value = value["value"]
        elif cell and len(fields) == 1:
            value = fields[0]
        elif cell and isinstance(kind, StructType) and len(kind.members) == 1:
            value = value[kind.members[0].name]  # of size zero
        else:
            return value
    return value


def lazy(value: Value) -> Value | None:
    """What a lazy_static (a Once inside) holds, or None while it is not initialised."""
    flag = None
    for name in ("status", "state", "inited"):
        try:
            flag = dig(value, name)
            break
        except DecodeError:
            continue
    if flag is None:
        return value
    if flag.scalar() != _ONCE_COMPLETE:
        return None
    data = unwrap(dig(value, "data"))
    if isinstance(data.type, EnumType) and base_name(data.type) == "Option":
        return option(data)
    return data


def _count(value: Value, number: int, what: str, limit: int = MAX_ELEMENTS) -> int:
    if not 0 <= number <= limit:
        raise DecodeError(value.path, f"{what} of {number:#x} is nonsense")
    return number


def array(value: Value) -> Iterator[Value]:
    """The elements of a fixed-size array."""
    kind = value.type
    if not isinstance(kind, ArrayType):
        raise DecodeError(value.path, f"{kind.name} is not an array")
    for position in range(_count(value, kind.count, "a length")):
        yield value.element(position)


def _elements(value: Value, first: int, positions: Iterator[int]) -> Iterator[Value]:
    element = value.parameter("T")
    size = value.space.types.type(element).size
    for number, position in enumerate(positions):
        yield value.at(element, first + position * size, f"{value.path}[{number}]")


def vec(value: Value) -> Iterator[Value]:
    """The elements of a Vec."""
    length = _count(value, value["len"].scalar(), "a length")
    buffer = value["buf"]
    capacity = dig(buffer, "cap").scalar()
    if length > capacity and value.space.types.type(value.parameter("T")).size:
        raise DecodeError(value.path, f"length {length} exceeds capacity {capacity}")
    yield from _elements(value, pointer_in(buffer).scalar(), iter(range(length)))


def vec_deque(value: Value) -> Iterator[Value]:
    """The elements of a VecDeque, front first."""
    length = _count(value, value["len"].scalar(), "a length")
    if not value.space.types.type(value.parameter("T")).size:
        yield from _elements(value, value.address, iter(range(length)))
        return
    capacity = dig(value["buf"], "cap").scalar()
    head = value["head"].scalar()
    if length > capacity or (capacity and head >= capacity):
        raise DecodeError(value.path, f"head {head}, length {length}, capacity {capacity}")
    first = pointer_in(value["buf"]).scalar()
    yield from _elements(value, first, ((head + i) % capacity for i in range(length)))


def linked_list(value: Value) -> Iterator[Value]:
    """The elements of a LinkedList, front first; stops with DecodeError at a broken link."""
    length = _count(value, value["len"].scalar(), "a length")
    link = option(value["head"])
    previous, seen = 0, 0
    while link is not None:
        pointer = pointer_in(link)
        kind, address = pointer.type, pointer.scalar()
        if seen >= length:
            raise DecodeError(value.path, f"more nodes than its length of {length}")
        if not isinstance(kind, PointerType):
            raise DecodeError(value.path, "a link that is no pointer")
        node = value.at(kind.target, address, f"{value.path}[{seen}]")
        back = option(node["prev"])
        came_from = pointer_in(back).scalar() if back is not None else 0
        if came_from != previous:
            why = f"the node at {address:#x} points back to {came_from:#x}, not to {previous:#x}"
            raise DecodeError(node.path, why)
        element = node["element"]
        yield element.at(element.type_id, element.address, node.path)
        previous, seen = address, seen + 1
        link = option(node["next"])
    if seen != length:
        raise DecodeError(value.path, f"{seen} nodes, but a length of {length}")


def _ring(value: Value) -> Iterator[Value]:
    # It takes what is here: imported when it is needed.
    from rcdbg.model.library.rings import linked_entries

    return linked_entries(value)


def hash_set(value: Value) -> Iterator[Value]:
    """The elements of a hashbrown (or std) HashSet or HashMap, in the table's order.

    A map yields its (key, value) tuples, a set its keys.
    """
    table = dig(value, "table")
    mask = dig(table, "bucket_mask").scalar()
    items = _count(value, dig(table, "items").scalar(), "an item count")
    if mask & (mask + 1) or mask >= MAX_ELEMENTS:
        raise DecodeError(value.path, f"{mask + 1:#x} buckets are not a power of two in reason")
    control = pointer_in(dig(table, "ctrl")).scalar()
    owner = _with_parameter(table, "T")
    entry = owner.parameter("T")
    size = value.space.types.type(entry).size
    if not items:
        return
    found = 0
    is_set = base_name(value.type) == "HashSet"
    for bucket, tag in enumerate(value.read(control, mask + 1)):
        if tag & 0x80:
            continue  # empty or deleted
        pair = value.at(entry, control - (bucket + 1) * size, f"{value.path}[{found}]")
        found += 1
        yield _key_only(pair) if is_set else pair
    if found != items:
        raise DecodeError(value.path, f"{found} full buckets, but an item count of {items}")


def _key_only(pair: Value) -> Value:
    kind = pair.type
    if isinstance(kind, StructType) and len(kind.members) == 2 and len(pair.fields()) == 1:
        key = pair.fields()[0]
        return key.at(key.type_id, key.address, pair.path)
    return pair


def _with_parameter(value: Value, name: str) -> Value:
    for current in _inside(value):
        if any(p == name for p, _ in getattr(current.type, "parameters", ())):
            return current
    raise DecodeError(value.path, f"{value.type.name} has no generic argument {name}")


def byte_string(value: Value) -> bytes:
    """The content of a Vec or an array of single bytes, at once."""
    if isinstance(value.type, ArrayType):
        return value.raw()
    length = _count(value, value["len"].scalar(), "a length", MAX_BYTES)
    return value.read(pointer_in(value["buf"]).scalar(), length)


def pools(value: Value) -> Iterator[Value]:
    """The containers inside a value, whatever their kind; not those inside their elements."""
    queue = deque([(value, 0)])
    while queue:
        current, depth = queue.popleft()
        if is_container(current):
            yield current
        elif depth < MAX_DEPTH:
            queue.extend((field, depth + 1) for field in current.fields())


_CONTAINERS = {
    "Vec": vec,
    "VecDeque": vec_deque,
    "LinkedList": linked_list,
    "List": _ring,
    "HashSet": hash_set,
    "HashMap": hash_set,
}


def is_container(value: Value) -> bool:
    """Whether `elements` can go through it."""
    name = base_name(value.type)
    if name == "List" and not value.has("list"):
        return False  # a name that others have too
    return name in _CONTAINERS or isinstance(value.type, ArrayType)


def elements(value: Value) -> Iterator[Value]:
    """The elements of any container that rcdbg knows; raises DecodeError for others."""
    if isinstance(value.type, ArrayType):
        return array(value)
    walk = _CONTAINERS.get(base_name(value.type))
    if walk is None:
        raise DecodeError(value.path, f"{value.type.name} is not a container that rcdbg knows")
    return walk(value)
