"""Types, statics and functions out of .debug_info, as rows that can be stored.

`rcdbg.image.tables` turns the rows that are asked for into the dataclasses of `rcdbg.image.types`.
Source of the format: DWARF 5, sections 5 (types) and 5.10 (variants); DWARF 4, which rustc writes
for its riscv targets, is the same here but for the enums, where rustc is ahead of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Attributes, Scanner, Unit, Wanted
from rcdbg.image.dwarf.forms import DebugSections, DwarfError, uleb128
from rcdbg.image.dwarf.named import NamedDies
from rcdbg.image.rows import Row, Tables

_NAMED = frozenset({dw.AT_NAME, dw.AT_BYTE_SIZE})
_COMPOSITE = _NAMED | {dw.AT_DECLARATION, dw.AT_CONTAINING_TYPE}
_QUALIFIER = frozenset({dw.AT_NAME, dw.AT_TYPE})
_UNIT = frozenset({dw.AT_STMT_LIST, dw.AT_COMP_DIR, dw.AT_NAME, dw.AT_LOW_PC})
_PLACE = frozenset({dw.AT_NAME, dw.AT_LINKAGE_NAME, dw.AT_DECL_FILE, dw.AT_DECL_LINE})

_WANTED: Wanted = {
    dw.TAG_COMPILE_UNIT: _UNIT,
    dw.TAG_PARTIAL_UNIT: _UNIT,
    dw.TAG_NAMESPACE: frozenset({dw.AT_NAME}),
    dw.TAG_BASE_TYPE: _NAMED | {dw.AT_ENCODING},
    dw.TAG_POINTER_TYPE: _NAMED | {dw.AT_TYPE},
    dw.TAG_REFERENCE_TYPE: _NAMED | {dw.AT_TYPE},
    dw.TAG_ARRAY_TYPE: _NAMED | {dw.AT_TYPE},
    dw.TAG_SUBRANGE_TYPE: frozenset({dw.AT_COUNT, dw.AT_LOWER_BOUND, dw.AT_UPPER_BOUND}),
    dw.TAG_STRUCTURE_TYPE: _COMPOSITE,
    dw.TAG_CLASS_TYPE: _COMPOSITE,
    dw.TAG_UNION_TYPE: _COMPOSITE,
    dw.TAG_ENUMERATION_TYPE: _COMPOSITE | {dw.AT_TYPE},
    dw.TAG_ENUMERATOR: frozenset({dw.AT_NAME, dw.AT_CONST_VALUE}),
    dw.TAG_MEMBER: frozenset(
        {dw.AT_NAME, dw.AT_TYPE, dw.AT_DATA_MEMBER_LOCATION, dw.AT_DATA_BIT_OFFSET}
    ),
    dw.TAG_TEMPLATE_TYPE: frozenset({dw.AT_NAME, dw.AT_TYPE}),
    dw.TAG_VARIANT_PART: frozenset({dw.AT_DISCR}),
    dw.TAG_VARIANT: frozenset({dw.AT_DISCR_VALUE, dw.AT_DISCR_LIST}),
    dw.TAG_TYPEDEF: _QUALIFIER,
    dw.TAG_CONST_TYPE: _QUALIFIER,
    dw.TAG_VOLATILE_TYPE: _QUALIFIER,
    dw.TAG_RESTRICT_TYPE: _QUALIFIER,
    dw.TAG_ATOMIC_TYPE: _QUALIFIER,
    dw.TAG_SUBROUTINE_TYPE: _NAMED,
    dw.TAG_UNSPECIFIED_TYPE: _NAMED,
    dw.TAG_VARIABLE: _PLACE
    | {dw.AT_TYPE, dw.AT_LOCATION, dw.AT_SPECIFICATION, dw.AT_ABSTRACT_ORIGIN},
    dw.TAG_SUBPROGRAM: _PLACE
    | {dw.AT_LOW_PC, dw.AT_HIGH_PC, dw.AT_RANGES, dw.AT_SPECIFICATION, dw.AT_ABSTRACT_ORIGIN}
    | {dw.AT_TYPE, dw.AT_CALLING_CONVENTION},
    dw.TAG_FORMAL_PARAMETER: frozenset(
        {dw.AT_NAME, dw.AT_TYPE, dw.AT_ABSTRACT_ORIGIN, dw.AT_LOCATION}
    ),
    dw.TAG_INLINED_SUBROUTINE: frozenset(
        {dw.AT_ABSTRACT_ORIGIN, dw.AT_LOW_PC, dw.AT_HIGH_PC, dw.AT_RANGES}
    )
    | {dw.AT_CALL_FILE, dw.AT_CALL_LINE},
}

_QUALIFIERS = (
    dw.TAG_TYPEDEF,
    dw.TAG_CONST_TYPE,
    dw.TAG_VOLATILE_TYPE,
    dw.TAG_RESTRICT_TYPE,
    dw.TAG_ATOMIC_TYPE,
)
_MAX_SIZE = 1 << 48
MAX_DIES = 1_200_000
"""Entries that are read: ten seconds' worth, and eight times what a debug kernel has."""


@dataclass(slots=True)
class _Scope:
    """What the children of a DIE need of it: the path so far, and the row that they fill."""

    prefix: str
    row: Row | None = None
    discriminant: int = 0
    variant: Row | None = None
    in_function: bool = False
    function: int | None = None
    """The subprogram whose parameters the children may be."""
    inlined: int = 0
    """In how many inlined functions, one in the other, the children are."""


_Handler = Callable[[int, int, "_Scope", Attributes], "_Scope"]
"""(offset, tag, scope of the parent, attributes) -> scope of the children."""


def extract(sections: DebugSections) -> Tables:
    """All types, statics and functions of the debug info.

    Raises DwarfError, IndexError, ValueError or struct.error on damaged data.
    """
    tables, named = Tables(), NamedDies(sections)
    types = _Types(tables, named)
    handlers = types.handlers() | _Functions(named).handlers()
    scanner = Scanner(sections, _WANTED)
    seen = 0
    for unit in scanner.units():
        types.unit = unit
        scopes = [_Scope("")]
        for offset, depth, tag, attributes in scanner.scan(unit):
            if depth == 0:
                named.enter_unit(unit, attributes)
                continue
            seen += 1
            if seen > MAX_DIES:
                raise DwarfError(f"more than {MAX_DIES:,} entries")
            del scopes[depth:]
            scope = scopes[-1]
            handler = handlers.get(tag)
            scopes.append(handler(offset, tag, scope, attributes) if handler else scope)
    named.fill(tables)
    return tables


def line_programs(sections: DebugSections) -> list[tuple[int, str]]:
    """Each unit's line program: its offset in .debug_line, and the compilation directory."""
    scanner = Scanner(sections, {dw.TAG_COMPILE_UNIT: _UNIT, dw.TAG_PARTIAL_UNIT: _UNIT})
    found: dict[int, str] = {}
    for unit in scanner.units():
        for _, _, _, root in scanner.scan(unit):
            if dw.AT_STMT_LIST in root:
                found.setdefault(root[dw.AT_STMT_LIST], root.get(dw.AT_COMP_DIR, ""))
            break
    return list(found.items())


class _Types:
    """Adds types to `tables`; `unit` is the one that is read. For what handlers do: `_Handler`."""

    unit: Unit

    def __init__(self, tables: Tables, named: NamedDies) -> None:
        self._tables = tables
        self._named = named

    def handlers(self) -> dict[int, _Handler]:
        """By the tags of types and of what is in them."""
        return {
            dw.TAG_STRUCTURE_TYPE: self._composite,
            dw.TAG_CLASS_TYPE: self._composite,
            dw.TAG_UNION_TYPE: self._composite,
            dw.TAG_MEMBER: self._member,
            dw.TAG_TEMPLATE_TYPE: self._parameter,
            dw.TAG_VARIANT_PART: self._variant_part,
            dw.TAG_VARIANT: self._variant,
            dw.TAG_ENUMERATION_TYPE: self._enumeration,
            dw.TAG_ENUMERATOR: self._enumerator,
            dw.TAG_BASE_TYPE: self._base,
            dw.TAG_POINTER_TYPE: self._pointer,
            dw.TAG_REFERENCE_TYPE: self._pointer,
            dw.TAG_ARRAY_TYPE: self._array,
            dw.TAG_SUBRANGE_TYPE: self._subrange,
            dw.TAG_SUBROUTINE_TYPE: self._opaque,
            dw.TAG_UNSPECIFIED_TYPE: self._opaque,
            **dict.fromkeys(_QUALIFIERS, self._alias),
        }

    def _register(self, offset: int, row: Row, short: str = "") -> None:
        """Adds a type; `short` is its own name, without the path."""
        self._tables.types[offset] = row
        name = row[1]
        if name:
            self._tables.names.setdefault(name, []).append(offset)
        if short and (short := without_arguments(short)) != name:
            self._tables.names.setdefault(short, []).append(offset)

    def _composite(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        short = found.get(dw.AT_NAME, "{unnamed}")
        name = scope.prefix + short
        if dw.AT_DECLARATION in found:
            self._tables.types[offset] = ["o", name, 0]
            return _Scope(name + "::")
        row: Row = [
            "u" if tag == dw.TAG_UNION_TYPE else "s",
            name,
            _size(found),
            [],
            [],
        ]
        # The body of a variant often has the short name of the type that it wraps.
        is_body = scope.row is not None and scope.row[0] == "e"
        self._register(offset, row, "" if is_body else short)
        if dw.AT_CONTAINING_TYPE in found:
            self._named.vtable_type(offset, found[dw.AT_CONTAINING_TYPE])
        return _Scope(name + "::", row)

    def _member(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        row = scope.row
        if row is not None:
            member = [found.get(dw.AT_NAME, ""), found.get(dw.AT_TYPE, 0), _member_offset(found)]
            if scope.variant is not None:
                scope.variant[0], scope.variant[2] = member[0], member
            elif row[0] == "e":
                if offset == scope.discriminant:
                    row[3] = member
            elif row[0] in "su":
                row[3].append(member)
        return scope

    def _parameter(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        if scope.row is not None and scope.row[0] in "sue":
            scope.row[-1].append([found.get(dw.AT_NAME, ""), found.get(dw.AT_TYPE, 0)])
        return scope

    def _variant_part(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        row = scope.row
        if row is not None and row[0] == "s":
            row[:] = ["e", row[1], row[2], None, [], row[4]]
        return _Scope(scope.prefix, row, found.get(dw.AT_DISCR, 0))

    def _variant(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        variant: Row = ["", _discriminants(found), None]
        if scope.row is not None and scope.row[0] == "e":
            scope.row[4].append(variant)
        return _Scope(scope.prefix, scope.row, 0, variant)

    def _enumeration(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        short = found.get(dw.AT_NAME, "{unnamed}")
        row: Row = ["c", scope.prefix + short, _size(found), []]
        self._register(offset, row, short)
        return _Scope(f"{row[1]}::", row)

    def _enumerator(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        if scope.row is not None and scope.row[0] == "c":
            value = _constant(found.get(dw.AT_CONST_VALUE, 0))
            scope.row[3].append([found.get(dw.AT_NAME, ""), value])
        return scope

    def _base(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        encoding = dw.ENCODINGS.get(found.get(dw.AT_ENCODING, 0), "unsigned")
        self._register(offset, ["b", found.get(dw.AT_NAME, ""), _size(found), encoding])
        return scope

    def _pointer(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        size = _size(found) or self.unit.format.address_size
        self._register(offset, ["p", found.get(dw.AT_NAME, ""), size, found.get(dw.AT_TYPE, 0)])
        return scope

    def _array(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        row: Row = ["a", "", _size(found) or None, found.get(dw.AT_TYPE, 0), None]
        self._tables.types[offset] = row
        return _Scope(scope.prefix, row)

    def _subrange(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        row = scope.row
        if row is None or row[0] != "a":
            return scope
        count = found.get(dw.AT_COUNT)
        if count is None and dw.AT_UPPER_BOUND in found:
            count = found[dw.AT_UPPER_BOUND] - found.get(dw.AT_LOWER_BOUND, 0) + 1
        # Without a number only the program knows how long the array is.
        count = max(count or 0, 0)
        if row[4] is None:
            row[4] = count
            return scope
        # A further dimension: this array's elements become arrays, kept under the subrange's id.
        inner: Row = ["a", "", None, row[3], count]
        self._tables.types[offset] = inner
        row[3] = offset
        return _Scope(scope.prefix, inner)

    def _opaque(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        name = found.get(dw.AT_NAME) or ("fn" if tag == dw.TAG_SUBROUTINE_TYPE else "{unnamed}")
        self._tables.types[offset] = ["o", name, _size(found)]
        return _Scope(scope.prefix)

    def _alias(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        self._tables.types[offset] = ["t", found.get(dw.AT_TYPE, 0)]
        if dw.AT_NAME in found:
            for name in {scope.prefix + found[dw.AT_NAME], found[dw.AT_NAME]}:
                self._tables.names.setdefault(name, []).append(offset)
        return scope


class _Functions:
    """Gives what has an address to `named`, with the path that it is in."""

    def __init__(self, named: NamedDies) -> None:
        self._named = named

    def handlers(self) -> dict[int, _Handler]:
        """By the tags of functions, of what is in them, and of namespaces."""
        return {
            dw.TAG_NAMESPACE: self._namespace,
            dw.TAG_VARIABLE: self._variable,
            dw.TAG_SUBPROGRAM: self._subprogram,
            dw.TAG_FORMAL_PARAMETER: self._argument,
            dw.TAG_INLINED_SUBROUTINE: self._inlined,
        }

    def _namespace(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        return _Scope(f"{scope.prefix}{found.get(dw.AT_NAME, '{unnamed}')}::")

    def _variable(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        self._named.variable(offset, scope.prefix, scope.in_function, found)
        return scope

    def _subprogram(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        path = self._named.subprogram(offset, scope.prefix, found)
        return _Scope(f"{path}::" if path else scope.prefix, in_function=True, function=offset)

    def _argument(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        if scope.function is not None:
            self._named.parameter(offset, scope.function, found)
        return scope

    def _inlined(self, offset: int, tag: int, scope: _Scope, found: Attributes) -> _Scope:
        self._named.inlined(scope.inlined, found)
        return _Scope(scope.prefix, in_function=True, inlined=scope.inlined + 1)


def without_arguments(name: str) -> str:
    """A type's own name without its generic arguments: `Vec<u8>` is `Vec`; `&Vec<u8>` stays."""
    head, _, rest = name.partition("<")
    return head if rest and head.replace("_", "a").isalnum() else name


def _size(found: Attributes) -> int:
    size = int(found.get(dw.AT_BYTE_SIZE, 0))
    return size if 0 <= size <= _MAX_SIZE else 0


def _constant(value: int | bytes) -> int:
    """An attribute that is a number: 128-bit constants come as blocks."""
    return int.from_bytes(value[:16], "little") if isinstance(value, bytes) else int(value)


def _member_offset(found: Attributes) -> int:
    location = found.get(dw.AT_DATA_MEMBER_LOCATION, 0)
    if isinstance(location, int):
        return location or found.get(dw.AT_DATA_BIT_OFFSET, 0) // 8
    if location[:1] == bytes([dw.OP_PLUS_UCONST]):
        return uleb128(location, 1)[0]
    raise DwarfError("a member whose offset only the program knows")


def _discriminants(found: Attributes) -> list[tuple[int, int, int, int]]:
    """Inclusive ranges of the discriminant: low, high, and in how many bits each was written.

    A number in some bits is negative if its highest bit is set and the discriminant's type is
    signed; 0 bits stand for a number that has its sign already.
    """
    if dw.AT_DISCR_VALUE in found:
        written = found[dw.AT_DISCR_VALUE]
        bits = 8 * len(written) if isinstance(written, bytes) else 0
        value = _constant(written)
        return [(value, value, bits, bits)]
    # DWARF 5, section 7.8: DW_DSC_label (0) value, or DW_DSC_range (1) low high.
    data = found.get(dw.AT_DISCR_LIST, b"")
    ranges, position = [], 0
    while position < len(data):
        is_range = data[position] == 1
        begin = position + 1
        low, position = uleb128(data, begin)
        high, bits = low, 7 * (position - begin)
        low_bits = bits
        if is_range:
            begin = position
            high, position = uleb128(data, begin)
            bits = 7 * (position - begin)
        ranges.append((low, high, low_bits, bits))
    return ranges
