"""What the beginning of a path may become."""

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.types import ArrayType, TypeId
from rcdbg.kernels.paths import Field, Index, parse
from rcdbg.model.kernel import Kernel
from rcdbg.model.values import type_path
from rcdbg.model.values.path import field_names, keys_of, resolve
from rcdbg.model.values.statics import static_named, statics
from rcdbg.model.values.value import DecodeError

_MAX_COMPLETIONS = 200


def complete(image: Image, text: str, kernel: Kernel | None = None) -> list[str]:
    """What `text` may become, as whole paths, sorted: statics, then fields, indices and keys.

    Without a kernel that can be read, types tell the fields and the indices of arrays; what is in
    an enum or behind a trait object, and the other indices and keys, only a kernel tells. Never
    raises.
    """
    stars = text[: len(text) - len(text.lstrip("*("))]
    body = text[len(stars) :]
    cut = _cut(body)
    if cut < 0:
        return [stars + name for name in _static_names(image, body)][:_MAX_COMPLETIONS]
    before, mark, typed = body[:cut], body[cut], body[cut + 1 :]
    try:
        if kernel is None:
            names = (_fields_by_type if mark == "." else _indices_by_type)(image, before)
        else:
            value = resolve(kernel, before)
            names = sorted(field_names(value)) if mark == "." else keys_of(value, _MAX_COMPLETIONS)
    except (UsageError, DecodeError):
        return []
    closing = "]" if mark == "[" else ""
    found = [f"{stars}{before}{mark}{name}{closing}" for name in names if name.startswith(typed)]
    return found[:_MAX_COMPLETIONS]


def needs_kernel(image: Image, text: str) -> bool:
    """Whether only a kernel tells what `text` may become: types alone say nothing of it."""
    body = text.lstrip("*(")
    cut = _cut(body)
    if cut < 0 or complete(image, text):
        return False
    try:
        static_named(image, parse(body[:cut]).static)
    except UsageError:
        return False
    return True


def _cut(body: str) -> int:
    """Where the last `.` or `[` that begins a step is, or -1: those in a key's quotes do not."""
    found, quoted, escaped = -1, False, False
    for at, letter in enumerate(body):
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif not quoted and letter in ".[":
            found = at
    return found


def _indices_by_type(image: Image, text: str) -> list[str]:
    type_id = _type_at(image, text)
    if type_id is None:
        return []
    kind = image.types.type(type_path.inside(image.types, type_id))
    count = kind.count if isinstance(kind, ArrayType) else 0
    return [str(index) for index in range(min(count, _MAX_COMPLETIONS))]


def _fields_by_type(image: Image, text: str) -> list[str]:
    type_id = _type_at(image, text)
    return [] if type_id is None else type_path.fields(image.types, type_id)


def _type_at(image: Image, text: str) -> TypeId | None:
    path = parse(text)
    type_id: TypeId | None = static_named(image, path.static).type
    for step in path.steps:
        if type_id is None:
            return None
        if isinstance(step, Field):
            type_id = type_path.field(image.types, type_id, step.name)
        elif isinstance(step, Index):
            type_id = type_path.element(image.types, type_id)
    return type_id


def _static_names(image: Image, typed: str) -> list[str]:
    """Full paths that start with what was typed, and those of which a later part does."""
    names = [one.name for one in statics(image)]
    full = [name for name in names if name.startswith(typed)]
    if full:
        return full
    ends = []
    for name in names:
        segments = name.split("::")
        for first in range(1, len(segments)):
            end = "::".join(segments[first:])
            if end.startswith(typed):
                ends.append(end)
                break
    return sorted(set(ends))
