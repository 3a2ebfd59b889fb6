"""The programs in a folder of the user's: as built, with the debug info that copies lack."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.elf_checks import read_file
from rcdbg.image.programs.program import MAX_PROGRAM, Program

MAX_LOOKED_AT = 4096
"""Files of one folder."""

_MAGIC = b"\x7fELF"
_TARGETS = "target/riscv64*-unknown-none-elf"
_PROFILES = ("debug", "release")


def programs_in(folder: Path, order: int = 0) -> Iterator[Program]:
    """The ELFs in that folder; if there are none, those that cargo built in its `target`."""
    found = list(_elves(folder, order))
    if not found:
        for build in builds_of(folder):
            found += _elves(build, order)
    yield from found


def builds_of(folder: Path) -> list[Path]:
    """The folders below that one where cargo puts programs for RISC-V, the newest first."""
    try:
        targets = sorted(folder.glob(_TARGETS))
    except OSError:
        return []
    builds = [b for target in targets for name in _PROFILES if (b := target / name).is_dir()]
    return sorted(builds, key=lambda build: build.stat().st_mtime_ns, reverse=True)


def users_beside(kernel: Path) -> Path | None:
    """The crate `user` beside the crate of a kernel that cargo built; None if there is none.

    Such a kernel is `os/target/TRIPLE/PROFILE/os`, or the same without `os/` in a workspace.
    """
    parts = kernel.absolute().parents
    for folder in parts[3:6]:
        if builds_of(folder / "user"):
            return folder / "user"
    return None


def _elves(folder: Path, order: int) -> Iterator[Program]:
    try:
        files = sorted(folder.iterdir())[:MAX_LOOKED_AT]
    except OSError:
        return
    for file in files:
        if _is_elf(file):
            yield program_file(file, order)


def program_file(file: Path, order: int = 0) -> Program:
    """The program in that file."""
    where = f"in {file.parent}"
    return Program(file.name, where, lambda: _read(file), order, part=partial(_part, file))


def _is_elf(file: Path) -> bool:
    try:
        if not file.is_file() or file.stat().st_size > MAX_PROGRAM:
            return False
        with file.open("rb") as opened:
            return opened.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _part(file: Path, start: int, size: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return os.pread(opened.fileno(), size, start)
    except FileNotFoundError:
        raise ImageError(f"{file} does not exist any more") from None
    except (OSError, OverflowError) as error:
        raise ImageError(f"cannot read {file}: {error}") from error


def _read(file: Path) -> bytes:
    data = read_file(file)
    if len(data) > MAX_PROGRAM:
        raise ImageError(f"{file} has {len(data)} bytes: too many for a program")
    return data
