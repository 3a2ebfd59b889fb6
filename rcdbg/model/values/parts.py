"""The parts of values, by the ways that a description gives; see `rcdbg.model.values.ways`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.image.types import TypeId, TypeTable
from rcdbg.kernels.description import NO_NAMES, Keys, Names, Paths
from rcdbg.model.values.contents import contents
from rcdbg.model.values.hops import All, Ask, Counted, Hop, Lock, Shift
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.model.values.ways import Way, way, way_to_struct
from rcdbg.riscv.registers import MASK64

_WORD = 8
_INITIALISED = 2
"""spin::once::Status::Complete."""


@dataclass(frozen=True, slots=True)
class FoundPart:
    """What a way led to; `value` is None where an Option is empty, or nothing initialised."""

    value: Value | None
    locked: bool | None
    """Whether the innermost lock on the way is held; None without a lock."""


def has(value: Value, paths: Paths) -> bool:
    """Whether values of that type have one of these parts; nothing is read."""
    return way(value.space.types, value.type_id, paths, NO_NAMES) is not None


def is_optional(value: Value, paths: Paths) -> bool:
    """Whether the part may be missing, as in an Option, by its type; nothing is read."""
    found = way(value.space.types, value.type_id, paths, NO_NAMES)
    return found is not None and any(isinstance(hop, Ask) for hop in found.hops)


def find(value: Value, paths: Paths, stop: Names = NO_NAMES) -> FoundPart:
    """What lies at the first of these paths that the type has, without the wrappers around it.

    Structs called `stop` are no wrappers, even if they have a single field. Raises DecodeError
    where the type has none of the paths, or memory on the way is nonsense.
    """
    chosen = _demand(value, paths, stop)
    return _follow(value, chosen.hops, value.path + chosen.text)


def part(value: Value, paths: Paths, stop: Names = NO_NAMES) -> Value:
    """The same where something has to be: raises DecodeError also where there is nothing."""
    chosen = _demand(value, paths, stop)
    path = value.path + chosen.text
    found = _follow(value, chosen.hops, path).value
    if found is None:
        raise DecodeError(path, "there is nothing now")
    return found


def number(value: Value, paths: Paths) -> int:
    """The number that lies there; raises DecodeError."""
    chosen = _demand(value, paths, NO_NAMES)
    if chosen.number is None:
        return part(value, paths).scalar()
    hops, path = chosen.hops, value.path + chosen.text
    address = value.address
    if len(hops) == 1 and type(hops[0]) is Shift:
        address = value.address + hops[0].offset
    elif hops:
        found = _follow(value, hops, path).value
        if found is None:
            raise DecodeError(path, "there is nothing now")
        address = found.address
    data = _read(value, address + chosen.number.offset, chosen.number.size, path)
    return int.from_bytes(data, "little", signed=chosen.number.signed)


def numbers(value: Value, keys: Keys) -> tuple[int, ...]:
    """The numbers of those parts that the type has; raises DecodeError where one is none."""
    return tuple(number(value, paths) for paths in keys.each if has(value, paths))


def parts(value: Value, paths: Paths, stop: Names = NO_NAMES) -> Iterator[Value]:
    """All values at the first of these paths that the type has: `[*]` means each element.

    Empty Options are left out. Raises DecodeError as `find`; where a collection is broken, after
    its elements up to there.
    """
    chosen = _demand(value, paths, stop)
    yield from _spread(value, chosen.hops)


def struct_inside(value: Value, names: Names) -> FoundPart:
    """The struct with one of these names in a value, within wrappers; raises DecodeError."""
    chosen = way_to_struct(value.space.types, value.type_id, names)
    if chosen is None:
        raise DecodeError(value.path, f"no {names.first} in {value.type.name}")
    return _follow(value, chosen.hops, value.path)


def has_struct_inside(types: TypeTable, type_id: TypeId, names: Names) -> bool:
    """Whether values of that type have such a struct inside; nothing is read."""
    return way_to_struct(types, type_id, names) is not None


def _demand(value: Value, paths: Paths, stop: Names) -> Way:
    chosen = way(value.space.types, value.type_id, paths, stop)
    if chosen is None:
        kind = value.type.name
        why = f"{kind} has no {paths.first}" if paths else f"no part of {kind} is known"
        raise DecodeError(value.path, why)
    return chosen


def _follow(value: Value, hops: Sequence[Hop], path: str) -> FoundPart:
    locked: bool | None = None
    type_id, address = value.type_id, value.address
    for hop in hops:
        if isinstance(hop, Shift):
            type_id, address = hop.type, address + hop.offset
        elif isinstance(hop, Counted):
            inner_address = _counted(value, hop, address, path)
            if inner_address is None:
                return FoundPart(None, locked)
            type_id, address = hop.type, inner_address
        elif isinstance(hop, Ask):
            inner = hop.find(value.at(type_id, address, path))
            if inner is None:
                return FoundPart(None, locked)
            type_id, address = inner.type_id, inner.address
        elif isinstance(hop, All):
            raise DecodeError(path, "this means many values")
        else:
            flag = _word(value, address + hop.offset, hop.size, path)
            if isinstance(hop, Lock):
                locked = flag != 0
            elif flag != _INITIALISED:
                return FoundPart(None, locked)
    return FoundPart(value.at(type_id, address, path), locked)


def _counted(value: Value, hop: Counted, address: int, path: str) -> int | None:
    """Where what an Arc or Rc counts lies; raises DecodeError for a count that cannot be.

    None of a Weak to what was dropped, or to nothing.
    """
    inner = _word(value, address + hop.pointer, _WORD, path)
    if hop.is_weak and (inner == MASK64 or not _word(value, inner + hop.strong, _WORD, path)):
        return None
    if not inner:
        raise DecodeError(path, "a null Arc")
    strong = _word(value, inner + hop.strong, _WORD, path)
    if not 0 < strong < 1 << 63:
        raise DecodeError(path, f"an Arc at {inner:#x} with a strong count of {strong}")
    return inner + hop.data


def _word(value: Value, address: int, size: int, path: str) -> int:
    return int.from_bytes(_read(value, address, size, path), "little")


def _read(value: Value, address: int, size: int, path: str) -> bytes:
    try:
        return value.space.read(address, size)
    except MemoryReadError as error:
        raise DecodeError(path, str(error)) from error


def _spread(value: Value, hops: Sequence[Hop]) -> Iterator[Value]:
    for position, hop in enumerate(hops):
        if isinstance(hop, All):
            path = value.path + hop.text
            holder = _follow(value, hops[:position], path).value
            found = None if holder is None else contents(holder)
            if found is not None:
                for place, (_, item) in enumerate(found.walk()):
                    here = item.at(item.type_id, item.address, f"{path}[{place}]")
                    yield from _spread(here, hops[position + 1 :])
            return
    last = _follow(value, hops, value.path).value
    if last is not None:
        yield last
