"""Paths such as `PROCESSOR.scheduler.pool[2].id`: parsed, resolved, completed.

A path starts with a static: its full path, the end of it, or some of its modules and its name
(`os::process::PROCESSOR` also finds `os::process::processor::PROCESSOR`). A lazy_static's name
means its data. Then follow `.field`, `.0`, `[index]` or `[key]`; `*` in front follows a pointer.
Wrappers (Arc, Box, Lock, Option, cells, ...) are looked through; where a wrapper and what is in it
have a field of the same name, it is the one inside, as in Rust, unless the wrapper is the kernel's
own newtype.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.types import (
    ArrayType,
    EnumType,
    PointerType,
    Static,
    StructType,
    TypeId,
    TypeTable,
    UnionType,
)
from rcdbg.model.kernel import Kernel
from rcdbg.model.values import type_path
from rcdbg.model.values.containers import pointer_in
from rcdbg.model.values.contents import Contents, contents
from rcdbg.model.values.inspect import Limits, inspect, raw_pointer
from rcdbg.model.values.value import DecodeError, Space, Value
from rcdbg.model.values.wrappers import Layer, layers

_MAX_OFFERED = 8
_MAX_COMPLETIONS = 200
_LAZY = re.compile(r"<(?P<handle>.+) as core::ops::deref::Deref>::deref::.*LAZY$")
_TOKENS = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)|(?P<number>-?(?:0x[0-9a-fA-F_]+|[0-9][0-9_]*))
    |(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[.\[\]*()]))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Field:
    """`.name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`[2]`, `["key"]`, `[Variant]`"""

    key: int | str


@dataclass(frozen=True, slots=True)
class Deref:
    """`*` in front of what comes before."""


Step = Field | Index | Deref


@dataclass(frozen=True, slots=True)
class Path:
    """A static's name as typed, and the steps from it, in order."""

    static: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class NamedStatic:
    """A static under the name that the source gives it; a lazy_static's is that of its data."""

    name: str
    static: Static


def parse(text: str) -> Path:
    """The path that the text is; raises UsageError where it is none."""
    tokens = list(_tokenise(text))
    parser = _Parser(text, tokens)
    path = parser.path()
    parser.end()
    return path


def _tokenise(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKENS.match(text, at)
        if found is None:
            raise UsageError(f"{text!r}: {text[at:].lstrip()[:1]!r} has no place in a path")
        group = found.lastgroup or ""
        yield group, found[group], found.start(group)
        at = found.end()


class _Parser:
    def __init__(self, text: str, tokens: list[tuple[str, str, int]]) -> None:
        self._text, self._tokens, self._at = text, tokens, 0

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            return "end", ""
        kind, word, _ = self._tokens[self._at]
        self._at += 1
        return kind, word

    def _take(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][:2] == ("mark", mark):
            self._at += 1
            return True
        return False

    def _refuse(self, why: str) -> UsageError:
        return UsageError(f"{self._text!r}: {why}; a path is like PROCESSOR.scheduler.pool[2].id")

    def path(self, depth: int = 0) -> Path:
        if depth > 32:
            raise self._refuse("too many brackets")
        stars = 0
        while self._take("*"):
            stars += 1
        if self._take("("):
            inner = self.path(depth + 1)
            if not self._take(")"):
                raise self._refuse("a ( without its )")
            static, steps = inner.static, list(inner.steps)
        else:
            kind, static = self._next()
            if kind != "name":
                raise self._refuse("it should start with the name of a static")
            steps = []
        while True:
            if self._take("."):
                kind, word = self._next()
                if kind == "number" and word.isdigit():
                    word = f"__{int(word)}"
                elif kind != "name" or "::" in word:
                    raise self._refuse("after a . comes the name of a field")
                steps.append(Field(word))
            elif self._take("["):
                steps.append(Index(self._key(*self._next())))
                if not self._take("]"):
                    raise self._refuse("a [ without its ]")
            else:
                break
        return Path(static, (*steps, *[Deref()] * stars))

    def _key(self, kind: str, word: str) -> int | str:
        if kind == "number":
            return int(word.replace("_", ""), 0)
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", word[1:-1])
        if kind == "name":
            return word
        raise self._refuse("between [ and ] comes a number or a key")

    def end(self) -> None:
        """Raises UsageError unless everything was read."""
        if self._at < len(self._tokens):
            raise self._refuse(f"{self._tokens[self._at][1]!r} has no place there")


@lru_cache(maxsize=8)
def statics(image: Image) -> tuple[NamedStatic, ...]:
    """All statics, by the names that the source gives them, sorted."""
    return named_statics(image.types)


def named_statics(types: TypeTable) -> tuple[NamedStatic, ...]:
    """The same of any table of types."""
    found: dict[tuple[str, int], NamedStatic] = {}
    lazies: set[str] = set()
    for static in types.statics():
        lazy = _LAZY.match(static.path)
        name = lazy["handle"] if lazy else static.path
        if lazy:
            lazies.add(name)
        found.setdefault((name, static.address), NamedStatic(name, static))
    kept = [s for s in found.values() if s.name not in lazies or types.type(s.static.type).size]
    return tuple(sorted(kept, key=lambda s: s.name))


def static_named(image: Image, name: str) -> Static:
    """The one static that `name` means; raises UsageError, also for one that was optimised out."""
    typed = name.split("::")
    try:
        return find_static(statics(image), name)
    except UsageError:
        for path in image.types.lost_statics():
            segments = path.split("::")
            if segments[-1] == typed[-1] and _in_order(typed, segments):
                why = "optimised out: its value is where it is used, and not in memory"
                raise UsageError(f"{path} is {why}") from None
        raise


def find_static(known: Iterable[NamedStatic], name: str) -> Static:
    """The one static that `name` means; raises UsageError with near names, or with all of them."""
    known = tuple(known)
    typed = name.split("::")
    ranks: dict[int, list[NamedStatic]] = {}
    for one in known:
        segments = one.name.split("::")
        if segments == typed:
            ranks.setdefault(0, []).append(one)
        elif segments[-len(typed) :] == typed:
            ranks.setdefault(1, []).append(one)
        elif segments[-1] == typed[-1] and _in_order(typed, segments):
            ranks.setdefault(2, []).append(one)
    if not ranks:
        raise UsageError(f"the kernel has no static {name!r}{_near(name, known)}")
    best = ranks[min(ranks)]
    if len(best) > 1 and len({one.static.address for one in best}) > 1:
        raise UsageError(f"{name} may be {_listed([one.name for one in best])}: say which")
    return best[0].static


def _in_order(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(word in rest for word in few)


def _near(name: str, known: Iterable[NamedStatic]) -> str:
    names = [one.name for one in known]
    if not names:
        return ": the ELF names none (no debug info?)"
    by_last = {n.rsplit("::", 1)[-1].lower(): n for n in names}
    close = difflib.get_close_matches(name.rsplit("::", 1)[-1].lower(), by_last, 3, 0.6)
    if close:
        return f"; did you mean {' or '.join(by_last[c] for c in close)}?"
    return "; it may be a constant, or optimised out. `print` without a path lists all"


def _listed(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    rest = f" and {len(names) - _MAX_OFFERED} more" if len(names) > _MAX_OFFERED else ""
    return ", ".join(names[:_MAX_OFFERED]) + rest


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
        else:
            value = _followed(value)
    return value


def _field(value: Value, name: str) -> Value:
    for holder in _holders(value):
        if holder.has(name):
            found = holder[name]
            return found.at(found.type_id, found.address, f"{value.path}.{name.removeprefix('__')}")
    offered = _listed(_field_names(value))
    chain, content = layers(value)
    if content is None and chain[-1][1].inside is None:
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


def _field_names(value: Value) -> list[str]:
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
    for outer, peeled in chain:
        if (found := peeled.inside or contents(outer)) is not None:
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
    keys = f"the keys are {_listed(offered)}" if offered else f"{value.path} is empty"
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
            return target.at(target.type_id, target.address, f"*{value.path}")
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
            names = _fields_after(value) if mark == "." else _keys_of(value)
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


def _fields_after(value: Value) -> list[str]:
    return sorted(_field_names(value))


def _keys_of(value: Value) -> list[str]:
    _, found = _collection(value)
    if found.kind != "map":
        return [str(i) for i in range(min(found.length, _MAX_COMPLETIONS))]
    keys = []
    for known, _ in found.walk():
        shown = None if known is None else _key_of(known)
        if shown is not None:
            keys.append(_quoted(shown))
        if len(keys) >= _MAX_COMPLETIONS:
            break
    return keys


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
