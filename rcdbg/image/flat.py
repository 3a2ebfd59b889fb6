"""The bytes of a kernel as its loader puts them into memory: what `objcopy -O binary` makes."""

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image

MAX_FLAT = 1 << 28
"""Bytes: a kernel with more between its first and its last segment is not loaded as one piece."""


def is_loadable(image: Image, base: int, size: int) -> bool:
    """Whether the ELF's own load addresses lie in RAM, so that QEMU can load it as it is."""
    loaded = [s for s in image.segments if s.file_size]
    return bool(loaded) and all(
        base <= s.paddr and s.paddr + s.memory_size <= base + size for s in loaded
    )


def flat_image(image: Image) -> bytes:
    """The segments' file contents, each at its distance from the first one, zeros between.

    Raises ImageError if there are none, or if they lie too far apart.
    """
    loaded = sorted((s for s in image.segments if s.file_size), key=lambda s: s.paddr)
    if not loaded:
        raise ImageError(f"{image.path} has nothing to load")
    start = loaded[0].paddr
    end = max(s.paddr + s.file_size for s in loaded)
    if end - start > MAX_FLAT:
        why = f"its segments spread over {end - start:#x} bytes"
        raise ImageError(f"{image.path} cannot be made into one piece to boot: {why}")
    flat = bytearray(end - start)
    for segment in loaded:
        at = segment.paddr - start
        data = image.data[segment.offset : segment.offset + segment.file_size]
        flat[at : at + len(data)] = data
    return bytes(flat)
