"""What Rust wraps around a value: pointers that own, locks, cells, what is set once, newtypes.

`layer` takes one wrapper off and says in words how it stands: "locked", "strong 2, weak 0", "not
initialised". Wrappers are known by the names of their types and fields, never by offsets. Sources:
the standard library (alloc::sync, alloc::rc, core::cell, core::sync::atomic), spin, lazy_static,
lock_api.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rcdbg.image.types import BaseType, EnumType, PointerType, StructType, UnionType
from rcdbg.model.values.containers import base_name, dig, is_str, metadata, option, pointer_in
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Metadata, Value, number_in

NOT_INITIALISED = "not initialised"
_DANGLING = (1 << 64) - 1
"""What a Weak that never belonged to anything points to, and a weak count that is locked."""

_ONCE = {0: NOT_INITIALISED, 1: "being initialised", 2: "", 3: "its initialisation panicked"}
"""spin::once::Status."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One wrapper. `content` is None where there is nothing inside, and `note` says why."""

    name: str
    content: Value | None
    note: str = ""
    quiet: bool = False
    """A cell that says nothing of itself."""
    follows: bool = False
    """The content lies elsewhere: a pointer was followed."""
    own: bool = False
    """A kernel's newtype: its field is what the kernel's source calls `.0`."""


def layer(value: Value) -> Layer | None:
    """The wrapper that the value is, or None if it is none; raises DecodeError for nonsense."""
    kind = value.type
    name = base_name(kind)
    if value.metadata is not None and value.metadata.is_elements:
        return None
    if isinstance(kind, EnumType):
        if name != "Option":
            return None
        held = option(value)
        return Layer("None", None, "None") if held is None else Layer("Some", held)
    if isinstance(kind, PointerType):
        return _reference(value, kind)
    if isinstance(kind, UnionType):
        return Layer(name, value["value"], quiet=True) if name == "MaybeUninit" else None
    if not isinstance(kind, StructType):
        return None
    if value.metadata is not None and value.metadata.vtable and not kind.members:
        return _dyn(value, value.metadata.vtable, value.address)
    if value.has("pointer") and value.has("vtable"):
        return _trait_object(value)
    if value.has("data_ptr") and value.has("length"):
        return _unsized(value, Metadata(value["length"].scalar(), is_text=is_str(kind.name)))
    found = _BY_NAME.get(name)
    if found is not None and (peeled := found(value, name)) is not None:
        return peeled
    fields = value.fields()
    if len(fields) == 1:
        if name in QUIET or name.startswith(("Atomic", "NonZero")):
            return Layer(name, fields[0], quiet=True)
        guarded = _guarded(value, name)
        if guarded is not None:
            return guarded
        if kind.member("__0") is not None and fields[0].path.endswith(".__0"):
            library = kind.name.startswith(("core::", "alloc::"))
            return Layer(name, fields[0], quiet=library, own=not library)
        return None
    return _guarded(value, name)


def layers(value: Value) -> tuple[list[tuple[Value, Layer]], Value | None]:
    """The wrappers from the outside in, each with its value, and what is inside, if anything.

    Raises DecodeError where a wrapper is nonsense.
    """
    chain: list[tuple[Value, Layer]] = []
    for _ in range(2 * MAX_DEPTH):
        peeled = layer(value)
        if peeled is None:
            return chain, value
        chain.append((value, peeled))
        if peeled.content is None:
            return chain, None
        value = peeled.content
    raise DecodeError(value.path, f"more than {2 * MAX_DEPTH} wrappers around each other")


QUIET = frozenset(
    {"UnsafeCell", "SyncUnsafeCell", "Cell", "ManuallyDrop", "MaybeDangling", "Pin", "Wrapping",
     "Saturating", "Reverse", "CachePadded"}
)  # fmt: skip


def _reference(value: Value, kind: PointerType) -> Layer | None:
    """A Box or a reference; raw pointers are not followed."""
    name = "Box" if base_name(kind) == "Box" else "&" if kind.name.startswith("&") else ""
    if not name or not value.space.types.type(kind.target).size:
        return None
    address = value.word(value.address, kind.size)
    if not address:
        raise DecodeError(value.path, f"a {name} that is null")
    return Layer(name, value.at(kind.target, address, value.path), quiet=name == "&", follows=True)


def _trait_object(value: Value) -> Layer:
    """`&dyn Trait`, `Box<dyn Trait>`: the vtable tells the type, if DWARF knows the vtable."""
    vtable = value["vtable"].scalar()
    pointer = pointer_in(value["pointer"])
    kind = pointer.type
    target = value.space.types.type(kind.target) if isinstance(kind, PointerType) else None
    if isinstance(target, StructType) and target.members:
        peeled = _unsized(value, Metadata(vtable=vtable))
        if peeled is not None:
            return peeled
    return _dyn(value, vtable, pointer.scalar())


def _dyn(value: Value, vtable: int, address: int) -> Layer:
    concrete = value.space.types.vtable_type(vtable)
    if concrete is None:
        return Layer("dyn", None, f"of a type that is not known: no vtable is at {vtable:#x}")
    return Layer("dyn", value.at(concrete, address, value.path), follows=True)


def _unsized(value: Value, held: Metadata) -> Layer | None:
    """A pointer to a struct that ends in a `[T]`, a `str` or a `dyn Trait`; None of null."""
    pointer = pointer_in(value["data_ptr" if value.has("data_ptr") else "pointer"])
    kind = pointer.type
    if not isinstance(kind, PointerType):
        raise DecodeError(value.path, f"{value.type.name} holds no pointer")
    address = pointer.word(pointer.address, kind.size)
    if not address:
        if value.type.name.startswith("*"):
            return None
        raise DecodeError(value.path, f"a {value.type.name} that is null")
    target = Value(value.space, kind.target, address, value.path, held)
    quiet = not value.type.name.startswith(("Box", "alloc::boxed::Box"))
    return Layer("&" if quiet else "Box", target, quiet=quiet, follows=True)


def _box(value: Value, name: str) -> Layer | None:
    """A Box whose allocator takes up space: rustc describes it as the struct that it is."""
    if not value.has("__0"):
        return None
    for current in _shells(value["__0"]):
        if current.has("data_ptr") or current.has("vtable"):
            return Layer(name, _named_alike(value, current))
    pointer = pointer_in(value["__0"])
    kind = pointer.type
    if not isinstance(kind, PointerType):
        return None
    address = pointer.word(pointer.address, kind.size)
    if not address:
        raise DecodeError(value.path, "a Box that is null")
    return Layer(name, value.at(kind.target, address, value.path), follows=True)


def _counted(value: Value, name: str) -> Layer | None:
    """Arc and Rc, with their counts as `strong_count` and `weak_count` would give them."""
    if not value.has("ptr"):
        return None
    inner = _counts(value)
    address = inner.address
    if not address:
        raise DecodeError(value.path, f"a null {name}")
    strong, weak = _count(inner, "strong"), _count(inner, "weak")
    if not 0 < strong < 1 << 63:
        why = f"the {name} at {address:#x} has a strong count of {strong}"
        raise DecodeError(value.path, why)
    note = f"strong {strong}, weak {max(weak - 1, 0) if weak != _DANGLING else 'locked'}"
    return Layer(name, _counted_content(value, inner), note, follows=True)


def _weak(value: Value, name: str) -> Layer | None:
    if not value.has("ptr"):
        return None
    inner = _counts(value)
    if inner.address == _DANGLING:
        return Layer(name, None, "belongs to nothing")
    strong, weak = _count(inner, "strong"), _count(inner, "weak")
    if strong == 0:
        return Layer(name, None, f"what it belonged to was dropped, weak {weak}")
    if strong >= 1 << 63:
        why = f"the Weak to {inner.address:#x} with a strong count of {strong}"
        raise DecodeError(value.path, why)
    note = f"strong {strong}, weak {max(weak - 1, 0)}"
    return Layer(name, _counted_content(value, inner), note, follows=True)


def _counts(value: Value) -> Value:
    """The ArcInner or RcInner that an Arc, Rc or Weak points to."""
    pointer = pointer_in(value["ptr"])
    kind = pointer.type
    if not isinstance(kind, PointerType):
        raise DecodeError(value.path, f"{value.type.name} holds no pointer")
    address = pointer.word(pointer.address, kind.size)
    return Value(value.space, kind.target, address, value.path, metadata(value))


def _count(inner: Value, name: str) -> int:
    return dig(inner, name).scalar()


def _counted_content(value: Value, inner: Value) -> Value:
    """Past the counts; a trait object's are padded to its alignment."""
    content = inner["data"] if inner.has("data") else inner["value"]
    return content.named(value.path)


def _shells(value: Value) -> list[Value]:
    """The value, and what its only fields hold."""
    found = [value]
    while len(found) < MAX_DEPTH:
        fields = found[-1].fields()
        if len(fields) != 1:
            break
        found.append(fields[0])
    return found


def _ref_cell(value: Value, name: str) -> Layer | None:
    if not (value.has("borrow") and value.has("value")):
        return None
    borrow = value["borrow"].scalar()
    if borrow < 0:
        note = "borrowed mutably"
    elif borrow:
        note = f"borrowed by {borrow}"
    else:
        note = "not borrowed"
    return Layer(name, _named_alike(value, value["value"]), note)


def _lazy_cell(value: Value, name: str) -> Layer | None:
    """core::cell::LazyCell, whose states are variants."""
    if not value.has("state"):
        return None
    for current in _shells(value["state"]):
        if isinstance(current.type, EnumType):
            variant, body = current.variant()
            if variant == "Init":
                return Layer(name, body["__0"])
            return Layer(name, None, _ONCE[0 if variant == "Uninit" else 3])
    return None


def _once_cell(value: Value, name: str) -> Layer | None:
    for current in _shells(value):
        if isinstance(current.type, EnumType):
            held = option(current)
            if held is None:
                return Layer(name, None, NOT_INITIALISED)
            return Layer(name, _named_alike(value, held))
    return None


def _guarded(value: Value, name: str) -> Layer | None:
    """A lock or a Once, also inside newtypes such as `Lock(Mutex)` or `Lazy(Once)`."""
    current = value
    for _ in range(MAX_DEPTH):
        if current.has("data") or _is_ticket_lock(current):
            return _once(value, current, name) or _lock(value, current, name)
        if name == "Lazy" and current.has("cell"):
            current = current["cell"]  # beside it lies the function that makes the value
            continue
        fields = current.fields()
        library = any(word in base_name(current.type) for word in ("Lock", "Mutex", "Lazy", "Once"))
        inside = "__0" if current.has("__0") else "inner" if library else ""
        if len(fields) != 1 or not inside or not current.has(inside):
            return None
        current = current[inside]
    return None


def _once(value: Value, once: Value, name: str) -> Layer | None:
    library = any(word in base_name(once.type) for word in ("Once", "Lazy"))
    for state in ("status", "state", "inited") if library else ():
        if once.has(state):
            number = once[state].scalar()
            if number not in _ONCE:
                raise DecodeError(value.path, f"{number} is no state of a {name}")
            if note := _ONCE[number]:
                return Layer(name, None, note)
            return Layer(name, _named_alike(value, once["data"]))
    return None


def _lock(value: Value, lock: Value, name: str) -> Layer | None:
    if _is_ticket_lock(lock) or (lock.has("next_ticket") and lock.has("next_serving")):
        waiting = lock["next_ticket"].scalar() - lock["next_serving"].scalar()
        note = "locked" if waiting else "not locked"
        if waiting > 1:
            note += f", {waiting - 1} waiting"
    elif lock.has("lock") or lock.has("raw"):
        place = lock["lock" if lock.has("lock") else "raw"]
        if number_in(place.space.types, place.type_id) is None:
            return None  # a struct with a lock of its own beside its data, as C's have
        flag = place.scalar()
        if base_name(lock.type) == "RwLock":
            note = _read_write(flag)
        else:
            note = "locked" if flag else "not locked"
    else:
        return None
    content = lock["data"] if lock.has("data") else lock["value"]
    return Layer(name, _named_alike(value, content), note)


def _is_ticket_lock(value: Value) -> bool:
    """spin::mutex::TicketMutex keeps its data as `data`, or as `value`, by its version."""
    return value.has("next_ticket") and value.has("next_serving") and value.has("value")


def _read_write(state: int) -> str:
    """spin::rwlock: bit 0 a writer, bit 1 an upgradeable reader, the rest counts readers."""
    if state & 1:
        return "locked for writing"
    if state >> 1:
        return f"locked by {(state >> 2) + (state >> 1 & 1)} for reading"
    return "not locked"


def _named_alike(outer: Value, content: Value) -> Value:
    """The content under the wrapper's path: `PROCESSOR`, not `PROCESSOR.__0.data.value`."""
    return content.named(outer.path)


_BY_NAME: dict[str, Callable[[Value, str], Layer | None]] = {
    "Arc": _counted,
    "Box": _box,
    "Rc": _counted,
    "Weak": _weak,
    "RefCell": _ref_cell,
    "LazyCell": _lazy_cell,
    "OnceCell": _once_cell,
}


def is_atomic_bool(value: Value) -> bool:
    """Whether it is a bool that the library keeps in a byte."""
    return base_name(value.type) == "AtomicBool" and not isinstance(value.type, BaseType)
