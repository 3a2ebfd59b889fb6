"""A typed value as something that JSON knows: for the arguments of a function in an event."""

from collections.abc import Callable

from rcdbg.image.types import (
    ArrayType,
    BaseType,
    CEnumType,
    EnumType,
    PointerType,
    StructType,
)
from rcdbg.model.values.containers import base_name, unwrap
from rcdbg.model.values.contents import contents
from rcdbg.model.values.value import DecodeError, Value

MAX_TEXT = 256
"""Bytes of a text that are shown."""

MAX_ELEMENTS = 16
"""Elements of an array that are shown."""

_DEPTH = 4

Plain = int | float | bool | str | None | list["Plain"] | dict[str, "Plain"]
Symbol = Callable[[int], str | None]


def plain(value: Value, symbol: Symbol, depth: int = _DEPTH) -> Plain:
    """Numbers and texts as such, structs and enums by the names of their parts.

    Pointers are hexadecimal texts with the symbol that they point at; they are not followed, but
    for texts. Newtypes are what they hold. Raises DecodeError where the value makes no sense.
    """
    value = unwrap(value)
    kind = value.type
    if kind.size == 0 or depth < 0:
        return f"{kind.name}" if kind.size else None
    if isinstance(kind, PointerType):
        address = value.scalar()
        name = symbol(address)
        return f"{address:#x} <{name}>" if name else f"{address:#x}"
    if isinstance(kind, BaseType):
        return _base(value, kind)
    if isinstance(kind, CEnumType):
        number = value.scalar()
        return next((name for name, n in kind.enumerators if n == number), f"{number:#x}?")
    if isinstance(kind, EnumType):
        name, held = value.variant()
        fields = _fields(held, symbol, depth)
        return {name: fields} if fields is not None else name
    if isinstance(kind, ArrayType):
        if kind.count > MAX_ELEMENTS:
            return f"{kind.name}"
        return [plain(value.element(i), symbol, depth - 1) for i in range(kind.count)]
    if not isinstance(kind, StructType):
        return f"{kind.name}"
    return _struct(value, kind, symbol, depth)


def _base(value: Value, kind: BaseType) -> Plain:
    number = value.scalar()
    if kind.encoding == "bool":
        return bool(number) if number in (0, 1) else f"{number:#x}?"
    if kind.encoding == "char":
        good = number < 0x11_0000 and not 0xD800 <= number < 0xE000
        return chr(number) if good else f"{number:#x}?"
    return number


def _struct(value: Value, kind: StructType, symbol: Symbol, depth: int) -> Plain:
    held = contents(value)
    if held is not None:
        if held.kind == "text" and held.span is not None:
            data = value.read(held.span.address, min(held.length, MAX_TEXT)) if held.length else b""
            more = "..." if held.length > MAX_TEXT else ""
            return data.decode("utf-8", "replace") + more
        return f"{base_name(kind)} of {held.length}"
    return _fields(value, symbol, depth)


def _fields(value: Value, symbol: Symbol, depth: int) -> Plain:
    """The parts of a struct by name; just the part where there is only one; None for none."""
    kind = value.type
    if not isinstance(kind, StructType):
        return plain(value, symbol, depth - 1)
    fields = [f for f in value.fields() if f.type.size]
    if not fields:
        return None
    if len(fields) == 1:
        return plain(fields[0], symbol, depth)
    names = [m.name for m in kind.members if value[m.name].type.size]
    found: dict[str, Plain] = {}
    for name, field in zip(names, fields, strict=True):
        try:
            found[name.removeprefix("__")] = plain(field, symbol, depth - 1)
        except DecodeError as error:
            found[name.removeprefix("__")] = f"? ({error.problem.why})"
    return found
