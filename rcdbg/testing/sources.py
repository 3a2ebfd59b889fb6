"""Lines of source files for reports, from the folders only that may be quoted.

A line table is whatever its author made it: an ELF could name any file of the machine that tests
it, and read it in the report.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

MAX_BYTES = 4 << 20
"""What is read of a file."""

_TARGET = "target"
_SUFFIXES = {".rs", ".s", ".S", ".asm", ".c", ".h", ".cc", ".cpp", ".hpp", ".inc", ".zig"}


def own_folder(kernel: Path) -> Path:
    """Where a kernel's own sources are: the folder that has cargo's `target`, else the ELF's."""
    elf = kernel.absolute()
    for folder in elf.parents:
        if folder.name == _TARGET:
            return folder.parent
    return elf.parent


def read_source(file: str, folders: Sequence[Path]) -> list[str]:
    """The lines of the file that the compiler called `file`; none if it is in no such folder.

    The kernel may have been built elsewhere: then a file in one of `folders` whose path is a tail
    of that name is taken, the longest first. Links do not lead out of the folders, and what is
    hidden in them, is no source or no regular file is not read.
    """
    roots = [folder.resolve() for folder in folders]
    for path in _candidates(file, roots):
        lines = _lines(path, roots)
        if lines is not None:
            return lines
    return []


def _candidates(file: str, roots: Sequence[Path]) -> Iterator[Path]:
    name = PurePosixPath(file)
    if name.is_absolute():
        yield Path(file)
    parts = name.parts[1:] if name.is_absolute() else name.parts
    for start in range(len(parts)):
        for root in roots:
            yield root.joinpath(*parts[start:])


def _lines(path: Path, roots: Sequence[Path]) -> list[str] | None:
    try:
        real = path.resolve(strict=True)
        inner = next(real.relative_to(root) for root in roots if real.is_relative_to(root))
        if real.suffix not in _SUFFIXES or any(part.startswith(".") for part in inner.parts):
            return None
        # Not blocked by a pipe, and not led elsewhere by a link that was put there meanwhile.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return source.read(MAX_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, StopIteration, ValueError, RuntimeError):
        # Not there, outside, a name that no file can have, a circle of links.
        return None
