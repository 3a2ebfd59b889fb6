"""Pointers to whole pages in a kernel's statics: who has a page where no type owns one, as in C.

Only what lies in the statics themselves counts; nothing is followed.
"""

import struct
from collections.abc import Iterator

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import MAX_READ
from rcdbg.image.types import ArrayType, PointerType, StructType, TypeId, TypeTable
from rcdbg.model.by_types import by_types
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import kernel_memory
from rcdbg.model.state import Problem
from rcdbg.model.values.reach import Found, Reached
from rcdbg.model.values.statics import short_name
from rcdbg.model.values.value import MAX_DEPTH, Value
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE

MAX_POINTERS = 1 << 16
"""Pointers that are looked at in all statics together."""

_WORD = struct.Struct("<Q")


def pages_pointed_to(kernel: Kernel) -> Reached:
    """The frames of the pages that pointers in statics point to the start of; never fails."""
    types = kernel.image.types
    found: list[Found] = []
    problems: list[Problem] = []
    memory, left = kernel_memory(kernel), MAX_POINTERS
    for static in types.statics():
        places = _pointers_in(types, static.type)
        if not places:
            continue
        if len(places) > left or types.type(static.type).size > MAX_READ:
            problems.append(Problem(static.path, "too large to look for pointers in"))
            continue
        left -= len(places)
        value = Value(kernel.space, static.type, static.address, short_name(static))
        try:
            data = memory.read(value.address, value.type.size)
        except MemoryReadError as error:
            problems.append(Problem(value.path, str(error)))
            continue
        for offset, path in places:
            (address,) = _WORD.unpack_from(data, offset)
            frame = None if not address or address % PAGE_SIZE else _frame(kernel, address)
            if frame is not None:
                found.append(Found(frame, value.address + offset, value.path + path, None, None))
    return Reached(tuple(found), (), tuple(problems), not problems)


def _frame(kernel: Kernel, address: int) -> int | None:
    try:
        return kernel_memory(kernel).physical(address) >> PAGE_SHIFT
    except MemoryReadError:
        return None


def _pointers_in(types: TypeTable, type_id: TypeId) -> tuple[tuple[int, str], ...]:
    return by_types(types, ("pointers", type_id), lambda: _places(types, type_id))


def _places(types: TypeTable, type_id: TypeId) -> tuple[tuple[int, str], ...]:
    """Where in a value of a type pointers lie, and how one writes that; one too many at most."""
    found: list[tuple[int, str]] = []
    for place in _pointers(types, type_id, 0, "", 0):
        found.append(place)
        if len(found) > MAX_POINTERS:
            break
    return tuple(found)


def _pointers(
    types: TypeTable, type_id: TypeId, offset: int, path: str, depth: int
) -> Iterator[tuple[int, str]]:
    kind = types.type(type_id)
    if isinstance(kind, PointerType):
        if kind.size == _WORD.size:
            yield offset, path
    elif depth == MAX_DEPTH or not _has_pointer(types, type_id):
        return
    elif isinstance(kind, ArrayType):
        size = types.type(kind.element).size
        for number in range(kind.count):
            at = offset + number * size
            yield from _pointers(types, kind.element, at, f"{path}[{number}]", depth + 1)
    elif isinstance(kind, StructType):
        for member in kind.members:
            inner = f"{path}.{member.name}"
            yield from _pointers(types, member.type, offset + member.offset, inner, depth + 1)


def _has_pointer(types: TypeTable, type_id: TypeId, depth: int = 0) -> bool:
    """Whether there is one in it: else a large array of numbers were gone through."""

    def search() -> bool:
        kind = types.type(type_id)
        if isinstance(kind, PointerType):
            return True
        if depth == MAX_DEPTH:
            return False
        if isinstance(kind, ArrayType):
            return kind.count > 0 and _has_pointer(types, kind.element, depth + 1)
        if isinstance(kind, StructType):
            return any(_has_pointer(types, member.type, depth + 1) for member in kind.members)
        return False

    return by_types(types, ("has a pointer", type_id), search)
