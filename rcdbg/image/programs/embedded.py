"""ELFs inside of a kernel's own data, as build scripts put them there with `.incbin`.

Whatever table the kernel keeps of them, they are found by their headers, each of which tells how
far it reaches.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.elf import Image
from rcdbg.image.programs.program import elf_size

MAX_EMBEDDED = 512
"""ELFs that are looked for in one kernel."""

_MAGIC = b"\x7fELF\x02\x01\x01"
_MAX_TRIED = 1 << 14


@dataclass(frozen=True, slots=True)
class Embedded:
    """An ELF in a kernel: its virtual address, where it is in the kernel's file, and its size."""

    address: int
    start: int
    size: int


def embedded(image: Image) -> list[Embedded]:
    """The ELFs in a kernel's loaded data, by address; at most MAX_EMBEDDED."""
    found: list[Embedded] = []
    for segment in image.segments:
        # The header of the kernel's own file, which may be loaded too, is no program.
        first, end = max(segment.offset, 1), segment.offset + segment.file_size
        for start, size in _elves(image.data, first, end):
            if len(found) == MAX_EMBEDDED:
                return found
            found.append(Embedded(segment.vaddr + start - segment.offset, start, size))
    return found


def _elves(data: bytes, position: int, end: int) -> Iterator[tuple[int, int]]:
    """Where ELFs are between two places, and their sizes in bytes."""
    for _ in range(_MAX_TRIED):
        start = data.find(_MAGIC, position, end)
        if start < 0:
            return
        size = elf_size(data, start, end)
        if size is not None:
            yield start, size
        position = start + (size or len(_MAGIC))
