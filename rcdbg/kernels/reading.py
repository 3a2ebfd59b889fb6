"""Descriptions out of TOML: whole ones that come with rcdbg, and a user's partial ones.

A table for each concept, a key for each of its entries: a text, or a list of alternatives of which
the first that the kernel has counts. A user's file holds what differs from the description of its
kernel's family; the flat keys of earlier versions are accepted too, see `rcdbg.kernels.flat`.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rcdbg.errors import UsageError
from rcdbg.kernels import calls, flat
from rcdbg.kernels.description import Description, Keys, Names, Paths, Roots
from rcdbg.kernels.paths import parse_relative, parse_rooted

_MAX_SIZE = 1 << 16
_TOP = ("family", "title")

Entry = Names | Paths | Keys | Roots | bool | int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A partial description: entries that replace those of the family's."""

    entries: tuple[tuple[str, str, Entry], ...] = ()
    """Concept, key, and what stands there."""
    family: str = ""
    """The family to start from, whatever the ELF shows; "" to find out."""
    fallback: str = ""
    """The family to start from where none is recognised."""
    file: Path | None = field(default=None, compare=False)
    """Where it was read, to tell another program of it."""

    def over(self, description: Description) -> Description:
        """The description with these entries in the place of its own."""
        changed: dict[str, dict[str, Any]] = {}
        for concept, key, entry in self.entries:
            changed.setdefault(concept, {})[key] = entry
        return replace(
            description,
            **{
                concept: replace(getattr(description, concept), **entries)
                for concept, entries in changed.items()
            },
        )


NOTHING = Overlay()
"""The partial description that says nothing."""


def load_overlay(path: Path) -> Overlay:
    """The partial description in a TOML file.

    Raises UsageError, in one line, for a file that cannot be read, is no TOML, or says what no
    description has.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read the profile {path}: {why}") from error
    return replace(overlay_of(data, str(path)), file=path.resolve())


def overlay_of(data: bytes, where: str) -> Overlay:
    """The partial description in the bytes of a TOML file; `where` is what errors call it."""
    tables = _tables(data, where)
    flat_names: dict[str, str] = {}
    nested: dict[str, Mapping[str, Any]] = {}
    family = ""
    for key, value in tables.items():
        if isinstance(value, dict) and key in _concepts():
            nested[key] = value
        elif key in flat.KEYS:
            flat_names[key] = _name(where, key, value)
        elif key == "family":
            family = _name(where, key, value)
        elif key in _concepts():
            raise UsageError(f"{where}: {key} has to be a table, such as [{key}]")
        elif key != "title":
            known = [*flat.KEYS, *_concepts(), *_TOP]
            raise UsageError(f"{where}: no key {key!r} in a profile; {_near(key, known)}")
    entries = {
        (concept, key): entry
        for tables in (flat.nested(flat_names), nested)
        for concept, key, entry in _entries(tables, where)
    }
    found = tuple((concept, key, entry) for (concept, key), entry in entries.items())
    return Overlay(found, family, flat.FAMILY if flat_names else "")


def description_of(data: bytes, where: str) -> Description:
    """The whole description in the bytes of a TOML file; raises UsageError as above."""
    tables = _tables(data, where)
    family, title = (_name(where, key, tables.pop(key, None)) for key in _TOP)
    for key, value in tables.items():
        if key not in _concepts():
            known = [*_concepts(), *_TOP]
            raise UsageError(f"{where}: no key {key!r} in a description; {_near(key, known)}")
        if not isinstance(value, dict):
            raise UsageError(f"{where}: {key} has to be a table, such as [{key}]")
    entries = Overlay(tuple(_entries(tables, where)))
    return entries.over(Description(family, title))


def _tables(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > _MAX_SIZE:
        raise UsageError(f"{where} is no profile: it is larger than {_MAX_SIZE} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # Python has a limit of its own for the digits of a number, which is no TOML error.
        raise UsageError(f"{where} is no TOML file: {error}") from error


def _concepts() -> list[str]:
    return [f.name for f in fields(Description) if f.name not in _TOP]


def _entries(
    tables: Mapping[str, Mapping[str, Any]], where: str
) -> Iterable[tuple[str, str, Entry]]:
    """Concept, key and entry of all that the tables say; raises UsageError."""
    for concept, table in tables.items():
        kinds = {f.name: f.type for f in fields(getattr(Description(), concept))}
        for key, value in table.items():
            if key not in kinds:
                near = _near(key, kinds)
                raise UsageError(f"{where}: no key {key!r} in [{concept}]; {near}")
            kind = kinds[key]
            assert isinstance(kind, type)
            if key == "runs_at":
                _hexadecimal(f"{where}: [{concept}] {key}", value)
            if concept == "syscalls" and key in ("table", "calls"):
                _system_calls(f"{where}: [{concept}] {key}", key, value)
            yield concept, key, _READERS[kind](f"{where}: [{concept}] {key}", value)


def _near(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _name(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f'{where}: {key} has to be a name, such as {key} = "NAME"')
    return value.strip()


def _texts(where: str, value: object) -> list[str]:
    """The alternatives: one text or several; none switches an entry off."""
    texts = []
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f'{where} has to be a text such as "NAME", or a list of them')
        texts.append(text.strip())
    return texts


def _paths(where: str, value: object) -> Paths:
    return Paths(_parsed(where, value, parse_relative))


def _keys(where: str, value: object) -> Keys:
    return Keys(_parsed(where, value, parse_relative))


def _roots(where: str, value: object) -> Roots:
    return Roots(_parsed(where, value, parse_rooted))


def _parsed(where: str, value: object, parse: Callable[[str], Any]) -> list[Any]:
    try:
        return [parse(text) for text in _texts(where, value)]
    except UsageError as error:
        message = str(error)
        raise error if message.startswith(where) else UsageError(f"{where}: {message}") from None


def _names(where: str, value: object) -> Names:
    return Names(_texts(where, value))


def _hexadecimal(where: str, value: object) -> None:
    for text in _texts(where, value):
        try:
            found = int(text, 16)
        except ValueError:
            found = -1
        if not 0 <= found < 1 << 64 or not text.startswith("0x"):
            raise UsageError(f'{where} has to be an address such as "0xfffffffffffff000"')


def _system_calls(where: str, key: str, value: object) -> None:
    for text in _texts(where, value):
        try:
            if key == "calls":
                calls.parse(text)
            elif text not in calls.tables():
                raise UsageError(f"there is no {text!r}; known are {', '.join(calls.tables())}")
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error


def _bool(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where} has to be true or false")
    return value


def _count(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{where} has to be a number from 1 on")
    return value


_READERS: dict[type, Callable[[str, object], Entry]] = {
    Names: _names,
    Paths: _paths,
    Keys: _keys,
    Roots: _roots,
    bool: _bool,
    int: _count,
}
