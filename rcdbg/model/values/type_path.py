"""What may follow a path, told by types alone: for completion where no machine runs."""

from collections.abc import Iterator

from rcdbg.image.types import (
    ArrayType,
    EnumType,
    PointerType,
    StructType,
    Type,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.value import MAX_DEPTH

_COUNTED = frozenset({"Arc", "Rc", "Weak"})
_MAPS = frozenset({"HashMap", "BTreeMap"})
_ELEMENT = "T"


def fields(types: TypeTable, type_id: TypeId) -> list[str]:
    """The fields of that type, or of what it wraps; those of an enum are of all its variants."""
    names: list[str] = []
    kind = types.type(inside(types, type_id))
    if element(types, type_id) is not None:
        return []
    if isinstance(kind, EnumType):
        for variant in kind.variants:
            names += _members(types, types.type(variant.body.type))
    else:
        names = _members(types, kind)
    return sorted({name.removeprefix("__") for name in names if name})


def field(types: TypeTable, type_id: TypeId, name: str) -> TypeId | None:
    """The type of that field, or None if there is none."""
    for current in (type_id, inside(types, type_id)):
        kind = types.type(current)
        bodies: list[Type] = [kind]
        if isinstance(kind, EnumType):
            bodies = [types.type(variant.body.type) for variant in kind.variants]
        for body in bodies:
            member = body.member(name) if isinstance(body, StructType | UnionType) else None
            if member is not None:
                return member.type
    return None


def element(types: TypeTable, type_id: TypeId) -> TypeId | None:
    """The type of what `[...]` leads to, or None if the type holds no elements."""
    kind = types.type(inside(types, type_id))
    if isinstance(kind, ArrayType):
        return kind.element
    if not isinstance(kind, StructType):
        return None
    if (data := kind.member("data_ptr")) is not None and kind.member("length") is not None:
        pointer = types.type(data.type)
        return pointer.target if isinstance(pointer, PointerType) else None
    wanted = "V" if base_name(kind) in _MAPS else _ELEMENT
    known = ("Vec", "VecDeque", "LinkedList", "HashSet", "BTreeSet", "BinaryHeap", *_MAPS)
    if base_name(kind) in known:
        return next((t for name, t in kind.parameters if name == wanted), None)
    return None


def inside(types: TypeTable, type_id: TypeId) -> TypeId:
    """The type within all wrappers."""
    for _ in range(2 * MAX_DEPTH):
        inner = _unwrapped(types, type_id)
        if inner is None:
            break
        type_id = inner
    return type_id


def _unwrapped(types: TypeTable, type_id: TypeId) -> TypeId | None:
    kind = types.type(type_id)
    name = base_name(kind)
    if isinstance(kind, EnumType):
        some = [v.body.type for v in kind.variants if v.name == "Some"]
        return _member(types, some[0], "__0") if name == "Option" and some else None
    if isinstance(kind, PointerType):
        return kind.target if kind.name.startswith("&") or name == "Box" else None
    if not isinstance(kind, StructType | UnionType):
        return None
    if name in _COUNTED:
        for current in _within(types, type_id):
            pointer = types.type(current)
            if isinstance(pointer, PointerType):
                return _member(types, pointer.target, "data") or _member(
                    types, pointer.target, "value"
                )
        return None
    if name in ("RefCell", "MaybeUninit"):
        return _member(types, type_id, "value")
    if any(word in name for word in ("Mutex", "Lock", "Once", "Lazy")):
        found = (_member(types, current, "data") for current in _within(types, type_id))
        return next((t for t in found if t is not None), None)
    sized = [m for m in kind.members if types.type(m.type).size]
    if len(sized) == 1 and (kind.name.startswith("core::") or sized[0].name == "__0"):
        return sized[0].type
    return None


def _within(types: TypeTable, type_id: TypeId) -> Iterator[TypeId]:
    """The type and those of the fields inside it, the outer ones first."""
    level = [type_id]
    for _ in range(MAX_DEPTH):
        yield from level
        kinds = [types.type(t) for t in level]
        level = [m.type for k in kinds if isinstance(k, StructType) for m in k.members]


def _member(types: TypeTable, type_id: TypeId, name: str) -> TypeId | None:
    kind = types.type(type_id)
    member = kind.member(name) if isinstance(kind, StructType | UnionType) else None
    return None if member is None else member.type


def _members(types: TypeTable, kind: Type) -> list[str]:
    if not isinstance(kind, StructType | UnionType):
        return []
    return [m.name for m in kind.members if types.type(m.type).size]
