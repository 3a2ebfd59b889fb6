"""Paths such as `PROCESSOR.scheduler.pool[2].id`, followed from a static to a value.

A path starts with a static (see `statics`). Then follow `.field`, `.0`, `[index]` or `[key]`; `*`
in front follows a pointer. Wrappers (Arc, Box, Lock, Option, cells, ...) are looked through; where
a wrapper and what is in it have a field of the same name, it is the one inside, as in Rust, unless
the wrapper is the kernel's own newtype.
"""

from collections.abc import Iterable, Iterator

from rcdbg.errors import UsageError
from rcdbg.image.types import EnumType, PointerType, Static, StructType, UnionType
from rcdbg.kernels.paths import Deref, Field, Index, Step, parse
from rcdbg.model.kernel import Kernel
from rcdbg.model.values.containers import pointer_in
from rcdbg.model.values.contents import Contents, contents
from rcdbg.model.values.inspect import Limits, inspect, raw_pointer
from rcdbg.model.values.statics import listed, static_named
from rcdbg.model.values.value import DecodeError, Space, Value
from rcdbg.model.values.wrappers import Layer, layers


def resolve(kernel: Kernel, text: str) -> Value:
    """The value at a path.

    Raises UsageError for a path that makes no sense here, with what there is instead; DecodeError
    where memory on the way is nonsense.
    """
    path = parse(text)
    static = static_named(kernel.image, path.static)
    return follow(start(kernel.space, static, path.static), path.steps)


def start(space: Space, static: Static, name: str) -> Value:
    """The value of a static, under the name that the user has for it."""
    return Value(space, static.type, static.address, name)


def follow(value: Value, steps: Iterable[Step]) -> Value:
    """The value that the steps lead to; raises as `resolve` does."""
    for step in steps:
        if isinstance(step, Field):
            value = _field(value, step.name)
        elif isinstance(step, Index):
            value = _indexed(value, step.key)
        elif isinstance(step, Deref):
            value = _followed(value)
        else:
            raise UsageError(f"{value.path}: this path leads to many values, not to one")
    return value


def _field(value: Value, name: str) -> Value:
    for holder in _holders(value):
        if holder.has(name):
            found = holder[name]
            return found.named(f"{value.path}.{name.removeprefix('__')}")
    offered = listed(field_names(value))
    chain, content = layers(value)
    if content is None:
        raise UsageError(f"{value.path} has no field {name!r} now: it is {chain[-1][1].note}")
    kind = (content or value).type.name
    what = f"it has {offered}" if offered else f"it is a {kind}"
    raise UsageError(f"{value.path} has no field {name.removeprefix('__')!r}: {what}")


def _holders(value: Value) -> Iterator[Value]:
    """Where a field is looked for: the kernel's own newtypes, what is inside, then the wrappers."""
    chain, content = layers(value)
    yield from (outer for outer, peeled in chain if peeled.own)
    if content is not None:
        if isinstance(content.type, EnumType):
            content = content.variant()[1]
        yield content
    yield from (outer for outer, peeled in chain if not peeled.own)


def field_names(value: Value) -> list[str]:
    """The fields that are worth offering: those of what is inside."""
    chain, content = layers(value)
    if content is None:
        return []
    if contents(content) is not None:
        return []
    if isinstance(content.type, EnumType):
        content = content.variant()[1]
    kind = content.type
    names = []
    if isinstance(kind, StructType | UnionType):
        names = [m.name for m in kind.members if value.space.types.type(m.type).size]
    if not names and any(peeled.own for _, peeled in chain):
        names = ["__0"]
    return [name.removeprefix("__") for name in names]


def _collection(value: Value) -> tuple[Value, Contents]:
    chain, content = _to_collection(value)
    if content is None:
        if chain and chain[-1][1].content is None:
            raise UsageError(f"{value.path} has no elements now: it is {chain[-1][1].note}")
        raise UsageError(f"{value.path} has no elements: it is a {value.type.name}")
    return content


def _to_collection(
    value: Value,
) -> tuple[list[tuple[Value, Layer]], tuple[Value, Contents] | None]:
    """The wrappers around a collection, and the collection, if that is what is inside."""
    found = contents(value)
    if found is not None:
        return [], (value, found)
    chain, content = layers(value)
    for outer, _ in chain:
        if (found := contents(outer)) is not None:
            return chain, (outer, found)
    if content is not None and (found := contents(content)) is not None:
        return chain, (content, found)
    return chain, None


def _indexed(value: Value, key: int | str) -> Value:
    holder, found = _collection(value)
    path = f"{value.path}[{_quoted(key)}]"
    if found.kind == "map":
        return _by_key(value, holder, found, key, path)
    if not isinstance(key, int):
        raise UsageError(f"{path}: the elements of a {found.kind} are numbered")
    if not 0 <= key < found.length:
        last = f"0..{found.length - 1}" if found.length else "none: it is empty"
        raise UsageError(f"{path}: the indices are {last}")
    if found.span is not None:
        size = value.space.types.type(found.span.element).size
        return value.at(found.span.element, found.span.address + key * size, path)
    for position, (_, item) in enumerate(found.walk()):
        if position == key:
            return value.at(item.type_id, item.address, path)
    raise DecodeError(path, f"it ends before, but says that it has {found.length} elements")


def _by_key(value: Value, holder: Value, found: Contents, key: int | str, path: str) -> Value:
    offered = []
    for known, item in found.walk():
        if known is None:
            continue
        shown = _key_of(known)
        if shown == key:
            return value.at(item.type_id, item.address, path)
        offered.append(_quoted(shown) if shown is not None else "?")
    keys = f"the keys are {listed(offered)}" if offered else f"{value.path} is empty"
    raise UsageError(f"{path}: {keys}")


def _key_of(key: Value) -> int | str | None:
    shown = inspect(key, limits=Limits(depth=1))
    if shown.problems:
        return None
    if isinstance(shown.value, bool):
        return str(shown.value).lower()
    if shown.kind == "variant":
        return shown.label
    return shown.value if isinstance(shown.value, int | str) else None


def _quoted(key: int | str) -> str:
    return str(key) if isinstance(key, int) or key.isidentifier() else f'"{key}"'


def _followed(value: Value) -> Value:
    chain, content = layers(value)
    for _, peeled in chain:
        if peeled.follows and peeled.content is not None:
            target = peeled.content
            return target.named(f"*{value.path}")
    if content is None:
        raise UsageError(f"{value.path} leads nowhere: it is {chain[-1][1].note}")
    if isinstance(content.type, PointerType) and not content.scalar():
        raise UsageError(f"{value.path} leads nowhere: it is null")
    try:
        pointer_in(content)
    except DecodeError:
        kind = content.type.name
        raise UsageError(f"{value.path} is no pointer: it is a {kind}") from None
    return raw_pointer(content)


def keys_of(value: Value, limit: int) -> list[str]:
    """The first indices, or keys, that lead on from a collection; raises UsageError for others."""
    _, found = _collection(value)
    if found.kind != "map":
        return [str(i) for i in range(min(found.length, limit))]
    keys = []
    for known, _ in found.walk():
        shown = None if known is None else _key_of(known)
        if shown is not None:
            keys.append(_quoted(shown))
        if len(keys) >= limit:
            break
    return keys
