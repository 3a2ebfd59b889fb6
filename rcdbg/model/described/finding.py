"""Each key of a description looked up in an ELF."""

from collections.abc import Callable, Iterator
from dataclasses import fields

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.types import TypeId
from rcdbg.kernels.description import NO_NAMES, Description, Keys, Names, Paths, Roots
from rcdbg.kernels.functions import functions_named
from rcdbg.kernels.paths import Path
from rcdbg.kernels.recognise import first_symbol
from rcdbg.model.described.described import DescribedEntry, FoundName
from rcdbg.model.described.origins import HELD, Elf, named_types, variants
from rcdbg.model.values.hops import Shift
from rcdbg.model.values.ways import Way, way

_NO_CONCEPTS = frozenset({"family", "title", "evidence"})
_MAX_LISTED = 8


def concepts() -> tuple[str, ...]:
    """The tables of a description, in its order."""
    return tuple(f.name for f in fields(Description) if f.name not in _NO_CONCEPTS)


def keys(concept: str) -> tuple[str, ...]:
    """The keys of one of them."""
    return tuple(f.name for f in fields(getattr(Description(), concept)))


def asked_texts(entry: object) -> tuple[str, ...]:
    """The alternatives of an entry as a file has them; a number or a bool as one text."""
    if isinstance(entry, tuple):
        return tuple(str(item) for item in entry)
    return () if entry is False else (str(entry).lower(),)


def look_up(elf: Elf, concept: str, key: str) -> DescribedEntry:
    """What the ELF has of one key of its description; damaged debug info is said in words."""
    entry = getattr(getattr(elf.description, concept), key)
    asked = asked_texts(entry)
    if not asked:
        return DescribedEntry(key, ())
    if not isinstance(entry, tuple) or (concept, key) in WORDS:
        return DescribedEntry(key, asked, is_setting=True)
    try:
        found = tuple(_find(elf, concept, key, entry))
        why = "" if found else _why_not(elf, concept, key, entry)
    except ImageError as error:
        found, why = (), str(error)
    return DescribedEntry(key, asked, found, why=why)


WORDS = frozenset({
    ("idle", "word"), ("syscalls", "table"), ("syscalls", "calls"), ("syscalls", "prefix"),
    ("trap", "runs_at"),
})  # fmt: skip
"""Names that are no names of things, but parts of such, addresses, or words of ours."""


def kind_of(concept: str, key: str) -> str:
    """What the names of such a key name."""
    if key == "type" or concept == "units":
        return "type"
    if concept == "calls":
        return "function"
    return "variant" if f"{concept}.{key}" in VARIANTS else "symbol"


VARIANTS = {
    **{f"states.{key}": ("thread", "state") for key in keys("states")},
    **{f"area.{key}": ("area", "kind") for key in ("linear", "identical", "framed")},
}
"""Keys that name variants, and which part has the enum."""


def _find(elf: Elf, concept: str, key: str, entry: object) -> Iterator[FoundName]:
    if isinstance(entry, Names):
        find = _FINDERS[kind_of(concept, key)]
        for name in entry:
            found = find(elf, concept, key, name)
            if found is not None:
                yield found
    elif isinstance(entry, Roots):
        yield from _roots(elf, entry)
    elif isinstance(entry, Keys):
        for paths in entry.each:
            yield from _paths(elf, concept, key, paths)
    elif isinstance(entry, Paths):
        yield from _paths(elf, concept, key, entry)


def _type(elf: Elf, concept: str, key: str, name: str) -> FoundName | None:
    type_id = next(named_types(elf.types, (name,)), None)
    if type_id is None:
        return None
    path = elf.types.type(type_id).name
    held = elf.held(Names((name,))) if concept in HELD and key == "type" else None
    if held is None:
        return FoundName(name, "type", path)
    static, inner = held
    path = elf.types.type(inner).name
    return FoundName(name, "type", path, address=static.address, holder=_static_path(static.path))


def _static_path(path: str) -> str:
    """A lazy_static's data by the name of its handle."""
    return path[1:].split(" as ", 1)[0] if path.startswith("<") else path


def _symbol(elf: Elf, _concept: str, _key: str, name: str) -> FoundName | None:
    found = first_symbol(elf.image, Names((name,)))
    if found is None:
        return None
    at = elf.image.symbols.at(found[1])
    path = at[0] if at is not None and at[1] == 0 else name
    return FoundName(name, "symbol", path if path.endswith(name) else name, address=found[1])


def _function(elf: Elf, concept: str, key: str, name: str) -> FoundName | None:
    if "::" not in name:
        return _symbol(elf, concept, key, name)
    if elf.damage:
        raise ImageError(elf.damage)
    found = functions_named(elf.image, name)
    return FoundName(name, "function", found[0].path, address=found[0].address) if found else None


def _variant(elf: Elf, concept: str, key: str, name: str) -> FoundName | None:
    for type_id in enums(elf, concept, key):
        if name in variants(elf.types, type_id):
            return FoundName(name, "variant", f"{elf.types.type(type_id).name}::{name}")
    return None


def enums(elf: Elf, concept: str, key: str) -> tuple[TypeId, ...]:
    """The enums whose variants such a key names."""
    of, part = VARIANTS[f"{concept}.{key}"]
    by_number: Names = elf.description.states.type
    if concept == "states" and by_number:
        return tuple(type_id for name in by_number for type_id in elf.types.types_named(name))
    return tuple(elf.ends(of, getattr(getattr(elf.description, of), part)))


_FINDERS: dict[str, Callable[[Elf, str, str, str], FoundName | None]] = {
    "type": _type,
    "symbol": _symbol,
    "function": _function,
    "variant": _variant,
}


def _roots(elf: Elf, roots: Roots) -> Iterator[FoundName]:
    """The first that the kernel has."""
    for position, static, found in elf.rooted(roots):
        path, asked = _static_path(static.path), str(roots[position])
        kind = elf.types.type(found.type).name
        # A local variable is in a stack frame: an ELF knows no address of it.
        is_static = bool(static.address)
        place = static.address if is_static else None
        yield FoundName(asked, "static" if is_static else "local", path + found.text, kind, place)
        return


def _paths(elf: Elf, concept: str, key: str, paths: Paths) -> Iterator[FoundName]:
    """The first that the first type has that has one."""
    for origin in elf.origins(concept, key):
        for path in paths:
            found = way(elf.types, origin, Paths((path,)), NO_NAMES)
            if found is not None:
                yield _field(elf, origin, path, found)
                return


def _field(elf: Elf, origin: TypeId, path: Path, found: Way) -> FoundName:
    kind = elf.types.type(found.type).name
    offset = None
    if all(isinstance(hop, Shift) for hop in found.hops):
        offset = sum(hop.offset for hop in found.hops if isinstance(hop, Shift))
    whole = elf.types.type(origin).name + found.text
    return FoundName(str(path), "field", whole, kind, offset=offset)


def _why_not(elf: Elf, concept: str, key: str, entry: tuple[object, ...]) -> str:
    """Why nothing was found, in words."""
    first = str(entry[0])
    if isinstance(entry, Names):
        kind = kind_of(concept, key)
        if kind != "variant":
            return f"no {kind} {first}"
        of_all = [variants(elf.types, type_id) for type_id in enums(elf, concept, key)]
        known = list(dict.fromkeys(name for names in of_all for name in names))
        of = ".".join(VARIANTS[f"{concept}.{key}"])
        return f"{_listed(known)}: no {first}" if known else f"{of} is no enum here, or not found"
    if isinstance(entry, Roots):
        for name, _ in entry.each:
            try:
                static = elf.static(name)
            except UsageError:
                continue
            return f"{_static_path(static.path)} has no such part"
        return f"no static {entry.each[0][0]}"
    origins = elf.origins(concept, key)
    if not origins:
        return f"nothing is found that would have {'it' if len(entry) == 1 else 'them'}"
    return f"{elf.types.type(origins[0]).name} has no {first}"


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
