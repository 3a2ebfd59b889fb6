"""Which addresses a function covers: low_pc and high_pc, .debug_ranges, .debug_rnglists.

Source of the format: DWARF 5, sections 2.17 and 7.25; DWARF 4, section 2.17.3.
"""

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Attributes, Unit
from rcdbg.image.dwarf.forms import DwarfError, uleb128

Range = tuple[int, int]
"""An address and a size in bytes."""

MAX_RANGES = 4096
"""A function in more pieces than this is damage."""


def code_ranges(unit: Unit, root: Attributes, found: Attributes) -> list[Range]:
    """The pieces of code of a DIE, the one with its entry first; empty when it has none.

    Functions that the linker discarded (address 0, or all ones) have none.
    Raises DwarfError or IndexError when the lists are damaged.
    """
    tombstone = (1 << (8 * unit.format.address_size)) - 2
    low = found.get(dw.AT_LOW_PC)
    if low is not None and dw.AT_HIGH_PC in found:
        high = found[dw.AT_HIGH_PC]
        # An address, or since DWARF 4 also the size; no code lies below its own size.
        pieces = [(low, high - low if high > low else high)]
    elif dw.AT_RANGES in found:
        base = root.get(dw.AT_LOW_PC, 0)
        read = _rnglist if unit.format.version >= 5 else _range_list
        pieces = read(unit, found[dw.AT_RANGES], base)
    else:
        return []
    return [(start, size) for start, size in pieces if 0 < start < tombstone and size > 0]


def _range_list(unit: Unit, offset: int, base: int) -> list[Range]:
    data, width = unit.sections.ranges, unit.format.address_size
    select_base = (1 << (8 * width)) - 1
    pieces: list[Range] = []
    for position in range(offset, offset + 2 * width * MAX_RANGES, 2 * width):
        entry = data[position : position + 2 * width]
        if len(entry) != 2 * width:
            raise DwarfError(f"the range list at {offset:#x} reaches past its section")
        low = int.from_bytes(entry[:width], "little")
        high = int.from_bytes(entry[width:], "little")
        if low == high == 0:
            return pieces
        if low == select_base:
            base = high
        elif base or low:
            # A discarded function keeps a base of zero: its entries then start at zero.
            pieces.append((base + low, high - low))
    raise DwarfError(f"the range list at {offset:#x} does not end")


def _rnglist(unit: Unit, offset: int, base: int) -> list[Range]:
    data, width = unit.sections.rnglists, unit.format.address_size
    pieces: list[Range] = []
    position = offset

    def number() -> int:
        nonlocal position
        value, position = uleb128(data, position)
        return value

    def address() -> int:
        nonlocal position
        position += width
        return int.from_bytes(data[position - width : position], "little")

    for _ in range(MAX_RANGES):
        kind = data[position]
        position += 1
        if kind == 0:  # end_of_list
            return pieces
        if kind == 1:  # base_addressx
            base = unit.address_at(number())
        elif kind == 2:  # startx_endx
            low = unit.address_at(number())
            pieces.append((low, unit.address_at(number()) - low))
        elif kind == 3:  # startx_length
            low = unit.address_at(number())
            pieces.append((low, number()))
        elif kind == 4:  # offset_pair
            low = number()
            pieces.append((base + low, number() - low))
        elif kind == 5:  # base_address
            base = address()
        elif kind == 6:  # start_end
            low = address()
            pieces.append((low, address() - low))
        elif kind == 7:  # start_length
            low = address()
            pieces.append((low, number()))
        else:
            raise DwarfError(f"range list entry of kind {kind}")
    raise DwarfError(f"the range list at {offset:#x} does not end")
