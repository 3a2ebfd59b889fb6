"""How the values of DWARF attributes are written: the forms (DW_FORM).

Source of the format: DWARF 5, sections 7.5.5 (classes), 7.5.6 (forms) and 7.6 (LEB128).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rcdbg.image.dwarf import constants as dw

MAX_LEB_BYTES = 19
"""Enough for a 128-bit constant."""

INDIRECT = 0x16
FLAG_PRESENT = 0x19
IMPLICIT_CONST = 0x21
STRP = 0x0E
LINE_STRP = 0x1F
RNGLISTX = 0x23
REF_ADDR = 0x10
ADDR = 0x01

UNIT_REFERENCES = frozenset({0x11, 0x12, 0x13, 0x14, 0x15})
STRING_INDEXES = frozenset({0x1A, 0x25, 0x26, 0x27, 0x28, 0x1F02})
ADDRESS_INDEXES = frozenset({0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01})
OFFSETS = frozenset({REF_ADDR, STRP, 0x17, 0x1D, LINE_STRP, 0x1F20, 0x1F21})
"""As wide as the unit's offsets: these, sec_offset, and references to a supplementary file."""

FIXED = {
    ADDR: "Q",
    0x05: "H",  # data2
    0x06: "I",  # data4
    0x07: "Q",  # data8
    0x0B: "B",  # data1
    0x0C: "B",  # flag
    0x11: "B",  # ref1
    0x12: "H",  # ref2
    0x13: "I",  # ref4
    0x14: "Q",  # ref8
    0x1C: "I",  # ref_sup4
    0x1E: "16s",  # data16
    0x20: "Q",  # ref_sig8
    0x24: "Q",  # ref_sup8
    0x25: "B",  # strx1
    0x26: "H",  # strx2
    0x28: "I",  # strx4
    0x29: "B",  # addrx1
    0x2A: "H",  # addrx2
    0x2C: "I",  # addrx4
}
"""Form -> `struct` code, of those whose size is always the same."""

# What a form can say, and what an attribute may be: one that says something else is damage, and is
# passed over. References to type units or other files are missing here: nothing can follow them.
_STRING, _REFERENCE, _NUMBER, _BLOCK = 1, 2, 4, 8
_CLASSES = {
    **dict.fromkeys((0x08, STRP, LINE_STRP, *STRING_INDEXES), _STRING),
    **dict.fromkeys((REF_ADDR, *UNIT_REFERENCES), _REFERENCE),
    **dict.fromkeys((0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0D, 0x0F, 0x17), _NUMBER),
    **dict.fromkeys((ADDR, FLAG_PRESENT, IMPLICIT_CONST, RNGLISTX, *ADDRESS_INDEXES), _NUMBER),
    **dict.fromkeys((0x03, 0x04, 0x09, 0x0A, 0x18, 0x1E), _BLOCK),
}
_ALLOWED = {
    **dict.fromkeys((dw.AT_NAME, dw.AT_COMP_DIR, dw.AT_LINKAGE_NAME), _STRING),
    **dict.fromkeys((dw.AT_TYPE, dw.AT_DISCR, dw.AT_CONTAINING_TYPE), _REFERENCE),
    **dict.fromkeys((dw.AT_SPECIFICATION, dw.AT_ABSTRACT_ORIGIN), _REFERENCE),
    **dict.fromkeys((dw.AT_CONST_VALUE, dw.AT_DISCR_VALUE), _NUMBER | _BLOCK),
    **dict.fromkeys((dw.AT_COUNT, dw.AT_LOWER_BOUND, dw.AT_UPPER_BOUND), _NUMBER),
    dw.AT_DATA_MEMBER_LOCATION: _NUMBER | _BLOCK,
    dw.AT_LOCATION: _NUMBER | _BLOCK,
    dw.AT_FRAME_BASE: _NUMBER | _BLOCK,
    dw.AT_DISCR_LIST: _BLOCK,
}


class DwarfError(Exception):
    """The debug info contradicts itself or ends too early."""


@dataclass(frozen=True, slots=True)
class DebugSections:
    """The uncompressed contents of the .debug_* sections; empty when there is no such section."""

    info: bytes = b""
    abbrev: bytes = b""
    str: bytes = b""
    line_str: bytes = b""
    str_offsets: bytes = b""
    addr: bytes = b""
    ranges: bytes = b""
    rnglists: bytes = b""
    loc: bytes = b""
    line: bytes = b""


def fits(attribute: int, form: int) -> bool:
    """Whether values of that form make sense for that attribute; most attributes are numbers."""
    return bool(_CLASSES.get(form, 0) & _ALLOWED.get(attribute, _NUMBER))


def uleb128(data: bytes, position: int) -> tuple[int, int]:
    """The unsigned LEB128 number at `position`, and the position behind it."""
    byte = data[position]
    if byte < 0x80:  # as nearly all are
        return byte, position + 1
    value, shift = byte & 0x7F, 7
    for index in range(1, MAX_LEB_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + index + 1
        shift += 7
    raise DwarfError(f"endless LEB128 number at {position:#x}")


def sleb128(data: bytes, position: int) -> tuple[int, int]:
    """The signed LEB128 number at `position`, and the position behind it."""
    value, end = uleb128(data, position)
    bits = 7 * (end - position)
    return (value - (1 << bits) if value >> (bits - 1) else value), end


def c_string(data: bytes, offset: int) -> str:
    """The NUL-terminated string at `offset`; undecodable bytes become U+FFFD."""
    return inline_string(data, offset)[0]


def inline_string(data: bytes, position: int) -> tuple[str, int]:
    """The NUL-terminated string at `position`, and the position behind its end."""
    end = data.find(b"\0", position)
    if end < 0:
        raise DwarfError(f"no string at {position:#x}")
    return data[position:end].decode("utf-8", "replace"), end + 1


def take(data: bytes, position: int, size: int) -> bytes:
    """Exactly `size` bytes; raises DwarfError when there are fewer."""
    taken = data[position : position + size]
    if len(taken) != size:
        raise DwarfError(f"{size} bytes at {position:#x} reach past the end")
    return taken


def little(data: bytes, position: int, size: int) -> int:
    """The little-endian number of `size` bytes; raises DwarfError when it is cut off."""
    return int.from_bytes(take(data, position, size), "little")


def read_form(
    sections: DebugSections, data: bytes, position: int, form: int, offset_size: int
) -> tuple[Any, int]:
    """One value of that form outside of .debug_info, and the position behind it.

    Raises DwarfError for a form that has no meaning there.
    """
    if form in OFFSETS:
        value = little(data, position, offset_size)
        if form == STRP:
            return c_string(sections.str, value), position + offset_size
        if form == LINE_STRP:
            return c_string(sections.line_str, value), position + offset_size
        return value, position + offset_size
    code = FIXED.get(form)
    if code is not None:
        (number,) = struct.unpack_from("<" + code, data, position)
        return number, position + struct.calcsize("<" + code)
    return variable_reader(form)(data, position)


def variable_reader(form: int) -> Callable[[bytes, int], tuple[Any, int]]:
    """The function that reads values of a form whose size varies: (data, position) to the value
    and the position behind it. Raises DwarfError for a form that is not known.
    """
    read = _VARIABLE.get(form)
    if read is None:
        raise DwarfError(f"unknown form {form:#x}")
    return read


def _block(width: int | None) -> Callable[[bytes, int], tuple[Any, int]]:
    """A reader of blocks whose length comes first, in `width` bytes or LEB128."""

    def read(data: bytes, position: int) -> tuple[Any, int]:
        if width is None:
            size, start = uleb128(data, position)
        else:
            size, start = little(data, position, width), position + width
        return take(data, start, size), start + size

    return read


def _three_bytes(data: bytes, position: int) -> tuple[Any, int]:
    return little(data, position, 3), position + 3


_VARIABLE: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    0x03: _block(2),
    0x04: _block(4),
    0x08: inline_string,
    0x09: _block(None),
    0x0A: _block(1),
    0x0D: sleb128,  # sdata
    0x0F: uleb128,  # udata
    0x15: uleb128,  # ref_udata
    0x18: _block(None),  # exprloc
    0x1A: uleb128,  # strx
    0x1B: uleb128,  # addrx
    0x22: uleb128,  # loclistx
    RNGLISTX: uleb128,
    0x27: _three_bytes,  # strx3
    0x2B: _three_bytes,  # addrx3
    0x1F01: uleb128,  # GNU_addr_index
    0x1F02: uleb128,  # GNU_str_index
}
