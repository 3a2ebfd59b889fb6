"""An access through a null pointer: which field of which struct it may have been."""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.types import PointerType, StructType, TypeId
from rcdbg.model.faults.instruction import TrappedInstruction
from rcdbg.model.faults.moment import FaultMoment
from rcdbg.model.kernel import Kernel
from rcdbg.riscv.pages import PAGE_SIZE

_TOP = 1 << 64
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class FieldOfNothing:
    """A field whose address was computed from a pointer that led nowhere."""

    type: str
    field: str
    base: int
    """What the pointer held."""


def field_of_nothing(
    kernel: Kernel, moment: FaultMoment, found: TrappedInstruction | None
) -> FieldOfNothing | None:
    """The field that an access near 0 was to, if the function's parameters leave only one.

    The register that the address comes from has to be near 0 too. Only the kernel's own functions
    are looked at.
    """
    if found is None or not found.values or moment.privilege == "U":
        return None
    memory = found.decoded.memory
    (_, base), *_ = found.values
    if memory is None or memory.offset < 0 or base >= PAGE_SIZE:
        return None
    function = kernel.image.functions.at(kernel.linked(moment.sepc.address))
    if function is None:
        return None
    types = kernel.image.types
    candidates = set()
    for _, type_id in function.parameters:
        kind = types.type(type_id)
        if isinstance(kind, PointerType):
            target = types.type(kind.target)
            for name in _fields_at(kernel, kind.target, memory.offset, memory.width):
                candidates.add((target.name, name))
    if len(candidates) != 1:
        return None
    (name, field), *_ = candidates
    return FieldOfNothing(name, field, base)


def _fields_at(kernel: Kernel, type_id: TypeId, offset: int, width: int) -> Iterator[str]:
    """The path of the innermost field of that struct with that offset, if its size fits."""
    path: list[str] = []
    for _ in range(_DEPTH):
        kind = kernel.image.types.type(type_id)
        if not isinstance(kind, StructType):
            break
        inside = [m for m in kind.members if m.offset <= offset]
        for member in sorted(inside, key=lambda m: -m.offset):
            size = kernel.image.types.type(member.type).size
            if offset < member.offset + size:
                path.append(member.name)
                offset, type_id = offset - member.offset, member.type
                break
        else:
            return
        if not offset and kernel.image.types.type(type_id).size <= width:
            break
    if path and not offset:
        yield ".".join(path)
