"""easy-fs, the file system of rCore-Tutorial from chapter 6 on: one folder, blocks of 512 bytes.

Source of the format: rCore-Tutorial-Book, chapter 6, "easy-fs": a super block; a bitmap of inodes;
inodes of 128 bytes (size, 28 direct blocks, two indirect ones, kind); a bitmap of blocks; blocks.
An entry of the folder is a name of 28 bytes and the number of an inode.
"""

import struct
from collections.abc import Iterator

from rcdbg.image.programs.disks.disk import MAX_BLOCKS, MAX_FILES, Disk, DiskError, DiskFile

BLOCK = 512
_MAGIC = 0x3B80_0001
_SUPER = struct.Struct("<6I")
_INODE, _ENTRY, _NAME = 128, 32, 28
_DIRECT, _FOLDER = 28, 1
_POINTERS = BLOCK // 4


def is_it(disk: Disk) -> bool:
    """Whether the disk starts like one."""
    try:
        return int.from_bytes(disk.read(0, 4), "little") == _MAGIC
    except DiskError:
        return False


def files(disk: Disk) -> Iterator[DiskFile | str]:
    """The files of the one folder; of one that makes no sense, a line that says why.

    Raises DiskError where the folder itself makes none.
    """
    _, _, bitmap_blocks, inode_blocks, *_ = _SUPER.unpack(disk.read(0, _SUPER.size))
    inodes = inode_blocks * (BLOCK // _INODE)

    def inode(number: int, name: str) -> tuple[int, DiskFile]:
        if not 0 <= number < inodes:
            raise DiskError(f"inode {number} of {inodes}")
        start = (1 + bitmap_blocks) * BLOCK + number * _INODE
        words = struct.unpack("<32I", disk.read(start, _INODE))
        return words[31], DiskFile(name, words[0], _blocks(disk, words))

    kind, root = inode(0, "/")
    if kind != _FOLDER:
        raise DiskError(f"the folder is of kind {kind}")
    if root.size > MAX_FILES * _ENTRY:
        raise DiskError(f"a folder of {root.size} bytes")
    content = disk.contents(root)
    for at in range(0, len(content) - _ENTRY + 1, _ENTRY):
        name = content[at : at + _NAME].split(b"\0")[0].decode("utf-8", "replace")
        number = int.from_bytes(content[at + _NAME : at + _ENTRY], "little")
        if not name:
            continue
        try:
            yield inode(number, name)[1]
        except DiskError as error:
            yield f"{name}: {error}"


def _blocks(disk: Disk, words: tuple[int, ...]) -> tuple[int, ...]:
    """The blocks of a file, through its indirect ones; raises DiskError."""
    count = -(-words[0] // BLOCK)
    if count > MAX_BLOCKS:
        raise DiskError(f"a file of {words[0]} bytes")
    found = list(words[1 : 1 + min(count, _DIRECT)])
    first, second = words[29], words[30]
    if count > len(found):
        found += _pointers(disk, first)[: count - len(found)]
    for block in _pointers(disk, second) if count > len(found) else ():
        if count == len(found):
            break
        found += _pointers(disk, block)[: count - len(found)]
    if count != len(found):
        raise DiskError(f"a file of {words[0]} bytes, which are more than it has blocks for")
    return tuple(found)


def _pointers(disk: Disk, block: int) -> tuple[int, ...]:
    return struct.unpack(f"<{_POINTERS}I", disk.read(block * BLOCK, BLOCK))
