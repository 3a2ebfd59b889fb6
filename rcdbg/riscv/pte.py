"""Page table entries: their bits, and what hardware must refuse (privileged spec section 4.4.1)."""

from dataclasses import dataclass
from typing import Final

from rcdbg.riscv.pages import FRAMES, INDEX_BITS, PAGE_SHIFT

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
RIGHTS: Final = R | W | X | U | G
FLAGS: Final = 0x3FF
"""The ten low bits: those eight, and the two that are left to the kernel."""

PPN_SHIFT: Final = 10
PPN_FIELD: Final = FRAMES - 1 << PPN_SHIFT
"""The bits with the frame number."""
RESERVED_HIGH: Final = FLAGS << 54
"""The bits above it: N, PBMT and the reserved ones."""
_RESERVED = 0x7F << 54

MISALIGNED: Final = "misaligned"
"""The rule that a superpage breaks whose frame number is no multiple of its size."""

UNLESS: Final = "reserved unless the hart has"
EXTENSION: Final = "extension"
"""The rule of an entry that means something to harts with an extension, and nothing to others."""

_SIZES = ("4 KiB", "2 MiB", "1 GiB", "512 GiB", "256 TiB")
_FLAGS = tuple(
    "".join(letter if bits >> place & 1 else "-" for place, letter in enumerate("rwxugad"))
    for bits in range(1 << 7)
)


def flags_text(bits: int) -> str:
    """R W X U G A D of an entry as seven characters, `-` where clear."""
    return _FLAGS[bits >> 1 & 0x7F]


@dataclass(frozen=True, slots=True)
class Pte:
    """A page table entry."""

    bits: int

    @property
    def valid(self) -> bool:
        """V is set; the other bits mean nothing otherwise."""
        return bool(self.bits & V)

    @property
    def leaf(self) -> bool:
        """Valid, and maps memory instead of pointing to the next table."""
        return bool(self.bits & V and self.bits & (R | W | X))

    @property
    def ppn(self) -> int:
        """The physical page number in it."""
        return (self.bits & PPN_FIELD) >> PPN_SHIFT

    @property
    def address(self) -> int:
        """The physical address that it points to."""
        return self.ppn << PAGE_SHIFT

    @property
    def rsw(self) -> int:
        """The two bits that are left to the kernel."""
        return self.bits >> 8 & 3

    @property
    def flags(self) -> str:
        """The seven bits from R to D as text, `-` for each that is clear: `rwxugad`."""
        return flags_text(self.bits)

    def reserved(self, level: int) -> str | None:
        """Why hardware must refuse this entry at `level` although V is set, or None."""
        bits = self.bits
        if not bits & V:
            return None
        if bits & W and not bits & R:
            return "W without R is reserved"
        if bits & _RESERVED:
            return "reserved bits 60..54 are set"
        if bits & (1 << 63):
            return f"N is set: {UNLESS} Svnapot"
        if bits & (3 << 61):
            return f"PBMT is set: {UNLESS} Svpbmt"
        if not self.leaf:
            if bits & (A | D | U):
                return "A, D or U in a pointer to a table is reserved"
            return "a pointer to a table at level 0" if level == 0 else None
        if level and self.ppn & ((1 << INDEX_BITS * level) - 1):
            return f"{MISALIGNED} superpage: {_SIZES[level]} pages start at multiples"
        return None

    def rule(self, level: int, why_reserved: str) -> str:
        """The short name of what `reserved` says: misaligned, level, extension, or reserved."""
        if UNLESS in why_reserved:
            return EXTENSION
        if self.leaf:
            return MISALIGNED if why_reserved.startswith(MISALIGNED) else "reserved"
        return "level" if level == 0 and not self.bits & (A | D | U) else "reserved"
