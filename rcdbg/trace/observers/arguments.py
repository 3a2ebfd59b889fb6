"""What a function is called with and what it returns, typed: registers, the ABI and the DWARF.

Source: RISC-V calling conventions (psABI, chapter "Integer calling convention") for a0 to a7 and
the stack behind them. What rustc lays out as one or two scalars is passed in a register each
(rustc_abi, `BackendRepr::Scalar` and `ScalarPair`), other values of up to 8 bytes in one register,
and larger ones by reference. Which of the two a struct of two words is, its shape does not tell:
`Function.by_reference` does.
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
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Space, Value

WORD = 8
_A0, _REGISTERS, _SP = 10, 8, 2
_MADE_UP = 0x4000_0000_0000_0000
"""Where values out of registers pretend to lie: no virtual address of Sv39, Sv48 or Sv57."""

_TEXTS = ("&str", "String", "&mut str")

Scalars = tuple[tuple[int, int], ...]
"""Offset and size in bytes of each."""

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class CallArgument:
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
    return ((0, size),) if size <= WORD else None


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function is called: for each parameter its name, its type, and its `parts`.

    `hidden` tells that the result is written to where a first argument, not in the source, says.
    """

    parameters: tuple[tuple[str, TypeId, Scalars | None], ...]
    result: TypeId
    hidden: bool


def signature(function: Function, types: TypeTable) -> Signature:
    """How `function` is called, as far as its types tell."""
    return Signature(
        tuple(
            (name, type_id, _spread(function, types, position, type_id))
            for position, (name, type_id) in enumerate(function.parameters)
        ),
        function.result,
        parts(types, function.result) is None,
    )


def _spread(function: Function, types: TypeTable, position: int, type_id: TypeId) -> Scalars | None:
    # A struct of #[repr(C)] structs is no pair of scalars. Its shape is that of one, and only the
    # place that the debug info gives for it tells that its address is passed.
    if position in function.by_reference and types.type(type_id).size > WORD:
        return None
    return parts(types, type_id)


def arguments(
    how: Signature, types: TypeTable, x: Sequence[int], read: Read
) -> tuple[CallArgument, ...]:
    """The arguments at the entry of a function, where the registers are `x`.

    `read` reads virtual memory: arguments on the stack, and later what values refer to.
    """
    used = 1 if how.hidden else 0
    found = []
    for position, (name, type_id, spread) in enumerate(how.parameters):
        words = 1 if spread is None else len(spread)
        try:
            values = [_word(x, read, used + number) for number in range(words)]
            value = _value(types, read, position, name, type_id, spread, values)
            found.append(CallArgument(name, value))
        except MemoryReadError as error:
            found.append(CallArgument(name, None, str(error)))
        used += words
    return tuple(found)


def returned(
    how: Signature, types: TypeTable, x: Sequence[int], read: Read, entry_a0: int
) -> Value:
    """What a function has returned, right behind its call; `entry_a0` is a0 at its entry."""
    if how.hidden:
        return Value(Space(types, read), how.result, entry_a0, "result")
    spread = parts(types, how.result)
    values = x[_A0 : _A0 + len(spread or ())]
    return _value(types, read, 0, "result", how.result, spread, values)


def in_registers(function: Function, types: TypeTable) -> bool:
    """Whether the function's result comes back in registers."""
    return parts(types, function.result) is not None


def needs_memory(function: Function, types: TypeTable) -> bool:
    """Whether an argument is shown from memory: one on the stack or by reference, or a text."""
    how = signature(function, types)
    used = 1 if how.hidden else 0
    for _, type_id, spread in how.parameters:
        kind = types.type(type_id)
        used += 1 if spread is None else len(spread)
        is_text = isinstance(kind, StructType) and base_name(kind) in _TEXTS
        if spread is None or used > _REGISTERS or is_text:
            return True
    return False


def _word(x: Sequence[int], read: Read, number: int) -> int:
    if number < _REGISTERS:
        return x[_A0 + number]
    return int.from_bytes(read(x[_SP] + (number - _REGISTERS) * WORD, WORD), "little")


def _value(
    types: TypeTable,
    read: Read,
    position: int,
    name: str,
    type_id: TypeId,
    spread: Scalars | None,
    words: Sequence[int],
) -> Value:
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
    inside: list[Scalars] = []
    for variant in kind.variants:
        found = _scalars(types, variant.body.type, depth + 1)
        if found is None:
            return None
        inside.append(tuple((variant.body.offset + at, size) for at, size in found))
    tag = kind.discriminant
    if tag is None:
        return inside[0] if inside else ()
    filled = [scalars for scalars in inside if scalars]
    if any(not variant.discriminants for variant in kind.variants):
        # The tag is a niche of one variant: it all is that variant, if the others hold nothing.
        return filled[0] if len(filled) == 1 else None
    place = (tag.offset, types.type(tag.type).size)
    if not filled:
        return (place,)
    same = len(set(filled)) == 1 and len(filled[0]) == 1
    return (place, filled[0][0]) if same else None


def number_in(value: Value) -> int:
    """The one number that an argument is, or that it points to; raises DecodeError."""
    kind = value.type
    if isinstance(kind, PointerType):
        return value.at(kind.target, value.scalar(), value.path).scalar()
    return value.scalar()


def named(found: Sequence[CallArgument], position: int) -> Value:
    """The argument at that position; raises DecodeError if it cannot be had."""
    if position >= len(found):
        raise DecodeError("argument", f"there is no argument {position}")
    value = found[position].value
    if value is None:
        raise DecodeError(found[position].name, found[position].why)
    return value
