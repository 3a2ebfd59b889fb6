"""Addresses in the kernel that several tests ask for."""

from rcdbg.image.elf import Image
from rcdbg.model.kernel import DEFAULT_PROFILE


def vector(image: Image) -> int:
    """The kernel's trap vector."""
    address = image.symbols.address_of(DEFAULT_PROFILE.trap_entry)
    assert address is not None
    return address
