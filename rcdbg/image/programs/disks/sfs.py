"""The Simple File System of rcore-fs, which rCore-Tutorial v2 boots from: blocks of 4096 bytes.

Source of the format: uCore OS lab 8, "SFS": a super block; inodes of one block each, whose number
is that of the block (size, type, links, blocks, 12 direct blocks, an indirect and a doubly
indirect one). An entry of a folder is the number of an inode and a name of 256 bytes.
"""

import struct
from collections.abc import Iterator

from rcdbg.image.programs.disks.disk import MAX_BLOCKS, MAX_FILES, Disk, DiskError, DiskFile

BLOCK = 4096
_MAGIC = 0x2F8D_BE2B
_INODE = struct.Struct("<IHHI14I")
_ENTRY = struct.Struct("<I256s")
_ROOT, _FILE, _FOLDER = 1, 1, 2
_DIRECT, _POINTERS = 12, BLOCK // 4
_MAX_DEPTH = 8


def is_it(disk: Disk) -> bool:
    """Whether the disk starts like one."""
    try:
        return int.from_bytes(disk.read(0, 4), "little") == _MAGIC
    except DiskError:
        return False


def files(disk: Disk) -> Iterator[DiskFile | str]:
    """The files in all folders; of one that makes no sense, a line that says why.

    Raises DiskError where the root folder makes none.
    """
    _, root = _inode(disk, _ROOT, "")
    seen, waiting = {_ROOT}, [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if folder.size > MAX_FILES * _ENTRY.size:
            raise DiskError(f"a folder of {folder.size} bytes")
        content = disk.contents(folder)
        for at in range(0, len(content) - _ENTRY.size + 1, _ENTRY.size):
            number, raw = _ENTRY.unpack_from(content, at)
            name = raw.split(b"\0")[0].decode("utf-8", "replace")
            if not name or number in seen or len(seen) > MAX_FILES:
                continue
            seen.add(number)
            try:
                kind, found = _inode(disk, number, name)
            except DiskError as error:
                yield f"{name}: {error}"
                continue
            if kind == _FOLDER and depth < _MAX_DEPTH:
                waiting.append((found, depth + 1))
            elif kind == _FILE:
                yield found


def _inode(disk: Disk, number: int, name: str) -> tuple[int, DiskFile]:
    words = _INODE.unpack(disk.read(number * BLOCK, _INODE.size))
    size, kind, _, _, *blocks = words
    return kind, DiskFile(name, size, _blocks(disk, size, blocks))


def _blocks(disk: Disk, size: int, words: list[int]) -> tuple[int, ...]:
    count = -(-size // BLOCK)
    if count > MAX_BLOCKS:
        raise DiskError(f"a file of {size} bytes")
    found = words[: min(count, _DIRECT)]
    if count > len(found):
        found += _pointers(disk, words[_DIRECT])[: count - len(found)]
    for block in _pointers(disk, words[_DIRECT + 1]) if count > len(found) else ():
        if count == len(found):
            break
        found += _pointers(disk, block)[: count - len(found)]
    if count != len(found):
        raise DiskError(f"a file of {size} bytes, which are more than it has blocks for")
    return tuple(found)


def _pointers(disk: Disk, block: int) -> tuple[int, ...]:
    return struct.unpack(f"<{_POINTERS}I", disk.read(block * BLOCK, BLOCK))
