"""Which system calls a kernel knows: by its own functions where they tell, else by its family."""

from collections.abc import Iterable, Mapping

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image
from rcdbg.image.symbols import simplified
from rcdbg.image.tables import Function
from rcdbg.image.types import ArrayType, BaseType, PointerType, TypeId, TypeTable
from rcdbg.kernels.calls import MAX_ARGUMENTS, Parameter, SyscallShape, described_calls
from rcdbg.kernels.description import Description, Names
from rcdbg.model.by_types import by_types
from rcdbg.model.values.statics import static_named

_WORD = 8
_MAX_NUMBERS = 4096
_LENGTHS = frozenset({"len", "length", "count", "size", "n"})
"""What the parameter is called that tells how many bytes the one before it points to."""


def system_calls(image: Image, description: Description) -> Mapping[int, SyscallShape]:
    """The system calls by number; those of the family where the kernel's functions do not tell.

    The kernel's functions have the names and the widths of the parameters as its author meant
    them, the family what is read and what is written through them.
    """
    names = description.syscalls
    if not image.has_debug_info:
        return described_calls(names)
    return by_types(image.types, ("system calls", names), lambda: _system_calls(image, description))


def _system_calls(image: Image, description: Description) -> Mapping[int, SyscallShape]:
    names = description.syscalls
    told = dict(described_calls(names))
    try:
        own = _functions(image, names.prefix)
        by_name = {signature.name: signature for signature in told.values()}
        for number, name in _numbered(image, description).items():
            told[number] = by_name.get(name, SyscallShape(name, ()))
        for number, signature in told.items():
            function = own.get(signature.name)
            if function is not None and function.parameters:
                told[number] = _merged(image.types, function, signature)
            elif function is not None and _says_none(names, function):
                told[number] = SyscallShape(signature.name, ())
    except ImageError:
        pass  # damaged debug info: the family's own have to do
    return told


def _says_none(names: object, function: Function) -> bool:
    """Whether a function without parameters means a call without: in C they take none at all."""
    return "::" in function.path


def _functions(image: Image, prefixes: Names) -> dict[str, Function]:
    """The functions whose names begin so, by what follows."""
    found: dict[str, Function] = {}
    for function in image.functions if prefixes else ():
        last = simplified(function.path).rsplit("::", 1)[-1]
        for prefix in prefixes:
            if last.startswith(prefix):
                found.setdefault(last.removeprefix(prefix), function)
    return found


def _numbered(image: Image, description: Description) -> dict[int, str]:
    """The names by number, where a static lists the functions that handle the calls."""
    names = description.syscalls
    for static_name, _ in names.functions.each:
        try:
            static = static_named(image, static_name)
        except UsageError:
            continue
        kind = image.types.type(static.type)
        if isinstance(kind, ArrayType) and isinstance(image.types.type(kind.element), PointerType):
            count = min(kind.count, _MAX_NUMBERS)
            return dict(_listed(image, static.address, count, names.prefix))
    return {}


def _listed(image: Image, start: int, count: int, prefixes: Names) -> Iterable[tuple[int, str]]:
    for number in range(count):
        word = image.read(start + number * _WORD, _WORD)
        at = None if word is None else image.symbols.at(int.from_bytes(word, "little"))
        if at is None or at[1]:
            continue
        name = at[0].rsplit("::", 1)[-1]
        prefix = next((p for p in prefixes if name.startswith(p)), "")
        yield number, name.removeprefix(prefix)


def _merged(types: TypeTable, function: Function, told: SyscallShape) -> SyscallShape:
    """The call as its function has it, with what the family says of each pointer."""
    own = [(name, type_id) for name, type_id in function.parameters if name != "self"]
    names = [name for name, _ in own]
    parameters = []
    for position, (name, type_id) in enumerate(own[:MAX_ARGUMENTS]):
        known = told.parameters[position] if position < len(told.parameters) else None
        kind, length, bits = _by_type(types, type_id, names[position + 1 : position + 2])
        if known is not None and known.length:
            # What tells the length stands at the same place there.
            at = [p.name for p in told.parameters].index(known.length)
            if at < len(names):
                kind, length = known.kind, names[at]
        elif known is not None and known.kind != "number":
            kind = known.kind
        parameters.append(Parameter(name, kind, length, bits))
    return SyscallShape(told.name, tuple(parameters))


def _by_type(types: TypeTable, type_id: TypeId, following: list[str]) -> tuple[str, str, int]:
    """Kind, length and bits of a parameter by its type, and by what follows it."""
    kind = types.type(type_id)
    if isinstance(kind, PointerType):
        target = types.type(kind.target)
        if isinstance(target, BaseType) and target.size == 1:
            length = next((name for name in following if name in _LENGTHS), "")
            return ("in", length, 64) if length else ("text", "", 64)
        return "pointer", "", 64
    bits = 8 * kind.size if isinstance(kind, BaseType) and 0 < kind.size < _WORD else 64
    is_signed = isinstance(kind, BaseType) and kind.encoding == "signed"
    return "signed" if is_signed else "number", "", bits
