"""What comes nearest to a name that an ELF does not have: among its types, statics, fields, ...

Each is written as a description would write it, and is there.
"""

import difflib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.tables import DebugTypes
from rcdbg.image.types import StructType, TypeId, TypeTable, UnionType
from rcdbg.kernels.description import NO_NAMES, Keys, Names, Paths, Roots
from rcdbg.kernels.functions import function_names, functions_named
from rcdbg.kernels.paths import Deref, Each, Field, Find, Path, Step, parse_relative
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.by_types import by_types
from rcdbg.model.described.described import NearName
from rcdbg.model.described.finding import WORDS, asked_texts, enums, keys, kind_of
from rcdbg.model.described.origins import Elf, named_types, variants
from rcdbg.model.values.hops import Station, members, unwrapped
from rcdbg.model.values.statics import statics
from rcdbg.model.values.type_path import element
from rcdbg.model.values.ways import way

_MOST = 3
_POOL = 12
"""Of those that look alike, before the ones of Rust's library are left out."""
_LEAST = 0.7
_PART = 4
"""Letters of a word that is a part of another, which counts as like it."""
_MAX_STEPS, _MAX_FIELDS = 4, 400
_LIBRARY = ("core::", "alloc::", "std::", "compiler_builtins::", "{impl", "<core::", "<alloc::")
_A_STATIC = re.compile(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*")


def nearest(elf: Elf, concept: str, key: str) -> tuple[NearName, ...]:
    """The nearest to all alternatives of a key, best first; nothing where debug info is damaged."""
    entry = getattr(getattr(elf.description, concept), key)
    if (concept, key) in WORDS:
        return ()
    try:
        if isinstance(entry, Names):
            found = _FINDERS[kind_of(concept, key)](elf, concept, key, entry)
        elif isinstance(entry, Roots):
            found = _near_roots(elf, entry)
        elif isinstance(entry, Paths | Keys):
            found = _near_paths(elf, elf.origins(concept, key), Paths(entry))
        else:
            return ()
        return tuple(dict.fromkeys(found))[:_MOST]
    except ImageError:
        return ()


def close(wanted: Iterable[str], known: Iterable[str], count: int = _MOST) -> list[str]:
    """Those of `known` that look like one of `wanted`, best first."""
    lower: dict[str, list[str]] = {}
    for name in known:
        lower.setdefault(name.lower(), []).append(name)
    scores: dict[str, float] = {}
    for word in dict.fromkeys(word.lower() for word in wanted):
        parts = [n for n in lower if min(len(n), len(word)) >= _PART and (n in word or word in n)]
        for name in (*difflib.get_close_matches(word, lower, count, _LEAST), *parts):
            ratio = difflib.SequenceMatcher(None, name, word).ratio()
            scores[name] = max(ratio, scores.get(name, 0))
    ranked = sorted(scores, key=lambda name: -scores[name])
    return [name for key in ranked for name in lower[key]][:count]


def _near_types(elf: Elf, _concept: str, _key: str, wanted: Names) -> Iterator[NearName]:
    types = elf.types
    pool = by_types(types, "described: names of types", lambda: _type_names(types))
    for name in close(wanted, pool, _POOL):
        paths = [types.type(type_id).name for type_id in named_types(types, (name,))]
        own = [path for path in paths if not path.startswith(_LIBRARY)]
        if own:
            yield NearName(name, f"type {own[0]}")


def _type_names(types: DebugTypes) -> list[str]:
    """The last parts of the paths of all types."""
    names = (name for name in types.type_names() if _A_STATIC.fullmatch(name))
    return list(dict.fromkeys(name for name in names if "::" not in name))


def _near_symbols(elf: Elf, _concept: str, _key: str, wanted: Names) -> Iterator[NearName]:
    for name in wanted:
        for near in elf.image.symbols.suggest(name):
            found = first_symbol(elf.image, Names((near,)))
            is_like = close((name,), (near.rpartition("::")[2],))
            if found is not None and is_like and not near.startswith(_LIBRARY):
                yield NearName(near, f"symbol at {found[1]:#x}")


def _near_functions(elf: Elf, concept: str, key: str, wanted: Names) -> Iterator[NearName]:
    plain = Names(name for name in wanted if "::" not in name)
    if plain:
        yield from _near_symbols(elf, concept, key, plain)
    if elf.damage:
        return
    whole = [name for name in wanted if "::" in name]
    for name in close(whole, function_names(elf.image), _POOL):
        first = functions_named(elf.image, name)[0]
        last = [one.rpartition("::")[2] for one in (name, *whole)]
        if not first.path.startswith(_LIBRARY) and close(last[1:], last[:1]):
            yield NearName(name, f"function {first.path}")


def _near_variants(elf: Elf, concept: str, key: str, wanted: Names) -> Iterator[NearName]:
    """Any of the enum's may be meant that has no meaning yet: those that look alike first."""
    table = getattr(elf.description, concept)
    others = {name for other in keys(concept) for name in asked_texts(getattr(table, other))}
    for type_id in enums(elf, concept, key):
        known = [name for name in variants(elf.types, type_id) if name not in others]
        for name in (*close(wanted, known), *known):
            yield NearName(name, f"variant of {elf.types.type(type_id).name}")


_FINDERS: dict[str, Callable[[Elf, str, str, Names], Iterator[NearName]]] = {
    "type": _near_types,
    "symbol": _near_symbols,
    "function": _near_functions,
    "variant": _near_variants,
}


def _near_roots(elf: Elf, roots: Roots) -> Iterator[NearName]:
    """Other parts of the same static, then the same part of statics with a like name."""
    if elf.damage:
        return
    named = [s for s in statics(elf.image) if _A_STATIC.fullmatch(s.name)]
    known = {s.name.rsplit("::", 1)[-1]: s for s in named}
    for name, paths in roots.each:
        short = name.rsplit("::", 1)[-1]
        if short in known:
            for near in _near_paths(elf, (known[short].static.type,), paths):
                yield NearName(_joined(name, near.text), near.what)
    for name, paths in roots.each:
        for other in close((name.rsplit("::", 1)[-1],), known, _POOL):
            one = known[other]
            if one.name.startswith(_LIBRARY) or other == name:
                continue
            has = way(elf.types, one.static.type, paths, NO_NAMES) is not None
            text = str(Path(other, paths[0].steps)) if has else other
            yield NearName(text, f"static {one.name} at {one.static.address:#x}")


def _joined(static: str, steps: str) -> str:
    return static + (steps if steps.startswith("[") else f".{steps}")


def _near_paths(elf: Elf, origins: Iterable[TypeId], wanted: Paths) -> Iterator[NearName]:
    """Fields inside these types whose names are like the last of the path."""
    named = {name for path in wanted for name in _last_names(path.steps)}
    known: dict[str, tuple[TypeId, str, str]] = {}
    for origin in origins:
        for name, (text, kind) in _fields_of(elf.types, origin).items():
            known.setdefault(name, (origin, text, kind))
    for name in close(named, known):
        origin, text, kind = known[name]
        yield NearName(text, f"field of {elf.types.type(origin).name}: {kind}")


def _fields_of(types: TypeTable, origin: TypeId) -> dict[str, tuple[str, str]]:
    return by_types(types, ("described: fields", origin), lambda: fields(types, origin))


def _last_names(steps: Iterable[Step]) -> list[str]:
    named = [step.name for step in steps if isinstance(step, Field | Find)]
    return [name for name in named[-1:] if not name.startswith("__")]


def fields(types: TypeTable, origin: TypeId) -> dict[str, tuple[str, str]]:
    """The fields inside a type by name, the outermost first: path from it, and type.

    Wrappers are looked through, and what owns is followed; the library's own fields are none.
    """
    found: dict[str, tuple[str, str]] = {}
    queue, seen = deque([(Station((), origin), "", 0)]), {origin}
    while queue and len(found) < _MAX_FIELDS:
        place, text, depth = queue.popleft()
        inner = unwrapped(types, place)
        if inner is None and element(types, place.type) is not None:
            continue
        if inner is not None:
            following = [(inner, text, depth)]
        else:
            following = list(_members(types, place, text, depth, origin, found))
        for station, path, level in following:
            if station.type not in seen and level < _MAX_STEPS:
                seen.add(station.type)
                queue.append((station, path, level))
    return found


def _members(
    types: TypeTable, place: Station, text: str, depth: int, origin: TypeId,
    found: dict[str, tuple[str, str]],
) -> Iterator[tuple[Station, str, int]]:  # fmt: skip
    kind = types.type(place.type)
    if not isinstance(kind, StructType | UnionType) or kind.name.startswith(_LIBRARY):
        return
    own = [m for m in kind.members if types.type(m.type).size]
    for member, station in zip(own, members(types, place), strict=True):
        name = member.name.removeprefix("__") if member.name[2:].isdigit() else member.name
        path = f"{text}.{name}" if text else name
        if not name.isdigit() and name not in found and _leads(types, origin, path):
            found[name] = (path, types.type(member.type).name)
        # A struct of one field is a wrapper to a description.
        yield (station, path, depth + 1) if len(own) > 1 else (station, text, depth)


def _leads(types: TypeTable, origin: TypeId, text: str) -> bool:
    """Whether a description can write it like that."""
    try:
        path = parse_relative(text)
    except UsageError:
        return False
    return not any(isinstance(step, Deref | Each) for step in path.steps) and (
        way(types, origin, Paths((path,)), NO_NAMES) is not None
    )
