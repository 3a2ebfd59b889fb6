"""The extracted tables, seen as types, statics and functions; the same whether fresh or cached."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rcdbg.image.rows import Row, Rows
from rcdbg.image.types import (
    ArrayType,
    BaseType,
    CEnumType,
    EnumType,
    Member,
    OpaqueType,
    PointerType,
    Static,
    StructType,
    Type,
    TypeId,
    UnionType,
    Variant,
)

_MAX_ALIASES = 16
_MAX_NESTING = 16
_MAX_WORD = 16


@dataclass(frozen=True, slots=True)
class Function:
    """A function with code: its Rust path, linkage name, and where it and its source are.

    `ranges` are all its pieces as (address, size in bytes), the one with the entry first;
    `address` and `size` are those of that piece. `line` is that of the declaration.
    `parameters` are the names and types of all that the source has; `result` is the type of what it
    returns. With `is_altered` the compiler has changed how it is called: the registers at its entry
    need not be those that the calling convention says. `by_reference` are the positions of the
    parameters of which the debug info tells that a register holds not them but where they lie.
    """

    path: str
    linkage_name: str
    ranges: tuple[tuple[int, int], ...]
    file: str | None = None
    line: int | None = None
    parameters: tuple[tuple[str, TypeId], ...] = ()
    result: TypeId = 0
    is_altered: bool = False
    by_reference: tuple[int, ...] = ()

    @property
    def address(self) -> int:
        """The entry point."""
        return self.ranges[0][0]

    @property
    def size(self) -> int:
        """Bytes from the entry point to the end of its piece."""
        return self.ranges[0][1]


@dataclass(frozen=True, slots=True)
class InlinedCall:
    """A function that the compiler put in the place of its call, at `file` and `line`."""

    path: str
    file: str | None
    line: int | None


class DebugTypes:
    """The `TypeTable` of an image; decodes a type when it is asked for."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._types: dict[TypeId, Type] = {0: OpaqueType("()")}

    def type(self, type_id: TypeId) -> Type:
        """The type with that id, typedefs and qualifiers resolved; OpaqueType when unknown."""
        found = self._types.get(type_id)
        if found is None:
            found = self._types[type_id] = self._decode(self._resolve(type_id))
        return found

    def types_named(self, name: str) -> list[TypeId]:
        """Ids of the types whose full path, or whose last path segment without generic
        arguments, is `name`; in the order of the DWARF.

        The bodies of enum variants are found by their full path alone.
        """
        return list(self._rows.ids_named(name))

    def type_names(self) -> Iterator[str]:
        """All names that `types_named` knows, in the order of the DWARF."""
        return iter(self._rows.every_name())

    def statics(self) -> Iterator[Static]:
        """Every static that has an address, in the order of the DWARF.

        The vtables of trait objects, which DWARF lists among them, are in `vtable_type` instead.
        """
        for row in self._rows.statics:
            yield Static(*row)

    def lost_statics(self) -> Iterator[str]:
        """The paths of the statics that are not in memory: optimised out, or not linked."""
        return iter(self._rows.lost)

    def vtable_type(self, address: int) -> TypeId | None:
        """The concrete type behind a trait object whose vtable is at that address.

        The first three words of a vtable are drop_in_place (0 if none is needed), size, alignment.
        """
        return self._rows.vtables.get(address)

    def _resolve(self, type_id: TypeId) -> Row:
        for _ in range(_MAX_ALIASES):
            row = self._rows.row(type_id)
            if row is None:
                return ["o", "()" if type_id == 0 else "{unknown}", 0]
            if row[0] != "t":
                return row
            type_id = row[1]
        return ["o", "{unknown}", 0]

    def _decode(self, row: Row) -> Type:
        match row:
            case ["b", name, size, encoding]:
                return BaseType(name, size, encoding)
            case ["p", _, size, target]:
                return PointerType(self._name(row), size, target)
            case ["a", _, _, element, count]:
                return ArrayType(self._name(row), self._size(row), element, count or 0)
            case ["s", name, size, members, parameters]:
                return StructType(name, size, _members(members), _parameters(parameters))
            case ["u", name, size, members, parameters]:
                return UnionType(name, size, _members(members), _parameters(parameters))
            case ["c", name, size, enumerators]:
                mask = (1 << (8 * min(size, _MAX_WORD))) - 1
                return CEnumType(name, size, tuple((n, value & mask) for n, value in enumerators))
            case ["e", name, size, discriminant, variants, parameters]:
                return self._enum(name, size, discriminant, variants, parameters)
            case _:
                return OpaqueType(row[1], row[2])

    def _enum(
        self, name: str, size: int, discriminant: Row | None, variants: list[Row], parameters: Row
    ) -> EnumType:
        member = Member(*discriminant) if discriminant is not None else None
        bits, signed = 64, False
        if member is not None:
            held = self.type(member.type)
            signed = isinstance(held, BaseType) and held.encoding == "signed"
            bits = 8 * min(held.size, _MAX_WORD) or 64

        # DWARF writes -5 as data1 0xfb, as sdata, or as a block: here it is what one reads.
        def as_read(value: int, written: int) -> int:
            if signed and written and value >> (written - 1) & 1:
                value -= 1 << written
            value &= (1 << bits) - 1
            return value - (1 << bits) if signed and value >> (bits - 1) else value

        decoded = tuple(
            Variant(
                variant_name,
                tuple((as_read(low, a), as_read(high, b)) for low, high, a, b in ranges),
                Member(*body),
            )
            for variant_name, ranges, body in variants
            if body is not None
        )
        arguments = _parameters(parameters)
        if not arguments and decoded:
            # rustc gives the generic arguments to each variant's body instead.
            body = self.type(decoded[0].body.type)
            arguments = body.parameters if isinstance(body, StructType) else ()
        return EnumType(name, size, member, decoded, arguments)

    def _name(self, row: Row, depth: int = 0) -> str:
        """The name of a row; rustc names its pointers, but neither arrays nor C's pointers."""
        if row[1] or row[0] not in "pa":
            return str(row[1])
        if depth > _MAX_NESTING:
            return "..."
        inner = self._name(self._resolve(row[3]), depth + 1)
        return f"*{inner}" if row[0] == "p" else f"[{inner}; {row[4] or 0}]"

    def _size(self, row: Row, depth: int = 0) -> int:
        """The size in bytes of a row; that of an array follows from its elements."""
        if row[0] != "a" or row[2] is not None:
            return int(row[2])
        if depth > _MAX_NESTING:
            return 0
        return (row[4] or 0) * self._size(self._resolve(row[3]), depth + 1)


class Functions:
    """All functions that have code."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Function]:
        """By address."""
        return (_function(row) for row in self._rows.functions)

    def __len__(self) -> int:
        return len(self._rows.functions)

    def at(self, pc: int) -> Function | None:
        """The function whose code holds `pc`; None when no function of the debug info does."""
        starts, pieces = self._pieces
        index = bisect_right(starts, pc) - 1
        if index < 0:
            return None
        start, size, row = pieces[index]
        return _function(self._rows.functions[row]) if pc < start + size else None

    def inlined(self, path: str) -> int:
        """How many copies of that function the compiler put inside of other functions."""
        return self._rows.inlined.get(path, 0)

    def inlined_at(self, pc: int) -> list[InlinedCall]:
        """The inlined calls whose code holds `pc`, the innermost first."""
        found = []
        for starts, pieces in self._copies:
            index = bisect_right(starts, pc) - 1
            if index >= 0 and pc < pieces[index][0] + pieces[index][1]:
                path, file, line, *_ = self._rows.copies[pieces[index][2]]
                texts = self._rows.texts
                found.append(InlinedCall(texts[path], texts[file] or None, line))
        return found[::-1]

    @cached_property
    def _copies(self) -> list[tuple[list[int], list[tuple[int, int, int]]]]:
        """Starts and pieces by depth: those of one depth do not overlap."""
        by_depth: dict[int, list[tuple[int, int, int]]] = {}
        for number, row in enumerate(self._rows.copies):
            by_depth.setdefault(row[3], []).extend((*piece, number) for piece in row[4])
        levels = [sorted(by_depth[depth]) for depth in sorted(by_depth)]
        return [([start for start, _, _ in pieces], pieces) for pieces in levels]

    @cached_property
    def _pieces(self) -> tuple[list[int], list[tuple[int, int, int]]]:
        pieces = sorted(
            (start, size, number)
            for number, row in enumerate(self._rows.functions)
            for start, size in row[2]
        )
        return [start for start, _, _ in pieces], pieces


def _function(row: Row) -> Function:
    path, linkage_name, ranges, file, line, parameters, result, is_altered, by_reference = row
    pieces = tuple((start, size) for start, size in ranges)
    return Function(
        path,
        linkage_name,
        pieces,
        file,
        line,
        _parameters(parameters),
        result,
        is_altered,
        tuple(by_reference),
    )


def _members(rows: list[Row]) -> tuple[Member, ...]:
    return tuple(Member(name, type_id, offset) for name, type_id, offset in rows)


def _parameters(rows: list[Row]) -> tuple[tuple[str, TypeId], ...]:
    return tuple((name, type_id) for name, type_id in rows)
