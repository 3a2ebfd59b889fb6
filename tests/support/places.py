"""Addresses in the kernel that several tests ask for."""

from rcdbg.image.elf import Image
from rcdbg.kernels.recognise import demand_symbol, describe


def vector(image: Image) -> int:
    """The kernel's trap vector."""
    return demand_symbol(image, describe(image).trap.entry, "the trap vector")[1]
