"""The seam between decoders and machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Registers:
    """One hart's registers at one moment; all values unsigned 64-bit.

    `csrs` holds whatever CSRs the target could give, by their standard names;
    `privilege` is 0 (U), 1 (S), 3 (M), or None where the target does not tell.
    """

    pc: int
    x: tuple[int, ...]
    csrs: Mapping[str, int]
    privilege: int | None = None
    hart: int | None = None
    """The hart's number, mhartid, where there are several and the target tells."""
    harts: int = 1
    """How many there are, as far as the target tells."""

    @property
    def sp(self) -> int:
        """The stack pointer, x2."""
        return self.x[2]


@dataclass(frozen=True, slots=True)
class Ram:
    """A range of physical memory, in bytes."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.start + self.size

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end


class Target(Protocol):
    """A machine whose memory and registers can be read."""

    @property
    def ram(self) -> Ram | None:
        """Main memory, or None where the target does not know its extent."""

    def read_phys(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`; raises MemoryReadError unless all can be read."""

    def registers(self) -> Registers:
        """The registers as they are now; raises TargetError if the machine is gone."""
