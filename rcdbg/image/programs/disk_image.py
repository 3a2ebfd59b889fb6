"""The programs in a disk image, by whichever of the known file systems it has."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.programs.disks import easy_fs, sfs, xv6_fs
from rcdbg.image.programs.disks.disk import Disk, DiskError, DiskFile
from rcdbg.image.programs.program import Program

_SYSTEMS = (easy_fs, xv6_fs, sfs)
_MAGIC = b"\x7fELF"


def programs_on_disk(path: Path, order: int = 0) -> Iterator[Program | str]:
    """The ELFs on a disk; of what makes no sense there, lines that say why."""
    for system in _SYSTEMS:
        disk = Disk(path, system.BLOCK)
        if not system.is_it(disk):
            continue
        try:
            for found in system.files(disk):
                if isinstance(found, str):
                    yield f"{path.name}: {found}"
                elif _is_elf(disk, found):
                    yield Program(found.name, f"in {path.name}", _contents(disk, found), order)
        except DiskError as error:
            yield f"{path.name}: {error}"
        return
    if not path.is_file():
        yield f"{path} is no disk image"


def _is_elf(disk: Disk, found: DiskFile) -> bool:
    try:
        return (
            found.size > len(_MAGIC)
            and disk.read(found.blocks[0] * disk.block_size, len(_MAGIC)) == _MAGIC
        )
    except DiskError:
        return False


def _contents(disk: Disk, found: DiskFile) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return disk.contents(found)
        except DiskError as error:
            raise ImageError(f"{found.name}: {error}") from error

    return read
