"""A forward scan over .debug_info that decodes only what is asked for.

pyelftools builds an object for every attribute of every DIE: some 9 µs a DIE, and a debug kernel
has 150,000 of them, so that each rebuild of the kernel would cost its user seconds. Here each
abbreviation is compiled once into `struct` formats, and a DIE of no interest costs one look-up.
Source of the format: DWARF 5, section 7.5; DWARF 2 to 4 differ in the unit's header.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf import forms
from rcdbg.image.dwarf.forms import DebugSections, DwarfError, uleb128

MAX_DEPTH = 500
"""Deeper nesting than this is damage: rustc's own stays below 40."""

MAX_INFO = 1 << 26
"""Bytes of .debug_info that are looked at: the largest kernels of the kind have 2 MB."""

_UNIT_TYPES = frozenset({1, 3})  # compile and partial; not types, skeletons, split units
_ROOT_TAGS = frozenset({dw.TAG_COMPILE_UNIT, dw.TAG_PARTIAL_UNIT})
_BASES = frozenset({dw.AT_STR_OFFSETS_BASE, dw.AT_ADDR_BASE, dw.AT_RNGLISTS_BASE})
_WITHOUT_BYTES = frozenset({forms.FLAG_PRESENT, forms.IMPLICIT_CONST})
_TO_RESOLVE = (
    frozenset({forms.STRP, forms.LINE_STRP, forms.RNGLISTX})
    | forms.UNIT_REFERENCES
    | forms.STRING_INDEXES
    | forms.ADDRESS_INDEXES
)

Attributes = dict[int, Any]
"""DW_AT code -> str, int (references are absolute offsets), bytes of a block, or True."""

Die = tuple[int, int, int, Attributes]
"""Offset in .debug_info, depth (the unit's root is 0), DW_TAG code, the wanted attributes."""

Wanted = Mapping[int, frozenset[int]]
"""DW_TAG code -> the DW_AT codes to decode."""

Step = Callable[[bytes, int, Attributes], int]
"""Reads some attributes of a DIE at a position; returns the position behind them."""


@dataclass(slots=True)
class Shape:
    """One abbreviation, compiled: how to read the DIEs that use it."""

    tag: int
    has_children: bool
    is_reported: bool
    fixed_size: int | None = 0
    """The size in bytes of all attributes together; None if it varies."""
    steps: list[Step] = field(default_factory=list)
    constants: Attributes = field(default_factory=dict)
    """Attributes whose value is in the abbreviation."""
    to_resolve: list[tuple[int, int]] = field(default_factory=list)
    """(attribute, form) of values that stand for something elsewhere."""


@dataclass(frozen=True, slots=True)
class UnitFormat:
    """What a unit's header says about how to read it; sizes in bytes."""

    abbrev_offset: int
    version: int
    offset_size: int
    address_size: int


@dataclass(slots=True)
class Unit:
    """One unit of .debug_info, and where its root says that its tables begin."""

    sections: DebugSections
    offset: int
    end: int
    first_die: int
    format: UnitFormat
    str_offsets_base: int
    addr_base: int
    rnglists_base: int

    def address_at(self, index: int) -> int:
        """The address at that index of the unit's part of .debug_addr."""
        size = self.format.address_size
        return forms.little(self.sections.addr, self.addr_base + index * size, size)


class Scanner:
    """All units of .debug_info, with the attributes in `wanted` decoded and the others skipped.

    On damaged data its methods raise DwarfError, IndexError or struct.error.
    """

    def __init__(self, sections: DebugSections, wanted: Wanted) -> None:
        self._sections = sections
        self._wanted = wanted
        self._shapes: dict[UnitFormat, dict[int, Shape]] = {}
        self._strings: dict[int, str] = {}

    def units(self) -> Iterator[Unit]:
        """Every unit that describes code or types; skeletons and type units are passed over."""
        info = self._sections.info
        if len(info) > MAX_INFO:
            raise DwarfError(f".debug_info of {len(info):,} bytes")
        offset = 0
        while offset + 4 <= len(info):
            length, start, offset_size = forms.little(info, offset, 4), offset + 4, 4
            if length == 0xFFFFFFFF:
                length, start, offset_size = forms.little(info, start, 8), start + 8, 8
            end = start + length
            if not length and not info[offset:].strip(b"\0"):
                return  # padding
            if not length:
                raise DwarfError(f"the unit at {offset:#x} is empty")
            if end > len(info):
                raise DwarfError(f"the unit at {offset:#x} reaches past the end of .debug_info")
            unit = self._unit(offset, start, end, offset_size)
            if unit is not None:
                yield unit
            offset = end

    def scan(self, unit: Unit) -> Iterator[Die]:
        """The unit's DIEs of a wanted tag, and all that have children, in their order."""
        info, end = self._sections.info, unit.end
        shapes = self._shapes.get(unit.format)
        if shapes is None:
            shapes = self._shapes[unit.format] = self._compile(unit.format)
        position, depth = unit.first_die, 0
        while position < end:
            offset = position
            code = info[position]
            position += 1
            if code >= 0x80:
                code, position = uleb128(info, offset)
            if code == 0:
                depth -= 1
                if depth <= 0:
                    break
                continue
            shape = shapes.get(code)
            if shape is None:
                raise DwarfError(f"the DIE at {offset:#x} has no abbreviation")
            if shape.is_reported:
                attributes = shape.constants.copy()
                for step in shape.steps:
                    position = step(info, position, attributes)
                if depth == 0:
                    _read_bases(unit, attributes)
                for attribute, form in shape.to_resolve:
                    attributes[attribute] = self._resolved(unit, form, attributes[attribute])
                yield offset, depth, shape.tag, attributes
            elif shape.fixed_size is not None:
                position += shape.fixed_size
            else:
                ignored: Attributes = {}
                for step in shape.steps:
                    position = step(info, position, ignored)
            if shape.has_children:
                depth += 1
                if depth > MAX_DEPTH:
                    raise DwarfError(f"the DIE at {offset:#x} is nested too deeply")
            elif depth == 0:
                break
        if position > end:
            raise DwarfError(f"a DIE reaches past the end of its unit at {end:#x}")

    def _unit(self, offset: int, start: int, end: int, offset_size: int) -> Unit | None:
        info = self._sections.info
        version = forms.little(info, start, 2)
        position = start + 2
        if version == 5:
            unit_type, address_size = info[position], info[position + 1]
            abbrev_offset = forms.little(info, position + 2, offset_size)
            position += 2 + offset_size
            if unit_type not in _UNIT_TYPES:
                return None
        elif 2 <= version <= 4:
            abbrev_offset = forms.little(info, position, offset_size)
            address_size = info[position + offset_size]
            position += offset_size + 1
        else:
            raise DwarfError(f"the unit at {offset:#x} is of DWARF version {version}")
        if address_size not in (4, 8):
            raise DwarfError(f"the unit at {offset:#x} has addresses of {address_size} bytes")
        # Without a base DWARF 5 means the first table, right behind the section's header.
        first = 2 * offset_size
        unit_format = UnitFormat(abbrev_offset, version, offset_size, address_size)
        return Unit(self._sections, offset, end, position, unit_format, first, first, 0)

    def _compile(self, unit_format: UnitFormat) -> dict[int, Shape]:
        """The abbreviation table that starts at that offset (DWARF 5, section 7.5.3)."""
        data = self._sections.abbrev
        shapes: dict[int, Shape] = {}
        position = unit_format.abbrev_offset
        while True:
            code, position = uleb128(data, position)
            if code == 0:
                return shapes
            tag, position = uleb128(data, position)
            has_children = data[position] != 0
            position += 1
            specs: list[tuple[int, int, int]] = []
            while True:
                attribute, position = uleb128(data, position)
                form, position = uleb128(data, position)
                constant = 0
                if form == forms.IMPLICIT_CONST:
                    constant, position = forms.sleb128(data, position)
                if attribute == form == 0:
                    break
                specs.append((attribute, form, constant))
            shapes[code] = self._shape(tag, has_children, specs, unit_format)

    def _shape(
        self,
        tag: int,
        has_children: bool,
        specs: list[tuple[int, int, int]],
        unit_format: UnitFormat,
    ) -> Shape:
        """Runs of attributes of a fixed size become one step, each other attribute its own."""
        wanted = self._wanted.get(tag, frozenset())
        if tag in _ROOT_TAGS:
            wanted |= _BASES
        shape = Shape(tag, has_children, has_children or tag in self._wanted)
        layout, names = "<", list[int]()
        for attribute, form, constant in specs:
            is_wanted = attribute in wanted and forms.fits(attribute, form)
            if form in _WITHOUT_BYTES:
                if is_wanted:
                    shape.constants[attribute] = constant if form == forms.IMPLICIT_CONST else True
                continue
            if is_wanted and form in _TO_RESOLVE:
                shape.to_resolve.append((attribute, form))
            code = _code(form, unit_format)
            if code is not None and is_wanted and attribute == dw.AT_DISCR_VALUE:
                # Whether 0xfe means -2 only the tag's type says: the width must not get lost.
                code = f"{struct.calcsize('<' + code)}s"
            if code is None:
                _add_fixed(shape, layout, names)
                layout, names = "<", []
                shape.steps.append(_variable_step(form, attribute if is_wanted else None))
                shape.fixed_size = None
            elif is_wanted:
                layout += code
                names.append(attribute)
            else:
                layout += f"{struct.calcsize('<' + code)}x"
        _add_fixed(shape, layout, names)
        return shape

    def _resolved(self, unit: Unit, form: int, value: int) -> Any:
        """What a value stands for: a string, an absolute reference, an address."""
        if form == forms.STRP:
            return self._string(value)
        if form in forms.UNIT_REFERENCES:
            return unit.offset + value
        if form == forms.LINE_STRP:
            return forms.c_string(self._sections.line_str, value)
        if form in forms.ADDRESS_INDEXES:
            return unit.address_at(value)
        size = unit.format.offset_size
        if form == forms.RNGLISTX:
            entry = unit.rnglists_base + value * size
            return unit.rnglists_base + forms.little(self._sections.rnglists, entry, size)
        entry = unit.str_offsets_base + value * size
        return self._string(forms.little(self._sections.str_offsets, entry, size))

    def _string(self, offset: int) -> str:
        found = self._strings.get(offset)
        if found is None:
            found = self._strings[offset] = forms.c_string(self._sections.str, offset)
        return found


def _code(form: int, unit_format: UnitFormat) -> str | None:
    """The `struct` code of a form; None if its size varies."""
    if form == forms.ADDR:
        return "I" if unit_format.address_size == 4 else "Q"
    if form in forms.OFFSETS:
        # In DWARF 2 a reference across units was as wide as an address.
        old = form == forms.REF_ADDR and unit_format.version == 2
        size = unit_format.address_size if old else unit_format.offset_size
        return "I" if size == 4 else "Q"
    if form == forms.INDIRECT:
        raise DwarfError("DW_FORM_indirect, which no known compiler writes")
    return forms.FIXED.get(form)


def _add_fixed(shape: Shape, layout: str, attributes: list[int]) -> None:
    if layout == "<":
        return
    compiled, names = struct.Struct(layout), tuple(attributes)
    unpack, size = compiled.unpack_from, compiled.size

    def step(data: bytes, position: int, found: Attributes) -> int:
        found.update(zip(names, unpack(data, position), strict=True))
        return position + size

    shape.steps.append(step)
    if shape.fixed_size is not None:
        shape.fixed_size += size


def _variable_step(form: int, attribute: int | None) -> Step:
    read = forms.variable_reader(form)

    def step(data: bytes, position: int, found: Attributes) -> int:
        value, end = read(data, position)
        if attribute is not None:
            found[attribute] = value
        return end

    return step


def _read_bases(unit: Unit, root: Attributes) -> None:
    # The root may use indirect forms before it names their bases: those come first.
    unit.str_offsets_base = root.get(dw.AT_STR_OFFSETS_BASE, unit.str_offsets_base)
    unit.addr_base = root.get(dw.AT_ADDR_BASE, unit.addr_base)
    unit.rnglists_base = root.get(dw.AT_RNGLISTS_BASE, unit.rnglists_base)
