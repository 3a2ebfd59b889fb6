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
N: Final = 1 << 63
"""Svnapot: the page is one of sixteen that are mapped together, 64 KiB at such a boundary."""
PBMT: Final = 3 << 61
"""Svpbmt: the type of the memory; 1 is not cached, 2 is I/O."""
_NAPOT, _NAPOT_MARK = 0xF, 0x8
"""The low bits of the frame number that N takes the meaning of, and what they have to be."""

MISALIGNED: Final = "misaligned"
"""The rule that a superpage breaks whose frame number is no multiple of its size."""

_POINTER = "a pointer to a table at level 0"
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
class Extensions:
    """Which extensions a hart has; None where that is not known."""

    svnapot: bool | None = None
    svpbmt: bool | None = None


NOT_KNOWN: Final = Extensions()


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

    @property
    def attributes(self) -> str:
        """What N and PBMT say, in words; empty where both are clear."""
        said = ["64 KiB (N)"] if self.bits & N else []
        kind = (self.bits & PBMT) >> 61
        if kind:
            said.append(("", "not cached (PBMT)", "I/O (PBMT)", "PBMT=3")[kind])
        return ", ".join(said)

    def mapped(self, va: int, level: int) -> int:
        """Where a leaf at `level` leads from the virtual address `va`."""
        if self.bits & N:
            return (self.ppn & ~_NAPOT | va >> PAGE_SHIFT & _NAPOT) << PAGE_SHIFT | va & 0xFFF
        return self.address | va & (1 << PAGE_SHIFT + INDEX_BITS * level) - 1

    def plain(self, va: int, level: int) -> int:
        """The bits of the leaf that maps the page at `va` alone, without extensions."""
        low = self.bits & FLAGS
        return self.mapped(va, level) >> PAGE_SHIFT << PPN_SHIFT | low

    def reserved(self, level: int, has: Extensions = NOT_KNOWN) -> str | None:
        """Why a hart with these extensions must refuse this entry at `level`, or None."""
        bits = self.bits
        if not bits & V:
            return None
        if bits & W and not bits & R:
            return "W without R is reserved"
        if bits & _RESERVED:
            return "reserved bits 60..54 are set"
        if not self.leaf:
            if bits & (A | D | U | N | PBMT):
                return "A, D, U, N or PBMT in a pointer to a table is reserved"
            return _POINTER if level == 0 else None
        return self._misaligned(level) or self._extended(level, has)

    def _extended(self, level: int, has: Extensions) -> str | None:
        """What is wrong with N and PBMT of a leaf; first what no hart takes."""
        bits = self.bits
        if bits & PBMT == PBMT:
            return "PBMT 3 is reserved"
        if bits & N and (level or self.ppn & _NAPOT != _NAPOT_MARK):
            return (
                "N is set: Svnapot has it for 64 KiB at level 0, with 8 in the frame's last digit"
            )
        for bit, name, there in ((N, "N", has.svnapot), (PBMT, "PBMT", has.svpbmt)):
            if bits & bit and not there:
                extension = "Svnapot" if bit == N else "Svpbmt"
                if there is None:
                    return f"{name} is set: {UNLESS} {extension}"
                return f"{name} is set, and this hart has no {extension}"
        return None

    def _misaligned(self, level: int) -> str | None:
        if level and self.ppn & ((1 << INDEX_BITS * level) - 1):
            return f"{MISALIGNED} superpage: {_SIZES[level]} pages start at multiples"
        return None

    def rule(self, level: int, why_reserved: str) -> str:
        """The short name of what `reserved` says: misaligned, level, extension, or reserved."""
        if UNLESS in why_reserved:
            return EXTENSION
        if self.leaf:
            return MISALIGNED if why_reserved.startswith(MISALIGNED) else "reserved"
        return "level" if why_reserved.startswith(_POINTER) else "reserved"
