"""Pages and physical addresses of RV64: the sizes that all its paging schemes share.

Privileged spec sections 4.4 (Sv39) to 4.6 (Sv57): tables of 512 entries, pages of 4 KiB, leaves of
512 times as much on each level further up, physical addresses of 56 bits.
"""

from typing import Final

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
INDEX_BITS: Final = 9
ENTRIES: Final = 1 << INDEX_BITS
"""Of a page table."""

PHYSICAL_BITS: Final = 56
"""Of a physical address."""
FRAMES: Final = 1 << PHYSICAL_BITS - PAGE_SHIFT
"""Frame numbers, and root tables in satp, are below that."""


def page_size(level: int) -> int:
    """Bytes that a leaf at `level` maps: 4 KiB at level 0, 2 MiB, 1 GiB, 512 GiB, 256 TiB."""
    return PAGE_SIZE << INDEX_BITS * level


def index(va: int, level: int) -> int:
    """The entry that translates `va` in a table of `level`."""
    return va >> (PAGE_SHIFT + INDEX_BITS * level) & (ENTRIES - 1)
