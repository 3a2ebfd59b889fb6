"""Statics and functions: the DIEs that give names to addresses.

Source of the format: DWARF 5, sections 3.3 (subprograms), 4.1 (variables), 2.13.2 (declarations
that another DIE completes) and 3.3.8.2 (out-of-line instances of inlined functions).
"""

from collections import Counter
from dataclasses import dataclass, replace

from rcdbg.image.demangle import demangle
from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Attributes, Unit
from rcdbg.image.dwarf.forms import DebugSections, uleb128
from rcdbg.image.dwarf.locations import lies_where_a_register_points
from rcdbg.image.dwarf.ranges import Range, code_ranges
from rcdbg.image.lines import FileTables
from rcdbg.image.rows import Row, Tables

_MAX_ORIGINS = 8

MAX_INLINED = 128
"""Functions that are inlined one in the other; more are damage."""


@dataclass(slots=True)
class _Named:
    """A subprogram or variable DIE, until those that it refers to are known."""

    path: str
    linkage_name: str
    place: tuple[int, int]
    """Where the unit's line table starts, and the number of the file in it."""
    line: int | None
    origin: int
    type: int


class NamedDies:
    """Collects such DIEs during a pass, then names every static and function."""

    def __init__(self, sections: DebugSections) -> None:
        self._files = FileTables(sections)
        self._unit: Unit
        self._root: Attributes = {}
        self._named: dict[int, _Named] = {}
        self._addresses: dict[int, int] = {}
        self._code: dict[int, list[Range]] = {}
        self._containing: dict[int, int] = {}
        self._lost: dict[int, str] = {}
        self._arguments: dict[int, list[int]] = {}
        self._parameters: dict[int, tuple[str, int, int]] = {}
        self._altered: set[int] = set()
        self._by_reference: set[int] = set()
        self._inlined: Counter[int] = Counter()
        self._copies: list[tuple[int, int, list[Range], tuple[int, int], int | None]] = []

    def enter_unit(self, unit: Unit, root: Attributes) -> None:
        """From here on DIEs belong to that unit."""
        self._unit, self._root = unit, root
        table = root.get(dw.AT_STMT_LIST, -1)
        self._files.set_directory(table, root.get(dw.AT_COMP_DIR, ""))

    def vtable_type(self, offset: int, concrete: int) -> None:
        """Tells that the struct at `offset` is the vtable of that type, for some trait."""
        self._containing[offset] = concrete

    def variable(self, offset: int, prefix: str, in_function: bool, found: Attributes) -> None:
        """Takes note of a variable, if it is a static or may be the declaration of one."""
        expression = found.get(dw.AT_LOCATION)
        if not isinstance(expression, bytes):
            expression = None  # a list of places: a local's
        if dw.AT_LINKAGE_NAME in found and dw.AT_NAME in found:
            # Locals have no linkage name: this is a static, whether or not it is still there.
            self._lost[offset] = prefix + found[dw.AT_NAME]
        if expression is None:
            # Locals without a place are many, and never a static's declaration.
            if not in_function:
                self._note(offset, prefix, found)
            return
        address = self._static_address(expression)
        if address is not None:
            self._addresses[offset] = address
            self._note(offset, prefix, found)

    def subprogram(self, offset: int, prefix: str, found: Attributes) -> str:
        """Takes note of a function; returns its path, empty if another DIE has it."""
        ranges = code_ranges(self._unit, self._root, found)
        if ranges:
            self._code[offset] = ranges
        if found.get(dw.AT_CALLING_CONVENTION) == dw.CC_NOCALL:
            self._altered.add(offset)
        return self._note(offset, prefix, found)

    def parameter(self, offset: int, function: int, found: Attributes) -> None:
        """Takes note of a parameter of the subprogram at `function`."""
        self._arguments.setdefault(function, []).append(offset)
        name, type_id = found.get(dw.AT_NAME, ""), found.get(dw.AT_TYPE, 0)
        self._parameters[offset] = name, type_id, found.get(dw.AT_ABSTRACT_ORIGIN, 0)
        if dw.AT_LOCATION in found and function in self._code:
            entry, place = self._code[function][0][0], found[dw.AT_LOCATION]
            if lies_where_a_register_points(self._unit, self._root, place, entry):
                self._by_reference.add(offset)

    def inlined(self, depth: int, found: Attributes) -> None:
        """Takes note of a copy of a subprogram inside of another one, or of `depth` such copies."""
        origin = found.get(dw.AT_ABSTRACT_ORIGIN, 0)
        self._inlined[origin] += 1
        ranges = code_ranges(self._unit, self._root, found)
        if ranges and depth < MAX_INLINED:
            called_in = (self._root.get(dw.AT_STMT_LIST, -1), found.get(dw.AT_CALL_FILE, 0))
            copy = (origin, depth, ranges, called_in, found.get(dw.AT_CALL_LINE))
            self._copies.append(copy)

    def fill(self, tables: Tables) -> None:
        """Adds all statics, functions and vtables that have an address."""
        for offset, address in self._addresses.items():
            named = self._complete(offset)
            if named.type in self._containing:
                tables.vtables[address] = self._containing[named.type]
            elif not named.path.endswith("{vtable}"):
                path, linkage_name, file, line = self._describe(named)
                tables.statics.append([path, linkage_name, address, named.type, file, line])
        kept = {self._named[offset].origin for offset in self._addresses} | set(self._addresses)
        lost = (path for offset, path in self._lost.items() if offset not in kept)
        tables.lost = sorted(set(lost) - {row[0] for row in tables.statics})
        # How a type is passed does not depend on the function, and not every copy tells.
        pointed_to = {self._parameter(offset)[1] for offset in self._by_reference}
        for offset, ranges in self._code.items():
            named = self._complete(offset)
            row: Row = [*self._describe(named)]
            row[2:2] = [ranges]
            parameters = self._parameters_of(offset)
            by_reference = [n for n, (_, kind) in enumerate(parameters) if kind in pointed_to]
            row += [parameters, named.type, offset in self._altered, by_reference]
            tables.functions.append(row)
        tables.functions.sort(key=lambda row: row[2][0])
        paths: dict[int, str] = {}
        for offset, count in self._inlined.items():
            if offset in self._named:
                path = paths[offset] = self._describe(self._complete(offset))[0]
                tables.inlined[path] = tables.inlined.get(path, 0) + count
        texts: dict[str, int] = {}
        for origin, depth, ranges, called_in, line in self._copies:
            if origin in paths:
                file = self._files.path(*called_in) if line is not None else None
                words = (texts.setdefault(t, len(texts)) for t in (paths[origin], file or ""))
                tables.copies.append([*words, line, depth, ranges])
        tables.texts = list(texts)
        tables.copies.sort(key=lambda row: (row[3], row[4][0]))

    def _note(self, offset: int, prefix: str, found: Attributes) -> str:
        name = found.get(dw.AT_NAME, "")
        path = prefix + name if name else ""
        self._named[offset] = _Named(
            path=path,
            linkage_name=found.get(dw.AT_LINKAGE_NAME, ""),
            place=(self._root.get(dw.AT_STMT_LIST, -1), found.get(dw.AT_DECL_FILE, 0)),
            line=found.get(dw.AT_DECL_LINE),
            origin=found.get(dw.AT_SPECIFICATION, 0) or found.get(dw.AT_ABSTRACT_ORIGIN, 0),
            type=found.get(dw.AT_TYPE, 0),
        )
        return path

    def _static_address(self, expression: bytes) -> int | None:
        """Where a static is; an optimised one may be a part of a merged one: address + offset."""
        address, end = None, 1 + self._unit.format.address_size
        if expression[:1] == bytes([dw.OP_ADDR]) and len(expression) >= end:
            address = int.from_bytes(expression[1:end], "little")
        elif expression[:1] == bytes([dw.OP_ADDRX]):
            index, end = uleb128(expression, 1)
            address = self._unit.address_at(index)
        # The linker leaves statics that it discarded at address 0.
        if not address:
            return None
        if expression[end : end + 1] == bytes([dw.OP_PLUS_UCONST]):
            offset, end = uleb128(expression, end + 1)
            address += offset
        return address if end == len(expression) else None

    def _complete(self, offset: int) -> _Named:
        """That DIE with what it lacks taken from those that it refers to."""
        named = replace(self._named[offset])
        for _ in range(_MAX_ORIGINS):
            origin = self._named.get(named.origin)
            if origin is None:
                break
            # A definition stands outside of the type or module that the declaration is in.
            named.path = origin.path or named.path
            if named.line is None:
                named.line, named.place = origin.line, origin.place
            named.linkage_name = named.linkage_name or origin.linkage_name
            named.type = named.type or origin.type
            named.origin = origin.origin
        return named

    def _parameters_of(self, offset: int) -> list[Row]:
        """Name and type of each parameter of a subprogram, in order.

        An optimised copy may lack those that it does not use: then the origin has them all.
        """
        best: list[int] = []
        for _ in range(_MAX_ORIGINS):
            found = self._arguments.get(offset, [])
            best = found if len(found) > len(best) else best
            if offset not in self._named or not self._named[offset].origin:
                break
            offset = self._named[offset].origin
        return [self._parameter(one) for one in best]

    def _parameter(self, offset: int) -> Row:
        name, type_id = "", 0
        for _ in range(_MAX_ORIGINS):
            own_name, own_type, origin = self._parameters.get(offset, ("", 0, 0))
            name, type_id = name or own_name, type_id or own_type
            if not origin:
                break
            offset = origin
        return [name, type_id]

    def _describe(self, named: _Named) -> tuple[str, str, str | None, int | None]:
        path = named.path
        # rustc numbers impl blocks: `{impl#3}::deref` says less than the mangled name.
        if not path or "{impl#" in path:
            path = demangle(named.linkage_name) or path or named.linkage_name
        file = self._files.path(*named.place) if named.line is not None else None
        return path, named.linkage_name, file, named.line
