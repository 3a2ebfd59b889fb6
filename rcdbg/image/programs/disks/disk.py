"""A disk image, read in pieces: such a file may be larger than what anybody wants of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rcdbg.image.programs.program import MAX_PROGRAM

MAX_FILES = 2048
"""Files of a file system that are listed."""
MAX_BLOCKS = MAX_PROGRAM // 512
"""Blocks of one file that are followed."""


class DiskError(Exception):
    """What is on the disk makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file: its name, its size in bytes, and its blocks by number, in order."""

    name: str
    size: int
    blocks: tuple[int, ...]


class Disk:
    """A raw disk image; `block_size` in bytes is that of its file system."""

    def __init__(self, path: Path, block_size: int) -> None:
        self._path = path
        self.block_size = block_size

    def read(self, start: int, size: int) -> bytes:
        """Bytes of the disk; raises DiskError if they are not all there."""
        with self._open() as file:
            return self._read(file, start, size)

    def contents(self, found: DiskFile) -> bytes:
        """The content of a file; raises DiskError if its blocks are not all there."""
        parts: list[bytes] = []
        left = found.size
        with self._open() as file:
            for first, count in _runs(found.blocks):
                # The image may end with the last byte that is in use.
                size = min(count * self.block_size, left)
                parts.append(self._read(file, first * self.block_size, size))
                left -= size
        return b"".join(parts)

    def _open(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise DiskError(f"it cannot be read: {error.strerror}") from error

    def _read(self, file: BinaryIO, start: int, size: int) -> bytes:
        if not 0 <= size <= MAX_PROGRAM or start < 0:
            raise DiskError(f"{size} bytes at {start:#x} of a disk make no sense")
        try:
            data = os.pread(file.fileno(), size, start)
        except (OSError, OverflowError) as error:
            raise DiskError(f"it cannot be read at {start:#x}") from error
        if len(data) != size:
            raise DiskError(f"there are no {size} bytes at {start:#x}")
        return data


def _runs(blocks: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbouring blocks together, as (first, how many)."""
    found: list[tuple[int, int]] = []
    for block in blocks:
        if found and found[-1][0] + found[-1][1] == block:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((block, 1))
    return found
