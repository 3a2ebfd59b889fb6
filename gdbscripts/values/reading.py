"""gdb's values of Rust types, looked through as the model looks through its own.

Nothing is trusted: what memory decides (which variant, which pointer) is gone through a bounded
number of times, and what cannot be read is a gdb.error for the caller.
"""

from collections import deque
from collections.abc import Iterator

import gdb

MAX_DEPTH = 12
"""Wrappers around wrappers that are looked through."""
MAX_VISITS = 512
"""Fields that one search looks at."""
MAX_TEXT = 256
"""Characters of a name."""

_MASK64 = (1 << 64) - 1
_NUMBERS = (
    gdb.TYPE_CODE_INT,
    gdb.TYPE_CODE_BOOL,
    gdb.TYPE_CODE_CHAR,
    gdb.TYPE_CODE_ENUM,
    gdb.TYPE_CODE_PTR,
    gdb.TYPE_CODE_REF,
)
_POINTERS = (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF)
_STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
_OWNERS = ("Arc", "Rc", "Box")
"""Pointers that hold what they point to, as a wrapper does."""


def base_name(kind: gdb.Type) -> str:
    """The last segment of a type's path, without generic arguments: `Mutex`."""
    name = kind.strip_typedefs().name or ""
    return name.split("<", 1)[0].rsplit("::", 1)[-1]


def fields(value: gdb.Value) -> Iterator[tuple[str, gdb.Value]]:
    """Names and values of a struct's fields that have a size; of an enum, the active variant's."""
    kind = value.type.strip_typedefs()
    if kind.code not in _STRUCTS:
        return
    for field in kind.fields():
        if field.name and not field.artificial and field.type is not None and field.type.sizeof:
            yield field.name, value[field]


def scalar(value: gdb.Value) -> int | None:
    """The one number that a value holds, newtypes and cells looked through; unsigned, or None."""
    for _ in range(MAX_DEPTH):
        if value.type.strip_typedefs().code in _NUMBERS:
            size = value.type.sizeof
            return int(value.cast(_unsigned(size))) & ((1 << 8 * size) - 1)
        inner = [field for _, field in fields(value)]
        if len(inner) != 1:
            return None
        value = inner[0]
    return None


def inside(value: gdb.Value) -> Iterator[gdb.Value]:
    """The value and what is inside it, the outermost first.

    Pointers are followed at the start, and those in an Arc, Rc or Box.
    """
    queue = deque([(_pointee(value, 2), 0, False)])
    seen: set[int] = set()
    for _ in range(MAX_VISITS):
        if not queue:
            return
        current, depth, owned = queue.popleft()
        if current.type.strip_typedefs().code in _POINTERS:
            address = int(current) & _MASK64
            if not owned or address in seen:
                continue
            seen.add(address)
            current, owned = current.dereference(), False
        yield current
        if depth < MAX_DEPTH:
            owned = owned or base_name(current.type) in _OWNERS
            queue.extend((field, depth + 1, owned) for _, field in fields(current))


def dig(value: gdb.Value, name: str) -> gdb.Value | None:
    """The field `name` of the value or of the wrappers inside it, the outermost first, or None."""
    for current in inside(value):
        for known, field in fields(current):
            if known == name:
                return field
    return None


def text(value: gdb.Value) -> str | None:
    """A string literal: of C an array of chars, of Rust (`b"..."`) one of bytes; or None."""
    kind = value.type.strip_typedefs()
    if kind.code not in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRING) or kind.target().sizeof != 1:
        return None
    first, last = kind.range()
    if last - first > MAX_TEXT:
        return None
    if kind.code == gdb.TYPE_CODE_STRING:  # gdb has no subscripts for its own
        value = value.cast(kind.target().array(first, last))
    raw = bytes(int(value[i]) & 0xFF for i in range(first, last + 1))
    return raw.rstrip(b"\0").decode("utf-8", "replace")


def unsigned_64(number: int) -> gdb.Value:
    """An address or a count, whatever gdb's language calls that type."""
    return gdb.Value((number & _MASK64).to_bytes(8, "little"), _unsigned(8))


def _unsigned(size: int) -> gdb.Type:
    return gdb.selected_inferior().architecture().integer_type(8 * size, False)


def _pointee(value: gdb.Value, times: int) -> gdb.Value:
    for _ in range(times):
        if value.type.strip_typedefs().code in _POINTERS:
            value = value.referenced_value()
    return value
