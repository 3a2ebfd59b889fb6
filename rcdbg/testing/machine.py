"""Which machine a test boots: by the test itself, by an option, by pytest's ini file, or the usual.

Nothing here asks the folder of a kernel how it is started: what is tested may be anybody's.
"""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.own_boot import PLACE, elf_booted, line_for, words_of
from rcdbg.trace.run import Boot

OPTION = "--rcdbg-qemu"
INI = "rcdbg_qemu"
_USUAL_MEMORY = "128M"

Line = str | Sequence[str]
"""A QEMU command line, as one text or as its words."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """What is said outside of the tests.

    `kernel` is the one to test, if it is named; `words` a QEMU command line, or empty, whose files
    have names relative to `folder`; `program` the QEMU to use in place of any line's.
    """

    kernel: Path | None
    words: tuple[str, ...]
    folder: Path
    program: str | None

    def elf(self) -> Path:
        """The kernel under test; raises RcdbgError if nobody names one."""
        if self.kernel is not None:
            return self.kernel
        return _elf_of(self.words, self.folder) if self.words else default_kernel()

    def boot(self, line: Line | None, folder: Path, append: str, memory: str | None) -> Boot:
        """What to boot; `line` is the test's own, in its folder. Raises RcdbgError."""
        words = words_of(line) if line else ()
        if not words:
            words, folder = self.words, self.folder
        if not words:
            return Boot(self.elf(), append, memory or _USUAL_MEMORY, self.program)
        elf = self.kernel.absolute() if self.kernel else _elf_of(words, folder)
        own = line_for(words, elf, folder) if self.kernel else parse(words, folder)
        append = f"{own.append} {append}".strip()
        program = self.program or own.program
        return Boot(elf, append, memory or own.memory, program, own=own)


def asked(config: pytest.Config) -> Ordered:
    """What options and ini file say; raises UsageError for a line that is none."""
    kernel = config.getoption("--rcdbg-kernel")
    said: str | None = config.getoption(OPTION)
    words, folder, program = tuple(config.getini(INI)), config.rootpath, None
    if config.inipath is not None:
        folder = config.inipath.parent
    if said:
        if shutil.which(said) or len(words_of(said)) == 1:
            program = said
        else:
            words, folder = words_of(said), config.invocation_params.dir
    return Ordered(Path(kernel) if kernel else None, words, folder, program)


def _elf_of(words: Sequence[str], folder: Path) -> Path:
    if any(PLACE in word for word in words):
        raise UsageError(f"the QEMU command line is for any {PLACE}: name it with --rcdbg-kernel")
    return elf_booted(parse(words, folder))


class ReadOnce:
    """ELFs, each read once for all tests."""

    def __init__(self) -> None:
        self._known: dict[Path, Image] = {}

    def of(self, elf: Path) -> Image:
        """The ELF; raises ImageError if it cannot be read."""
        key = elf.absolute()
        if key not in self._known:
            self._known[key] = load_image(elf)
        return self._known[key]


def tell(boot: Boot, doubt: str | None) -> None:
    """Warn of what is done otherwise, and of an ELF that may not be the one that runs."""
    changes = boot.own.changes if boot.own is not None else ()
    for what in (*(f"QEMU's {change}" for change in changes), doubt):
        if what:
            warnings.warn(what, stacklevel=4)
