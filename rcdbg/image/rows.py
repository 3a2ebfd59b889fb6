"""What one pass over the debug info finds, as plain lists and dicts that can be stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Row = list[Any]
"""[kind, ...]: see `Tables.types`."""


class Rows(Protocol):
    """Where rows come from: `rcdbg.image.dwarf.reader.Tables`, or a file of the cache."""

    def row(self, type_id: int) -> Row | None:
        """The row of that type, or None."""

    def ids_named(self, name: str) -> Sequence[int]:
        """The ids of the types of that name."""

    def every_name(self) -> Iterable[str]:
        """All names that `ids_named` knows."""

    @property
    def statics(self) -> Sequence[Row]:
        """Rows of statics."""

    @property
    def lost(self) -> Sequence[str]:
        """Paths of the statics that have no address: optimised out, or discarded."""

    @property
    def functions(self) -> Sequence[Row]:
        """Rows of functions, by address."""

    @property
    def inlined(self) -> Mapping[str, int]:
        """Path of a function -> copies of it inside of other functions."""

    @property
    def copies(self) -> Sequence[Row]:
        """Rows of such copies, outer ones first."""

    @property
    def texts(self) -> Sequence[str]:
        """The paths and files of those rows."""

    @property
    def vtables(self) -> Mapping[int, int]:
        """Address of a vtable -> type id."""


@dataclass(slots=True)
class Tables:
    """What one pass over .debug_info found, as plain lists.

    `types` maps a type id to a row:
    ["b", name, size, encoding], ["p", name, size, target], ["a", name, size, element, count],
    ["s" or "u", name, size, members, parameters], ["c", name, size, enumerators],
    ["e", name, size, discriminant or None, variants, parameters], ["t", target] (an alias),
    ["o", name, size]; a member is [name, type, offset], a variant [name, ranges, member].
    """

    types: dict[int, Row] = field(default_factory=dict)
    names: dict[str, list[int]] = field(default_factory=dict)
    """Full path, and last segment without generic arguments, -> type ids in DWARF order."""
    statics: list[Row] = field(default_factory=list)
    """[path, linkage name, address, type, file, line]."""
    lost: list[str] = field(default_factory=list)
    """Paths of the statics that have no address."""
    functions: list[Row] = field(default_factory=list)
    """[path, linkage name, [[address, size], ...], file, line, [[name, type], ...] of the
    parameters, type of the result, whether the calling convention was altered, positions of the
    parameters that are passed by reference], by address."""
    inlined: dict[str, int] = field(default_factory=dict)
    """Path of a function -> how many copies of it are inside of other functions."""
    copies: list[Row] = field(default_factory=list)
    """[path, file and line of the call, depth, [[address, size], ...]] of each such copy that has
    code, path and file by their numbers in `texts`; depth 0 is inlined in a function, 1 in a copy
    of depth 0. By depth and address."""
    texts: list[str] = field(default_factory=list)
    vtables: dict[int, int] = field(default_factory=dict)
    """Address of a trait object's vtable -> the type behind it."""

    def row(self, type_id: int) -> Row | None:
        """The row of that type, or None."""
        return self.types.get(type_id)

    def ids_named(self, name: str) -> list[int]:
        """The ids of the types of that name."""
        return self.names.get(name, [])

    def every_name(self) -> Iterable[str]:
        """All names that `ids_named` knows."""
        return self.names
