"""Names that a user types, as addresses."""

from pathlib import Path

from rcdbg.errors import ImageError, UsageError
from rcdbg.image.elf import Image, load_image

HOW_TO_GET_IT = "`rcdbg build` in its folder makes a build that has, or set `debug = true`"
"""For who has a kernel without debug info."""


def load_with_types(path: Path) -> Image:
    """The image, for work that needs its types; raises ImageError also if it has no debug info."""
    return with_types(load_image(path))


def with_types(image: Image) -> Image:
    """The same image; raises ImageError if it has no debug info."""
    if not image.has_debug_info:
        raise ImageError(
            f"{image.path} has no debug info ({image.no_debug_info}): {HOW_TO_GET_IT}"
            " (csr, pagetable and walk work without)"
        )
    return image


def resolve(image: Image, name: str) -> int:
    """The address of the symbol `name`, or the one that it is: 0x...

    Raises UsageError, with near names, if there is none.
    """
    if name.startswith("0x"):
        return _literal(name)
    address = image.symbols.address_of(name)
    if address is not None:
        return address
    near = image.symbols.suggest(name)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(f"{image.path.name} has no symbol {name!r}{hint}")


def _literal(text: str) -> int:
    try:
        address = int(text, 16)
    except ValueError:
        address = -1
    if not 0 <= address < 1 << 64:
        raise UsageError(f"{text} is not a 64-bit address")
    return address
