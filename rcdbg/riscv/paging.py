"""Address translation as a value: the schemes, what satp says, and the walk of an address.

Privileged spec sections 4.1.11 (satp), 4.3.2 (the algorithm) and 4.4 to 4.6 (Sv39, Sv48, Sv57).
Tables are read through `read(physical address, size) -> bytes`, which raises MemoryReadError
where there is no memory. This is the only module that knows where satp's fields lie.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rcdbg.errors import MemoryReadError
from rcdbg.riscv.extensions import extensions
from rcdbg.riscv.pages import FRAMES, PAGE_SHIFT, index
from rcdbg.riscv.pte import MISALIGNED, NOT_KNOWN, PBMT, N, Pte

ReadPhysical = Callable[[int, int], bytes]

MODE: Final = (60, 4)
ASID: Final = (44, 16)
PPN: Final = (0, 44)
"""Lowest bit and width of satp's fields."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to translate addresses: satp's MODE for it, levels of tables, bits of an address.

    Bare has no levels, and every address is physical.
    """

    name: str
    mode: int
    levels: int
    bits: int

    @property
    def translates(self) -> bool:
        """Whether there is a table."""
        return self.levels > 0

    @property
    def root_level(self) -> int:
        """The level of the root table: 2 in Sv39."""
        return self.levels - 1

    @property
    def pages(self) -> int:
        """How many pages a virtual address can name."""
        return 1 << self.bits - PAGE_SHIFT

    @property
    def upper_half(self) -> int:
        """The bits above an address's own: all set in the upper half of the address space."""
        return (1 << 64) - (1 << self.bits)

    def canonical(self, va: int) -> bool:
        """Whether the bits above the address's own all equal its highest one."""
        return not self.translates or self.extended(va & (1 << self.bits) - 1) == va

    def extended(self, va: int) -> int:
        """The canonical 64-bit address of one of `bits` bits."""
        return va | self.upper_half if va >> self.bits - 1 & 1 else va


BARE: Final = Scheme("bare", 0, 0, 64)
SV39: Final = Scheme("Sv39", 8, 3, 39)
SV48: Final = Scheme("Sv48", 9, 4, 48)
SV57: Final = Scheme("Sv57", 10, 5, 57)

SCHEMES: Final = (BARE, SV39, SV48, SV57)
_BY_MODE: Final = {scheme.mode: scheme for scheme in SCHEMES}
MODE_NAMES: Final = {**{scheme.mode: scheme.name for scheme in SCHEMES}, 11: "Sv64"}
"""Also of the mode that the specification names and does not define."""


def _field(value: int, field: tuple[int, int]) -> int:
    low, width = field
    return value >> low & (1 << width) - 1


@dataclass(frozen=True, slots=True)
class Satp:
    """What the CSR with that unsigned 64-bit value says: the scheme, and where its root is."""

    value: int

    @classmethod
    def of(cls, scheme: Scheme, ppn: int, asid: int = 0) -> "Satp":
        """The one with these fields; raises ValueError for a `ppn` that is no frame number."""
        if not 0 <= ppn < FRAMES:
            raise ValueError(f"{ppn:#x} is no frame number")
        return cls(scheme.mode << MODE[0] | asid << ASID[0] | ppn)

    @property
    def mode(self) -> int:
        """MODE: 0 bare, 8 Sv39, 9 Sv48, 10 Sv57; others are reserved."""
        return _field(self.value, MODE)

    @property
    def asid(self) -> int:
        """The address space identifier."""
        return _field(self.value, ASID)

    @property
    def ppn(self) -> int:
        """The frame of the root table; what it says while translation is off means nothing."""
        return _field(self.value, PPN)

    @property
    def scheme(self) -> Scheme | None:
        """The scheme; None for a MODE that is reserved."""
        return _BY_MODE.get(self.mode)

    @property
    def name(self) -> str:
        """The scheme's name, or "reserved"."""
        return MODE_NAMES.get(self.mode, "reserved")

    @property
    def translates(self) -> bool:
        """Whether there is a table that can be walked."""
        return self.scheme is not None and self.scheme.translates

    @property
    def root(self) -> int | None:
        """The frame of the root table; None if there is none that can be walked."""
        return self.ppn if self.translates else None

    @property
    def tables(self) -> Scheme:
        """The scheme that the kernel's tables are for: Sv39 as long as satp does not tell."""
        scheme = self.scheme
        return scheme if scheme is not None and scheme.translates else SV39

    def other(self, ppn: int) -> "Satp":
        """The same with another root table, as it is for another process; raises ValueError."""
        return Satp.of(self.tables, ppn)


@dataclass(frozen=True, slots=True)
class Step:
    """One table visited by a walk."""

    level: int
    index: int
    pte_address: int
    pte: Pte


@dataclass(frozen=True, slots=True)
class Walk:
    """The way from a virtual address to a physical one, or to where it ends.

    `physical` is None when there is none; `fault` then says why in words.
    """

    va: int
    steps: tuple[Step, ...]
    physical: int | None
    fault: str | None
    rule: str = ""
    """The rule that ends it, by a short stable name: mode (a scheme that is not known), canonical,
    unreadable, V, reserved, level (a pointer at level 0), misaligned; empty without a fault."""

    @property
    def last_leaf(self) -> Step | None:
        """The step whose entry is a leaf that hardware decodes, misaligned ones too, or None."""
        if self.physical is None and self.rule != MISALIGNED:
            return None
        return self.steps[-1] if self.steps else None

    @property
    def leaf(self) -> Step | None:
        """The step that maps the address, or None."""
        return self.steps[-1] if self.physical is not None and self.steps else None


def walk(read: ReadPhysical, satp: Satp, va: int) -> Walk:
    """Translate `va` as satp says, as far as an entry's encoding decides it.

    Rights are not applied: what an access may do is another question.
    """
    scheme = satp.scheme
    if scheme is None:
        why = f"satp names translation mode {satp.mode}, which rcdbg does not know"
        return Walk(va, (), None, why, "mode")
    if not scheme.translates:
        return Walk(va, (), va, None)
    if not scheme.canonical(va):
        why = f"not canonical: bits 63..{scheme.bits} must all equal bit {scheme.bits - 1}"
        return Walk(va, (), None, why, "canonical")
    steps: list[Step] = []
    table = satp.ppn << PAGE_SHIFT
    for level in reversed(range(scheme.levels)):
        slot = index(va, level)
        address = table + slot * 8
        try:
            pte = Pte(int.from_bytes(read(address, 8), "little"))
        except MemoryReadError as error:
            why = f"the level {level} table at {table:#x} cannot be read: {error.why}"
            return Walk(va, tuple(steps), None, why, "unreadable")
        steps.append(Step(level, slot, address, pte))
        if not pte.valid:
            return Walk(va, tuple(steps), None, f"the level {level} entry is not valid", "V")
        has = extensions(read) if pte.bits & (N | PBMT) else NOT_KNOWN
        if why_reserved := pte.reserved(level, has):
            why = f"the level {level} entry: {why_reserved}"
            return Walk(va, tuple(steps), None, why, pte.rule(level, why_reserved))
        if pte.leaf:
            return Walk(va, tuple(steps), pte.mapped(va, level), None)
        table = pte.address
    raise AssertionError("a level 0 pointer is reserved")
