"""Files that the user asked us to write: never anything but a regular file is written over.

A name may be that of a device or a pipe, also by a link: to replace it, as root, would take it away
from everybody.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rcdbg.errors import OutputError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears, or takes the place of the one before, when it is complete.

    A link stays, and what it leads to is written. Raises OutputError.
    """
    try:
        real = Path(os.path.realpath(path))
        mode = _mode(path, real, pipes=False)
        handle, name = tempfile.mkstemp(prefix=".rcdbg-", dir=real.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            temporary.chmod(_usual_mode() if mode is None else mode)
            temporary.replace(real)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet; raises FileExistsError if it is, OutputError."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


@contextlib.contextmanager
def growing(path: Path) -> Iterator[BinaryIO]:
    """A file that is written piece by piece, and keeps what there is if we are killed.

    A pipe may be written to as well, since that takes nothing away. Raises OutputError, also for
    what fails inside with an OSError.
    """
    try:
        _mode(path, path, pipes=True)
        file = path.open("wb")
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error
    try:
        with file:
            yield file
    except OSError as error:
        raise _not_written(path, error) from error


def _mode(path: Path, real: Path, *, pipes: bool) -> int | None:
    """The permissions of what is there; None if nothing is. Raises OutputError, OSError."""
    try:
        found = real.stat().st_mode
    except FileNotFoundError:
        return None
    kind = stat.S_IFMT(found)
    if kind == stat.S_IFREG or (pipes and kind == stat.S_IFIFO):
        return stat.S_IMODE(found)
    raise OutputError(f"cannot write {path}: it is {_KINDS.get(kind, 'no regular file')}")


def _usual_mode() -> int:
    """As a plain `open` makes a file: mkstemp's is for the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _not_written(path: Path, error: Exception) -> OutputError:
    why = getattr(error, "strerror", None) or str(error)
    return OutputError(f"cannot write {path}: {why}")
