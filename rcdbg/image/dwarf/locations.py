"""Where a parameter is at the entry of its function: expressions and .debug_loc.

Source of the format: DWARF 4, sections 2.6 and 7.7.3; the numbers of the registers: RISC-V psABI,
"DWARF register numbers". Location lists of DWARF 5 are not read: rustc writes DWARF 4 for its
riscv targets.
"""

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Attributes, Unit
from rcdbg.image.dwarf.forms import DwarfError, little, take

_MAX_ENTRIES = 4096
_POINTS = {bytes([dw.OP_BREG0 + number, 0]) for number in range(10, 18)}
"""At offset 0 from what is in a0, ..., a7."""


def lies_where_a_register_points(
    unit: Unit, root: Attributes, place: int | bytes, entry: int
) -> bool:
    """Whether a parameter is, at `entry`, in memory at the address in one of a0 to a7.

    `place` is its DW_AT_location. So the compiler tells of what the caller passes by reference,
    though the source passes it by value. Raises DwarfError for a damaged list.
    """
    if isinstance(place, bytes):
        return place in _POINTS
    if unit.format.version >= 5:
        return False
    return _at(unit, place, root.get(dw.AT_LOW_PC, 0), entry) in _POINTS


def _at(unit: Unit, offset: int, base: int, pc: int) -> bytes:
    """The expression of the location list for `pc`; empty if there is none."""
    data, width = unit.sections.loc, unit.format.address_size
    select_base = (1 << (8 * width)) - 1
    for _ in range(_MAX_ENTRIES):
        low, high = little(data, offset, width), little(data, offset + width, width)
        offset += 2 * width
        if low == high == 0:
            return b""
        if low == select_base:
            base = high
            continue
        size = little(data, offset, 2)
        if base + low <= pc < base + high:
            return take(data, offset + 2, size)
        offset += 2 + size
    raise DwarfError(f"the location list at {offset:#x} does not end")
