"""What a function is called with and what it returns, typed: registers, the ABI and the DWARF.

Source: RISC-V calling conventions (psABI, chapter "Integer calling convention") for a0 to a7 and
the stack behind them; rustc passes what it lays out as one or two scalars in a register each, other
values of up to 16 bytes in registers word by word, and larger ones by reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.image.tables import Function
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
from rcdbg.model.value import MAX_DEPTH, DecodeError, Space, Value

WORD = 8
MAX_BY_VALUE = 2 * WORD
"""Bytes of the largest value that is passed or returned in registers."""

_A0, _REGISTERS, _SP = 10, 8, 2
_MADE_UP = 0x4000_0000_0000_0000
"""Where values out of registers pretend to lie: no virtual address of Sv39, Sv48 or Sv57."""

Scalars = tuple[tuple[int, int], ...]
"""Offset and size in bytes of each."""

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument by its name; `value` is None where it cannot be had, and `why` says why."""

    name: str
    value: Value | None
    why: str = ""


def parts(types: TypeTable, type_id: TypeId) -> Scalars | None:
    """How a value is spread over registers, one part each; None if it is passed by reference."""
    size = types.type(type_id).size
    if size == 0:
        return ()
    scalars = _scalars(types, type_id, 0)
    if scalars is not None and all(width <= WORD for _, width in scalars):
        return scalars
    if size > MAX_BY_VALUE:
        return None
    return tuple((at, min(WORD, size - at)) for at in range(0, size, WORD))


def arguments(
    function: Function, types: TypeTable, x: Sequence[int], read: Read
) -> tuple[Argument, ...]:
    """The arguments at the entry of `function`, where the registers are `x`.

    `read` reads virtual memory: arguments on the stack, and later what values refer to.
    """
    # Results that fit in no registers are written to where a hidden first argument says.
    used = 1 if parts(types, function.result) is None else 0
    found = []
    for position, (name, type_id) in enumerate(function.parameters):
        spread = parts(types, type_id)
        words = 1 if spread is None else len(spread)
        try:
            values = [_word(x, read, used + number) for number in range(words)]
            found.append(Argument(name, _value(types, read, position, name, type_id, values)))
        except MemoryReadError as error:
            found.append(Argument(name, None, str(error)))
        used += words
    return tuple(found)


def returned(
    function: Function, types: TypeTable, x: Sequence[int], read: Read, entry_a0: int
) -> Value:
    """What `function` has returned, right behind its call; `entry_a0` is a0 at its entry."""
    spread = parts(types, function.result)
    if spread is None:
        return Value(Space(types, read), function.result, entry_a0, "result")
    values = [x[_A0 + number] for number in range(len(spread))]
    return _value(types, read, 0, "result", function.result, values)


def in_registers(function: Function, types: TypeTable) -> bool:
    """Whether the function's result comes back in registers."""
    return parts(types, function.result) is not None


def _word(x: Sequence[int], read: Read, number: int) -> int:
    if number < _REGISTERS:
        return x[_A0 + number]
    return int.from_bytes(read(x[_SP] + (number - _REGISTERS) * WORD, WORD), "little")


def _value(
    types: TypeTable, read: Read, position: int, name: str, type_id: TypeId, words: Sequence[int]
) -> Value:
    spread = parts(types, type_id)
    if spread is None:
        return Value(Space(types, read), type_id, words[0], name)
    data = bytearray(types.type(type_id).size)
    for (at, width), word in zip(spread, words, strict=True):
        data[at : at + width] = (word & (1 << 64) - 1).to_bytes(WORD, "little")[:width]
    start = _MADE_UP + position * 4096
    held = bytes(data)

    def look(address: int, size: int) -> bytes:
        offset = address - start
        if 0 <= offset <= len(held):
            if offset + size > len(held):
                raise MemoryReadError(address, size, "behind the end of a value")
            return held[offset : offset + size]
        return read(address, size)

    return Value(Space(types, look), type_id, start, name)


def _scalars(types: TypeTable, type_id: TypeId, depth: int) -> Scalars | None:
    """The one or two scalars that the compiler takes a type for; None if it does not."""
    kind = types.type(type_id)
    if depth > MAX_DEPTH:
        return None
    if isinstance(kind, BaseType | PointerType | CEnumType):
        return ((0, kind.size),)
    if isinstance(kind, StructType):
        inner: list[tuple[int, int]] = []
        filled = [m for m in kind.members if types.type(m.type).size]
        for member in filled:
            found = _scalars(types, member.type, depth + 1)
            if found is None or (len(filled) > 1 and len(found) != 1):
                return None
            inner += [(member.offset + at, size) for at, size in found]
        return tuple(sorted(inner)) if len(inner) <= 2 else None
    if isinstance(kind, UnionType):
        every = {
            _scalars(types, m.type, depth + 1) for m in kind.members if types.type(m.type).size
        }
        return every.pop() if len(every) == 1 else None
    if isinstance(kind, EnumType):
        return _of_enum(types, kind, depth)
    return None


def _of_enum(types: TypeTable, kind: EnumType, depth: int) -> Scalars | None:
    places: set[tuple[int, int]] = set()
    if kind.discriminant is not None:
        places.add((kind.discriminant.offset, types.type(kind.discriminant.type).size))
    for variant in kind.variants:
        if types.type(variant.body.type).size:
            found = _scalars(types, variant.body.type, depth + 1)
            if found is None:
                return None
            places.update((variant.body.offset + at, size) for at, size in found)
    ordered = sorted(places)
    if len(ordered) > 2:
        return None
    if len(ordered) == 2 and sum(ordered[0]) > ordered[1][0]:
        return None
    return tuple(ordered)


def number_in(value: Value) -> int:
    """The one number that an argument is, or that it points to; raises DecodeError."""
    kind = value.type
    if isinstance(kind, PointerType):
        return value.at(kind.target, value.scalar(), value.path).scalar()
    return value.scalar()


def named(found: Sequence[Argument], position: int) -> Value:
    """The argument at that position; raises DecodeError if it cannot be had."""
    if position >= len(found):
        raise DecodeError("argument", f"there is no argument {position}")
    value = found[position].value
    if value is None:
        raise DecodeError(found[position].name, found[position].why)
    return value
