"""Session directories: private places for the sockets and logs of one machine.

A directory is held by a lock (flock(2)) on the directory itself; rcdbg and the machine's warden
share it. The kernel drops the lock when both are gone, so a directory of ours that can be locked
has been left behind, and `sweep` removes it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import MachineError

PREFIX = "rcdbg-"
MARKER = ".rcdbg-session"
"""A file in each of our directories: nothing without it is ever removed by `sweep`."""

MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path, without the final NUL: see unix(7), `sun_path`."""

_LONGEST_SOCKET_NAME = "console.sock"


@dataclass(frozen=True, slots=True)
class Session:
    """A directory of mode 0700 that is ours as long as `lock` (a descriptor) is open."""

    path: Path
    lock: int

    def socket_path(self, name: str) -> Path:
        """Where to bind the unix socket `name`; raises MachineError if the path is too long."""
        path = self.path / name
        size = len(os.fsencode(path))
        if size > MAX_SOCKET_PATH:
            raise MachineError(
                f"socket path {path} has {size} bytes, at most {MAX_SOCKET_PATH} are allowed: "
                "set TMPDIR to a shorter directory"
            )
        return path

    def close(self) -> None:
        """Remove the directory with all that is in it, and give up the lock. Once only."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def open_session() -> Session:
    """A fresh session directory, in XDG_RUNTIME_DIR, else the temporary directory, else /tmp.

    Raises MachineError if none of them can be written to.
    """
    for base in _bases():
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError:
            continue
        session = _hold(path)
        if session is not None:
            # Not before it is locked: from here on a sweep would take it.
            (path / MARKER).touch()
            return session
        path.rmdir()  # a file system without locks
    tried = ", ".join(str(base) for base in _bases())
    raise MachineError(f"cannot make a session directory in {tried}: set TMPDIR to a short path")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory of ours for large files, in the temporary directory; removed at the end.

    If we are killed before, the next `sweep` removes it.
    """
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    session = _hold(path)
    try:
        (path / MARKER).touch()
        yield path
    finally:
        if session is not None:
            session.close()
        else:
            shutil.rmtree(path, ignore_errors=True)  # a file system without locks


def sweep() -> list[Path]:
    """Remove the directories of ours that nobody holds any more; returns those removed."""
    removed = []
    for base in dict.fromkeys([*_bases(), Path(tempfile.gettempdir())]):
        try:
            candidates = [path for path in base.iterdir() if path.name.startswith(PREFIX)]
        except OSError:
            continue
        for path in candidates:
            if not _is_ours(path):
                continue
            session = _hold(path)
            if session is not None:
                session.close()
                removed.append(path)
    return removed


def _is_ours(path: Path) -> bool:
    """Whether this user made the directory; another's is none of our business, nor readable."""
    try:
        return path.lstat().st_uid == os.getuid() and (path / MARKER).is_file()
    except OSError:
        return False


def _hold(path: Path) -> Session | None:
    """Lock a directory of ours, or None if it is another's, held, or gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, lock)
        if os.fstat(lock).st_uid != os.getuid():
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before us may have removed it before letting go.
            gone = not os.path.samestat(os.fstat(lock), path.stat())
        except OSError:
            return None
        if gone:
            return None
        undo.pop_all()
    return Session(path, lock)


def _bases() -> list[Path]:
    return list(dict.fromkeys(_base_candidates()))


def _base_candidates() -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    for base in (runtime, tempfile.gettempdir(), "/tmp"):
        if not base:
            continue
        longest = Path(base) / f"{PREFIX}xxxxxxxx" / _LONGEST_SOCKET_NAME
        if len(os.fsencode(longest)) <= MAX_SOCKET_PATH:
            yield Path(base)
