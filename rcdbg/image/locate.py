"""Where a kernel's ELF is when nobody names it."""

import os
from pathlib import Path

from rcdbg.errors import ImageError, UsageError

KERNEL_VARIABLE = "RCDBG_KERNEL"
"""The environment variable that names the ELF to debug."""

_BUILDS = Path("target/riscv64imac-unknown-none-elf")
_PROFILES = ("debug", "release")
_ELF = b"\x7fELF"
_MAX_NEIGHBOURS = 64
"""Files beside a raw image that are looked at for its ELF."""
_COMPARED = 1 << 16
"""Bytes of a raw image by which its ELF is known."""


def default_kernel() -> Path:
    """The kernel to debug when none is named; raises ImageError if there is none.

    $RCDBG_KERNEL, else the build `os` in `kernel/` or `os/` of this folder or one above it, else
    the one in the checkout that this package is part of.
    """
    named = os.environ.get(KERNEL_VARIABLE)
    if named:
        return Path(named)
    here = Path.cwd()
    for root in (here, *here.parents, Path(__file__).resolve().parents[2]):
        for crate in ("kernel", "os", "."):
            for profile in _PROFILES:
                elf = root / crate / _BUILDS / profile / "os"
                if elf.is_file():
                    return elf
    raise ImageError("no kernel found: run `make kernel`, or name an ELF with --kernel")


def elf_of(image: Path) -> Path:
    """The ELF of what is booted: `image` itself, or the file beside a raw one that it was made of.

    That is one with the same bytes to load, whatever it is called. Raises UsageError, with what to
    do, if there is none, and ImageError if `image` cannot be read.
    """
    start = _start_of(image)
    if start[:4] == _ELF:
        return image
    # Imported when there is something to compare with: the name of the variable is asked for often.
    from rcdbg.image.elf import load_image
    from rcdbg.image.flat import flat_image

    for candidate in _neighbours(image):
        try:
            if start and flat_image(load_image(candidate))[: len(start)] == start:
                return candidate
        except ImageError:
            continue
    raise UsageError(f"{image} is no ELF, and none beside it has its bytes: name it with --kernel")


def is_made_of(image: Path, elf: Path) -> bool:
    """Whether what is booted is that ELF, or the raw image of it."""
    try:
        found = elf_of(image)
        return found.samefile(elf) or found.read_bytes() == elf.read_bytes()
    except (UsageError, ImageError, OSError):
        return False


def _start_of(image: Path) -> bytes:
    try:
        with image.open("rb") as file:
            return file.read(_COMPARED)
    except OSError as error:
        raise ImageError(f"cannot read the kernel {image}: {error.strerror}") from error


def _neighbours(image: Path) -> list[Path]:
    """The ELF files in a raw image's folder, the one of the same name first."""
    own = image.with_suffix("")
    try:
        files = sorted(image.absolute().parent.iterdir())[: _MAX_NEIGHBOURS * 4]
    except OSError:
        return []
    elves = [f for f in files if _is_elf(f)][:_MAX_NEIGHBOURS]
    return sorted(elves, key=lambda f: f.name != own.name)


def _is_elf(path: Path) -> bool:
    """Whether it is one that this user can read."""
    try:
        return path.is_file() and _start_of(path)[:4] == _ELF
    except (OSError, ImageError):
        return False
