"""Code that runs at another address than where it is linked: a page mapped into every table."""

from rcdbg.image.elf import Image
from rcdbg.kernels.description import TrapConcept
from rcdbg.kernels.recognise import first_symbol
from rcdbg.riscv.pages import PAGE_SIZE


def running_at(image: Image, trap: TrapConcept, address: int) -> int | None:
    """Where code in the page of the trap's entry runs, or None if that is where it is linked."""
    pages = _pages(image, trap)
    if pages is None or not 0 <= address - pages[0] < PAGE_SIZE:
        return None
    return pages[1] + address - pages[0]


def linked_at(image: Image, trap: TrapConcept, address: int) -> int:
    """Where code is linked that runs at this address."""
    pages = _pages(image, trap)
    if pages is None or not 0 <= address - pages[1] < PAGE_SIZE:
        return address
    return pages[0] + address - pages[1]


def _pages(image: Image, trap: TrapConcept) -> tuple[int, int] | None:
    """Where the page is linked and where it runs.

    An entry in the midst of other code, as in kernels of the same family that have no paging yet,
    is in no page of its own.
    """
    entry = first_symbol(image, trap.entry)
    if not trap.runs_at or entry is None or entry[1] % PAGE_SIZE:
        return None
    return entry[1], int(trap.runs_at.first, 16)
