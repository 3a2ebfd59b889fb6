"""Whether debug info is only the skeleton of what lies in `.dwo` files.

Source of the format: DWARF 5, sections 3.1.2 and 7.5.1; GNU's DebugFission for DWARF 4.
"""

import struct

from rcdbg.image.dwarf import constants as dw
from rcdbg.image.dwarf.dies import Scanner
from rcdbg.image.dwarf.forms import DebugSections, DwarfError, little

_SKELETON = 4
_VERSION_5 = 5
_LONG = 0xFFFF_FFFF
_DWO_ID = frozenset({dw.AT_GNU_DWO_ID})


def is_split(info: bytes, abbrev: bytes) -> bool:
    """Whether the first unit is a skeleton. False where that cannot be told."""
    try:
        start = 12 if little(info, 0, 4) == _LONG else 4
        if little(info, start, 2) == _VERSION_5 and info[start + 2] == _SKELETON:
            return True
        wanted = {dw.TAG_COMPILE_UNIT: _DWO_ID}
        scanner = Scanner(DebugSections(info=info, abbrev=abbrev), wanted)
        for unit in scanner.units():
            for _, _, _, root in scanner.scan(unit):
                return dw.AT_GNU_DWO_ID in root
    except (DwarfError, IndexError, struct.error):
        return False
    return False
