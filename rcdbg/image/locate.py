"""Where a kernel's ELF is when nobody names it."""

import os
from pathlib import Path

from rcdbg.errors import ImageError

KERNEL_VARIABLE = "RCDBG_KERNEL"
"""The environment variable that names the ELF to debug."""

_BUILDS = Path("target/riscv64imac-unknown-none-elf")
_PROFILES = ("debug", "release")


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
