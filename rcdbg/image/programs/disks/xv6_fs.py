"""The file system of xv6-riscv: blocks of 1024 bytes; programs lie in its root folder.

Source of the format: "xv6: a simple, Unix-like teaching operating system", chapter 8: a boot
block; a super block (magic, size, blocks, inodes, log blocks, where log, inodes and bitmap start);
inodes of 64 bytes (type, device numbers, links, size, 12 direct blocks and an indirect one). An
entry of a folder is the number of an inode and a name of 14 bytes.
"""

import struct
from collections.abc import Iterator

from rcdbg.image.programs.disks.disk import MAX_FILES, Disk, DiskError, DiskFile

BLOCK = 1024
_MAGIC = 0x1020_3040
_SUPER = struct.Struct("<8I")
_INODE = struct.Struct("<4hI13I")
_ENTRY = struct.Struct("<H14s")
_ROOT, _FOLDER, _FILE = 1, 1, 2
_DIRECT, _POINTERS = 12, BLOCK // 4


def is_it(disk: Disk) -> bool:
    """Whether the disk starts like one."""
    try:
        return int.from_bytes(disk.read(BLOCK, 4), "little") == _MAGIC
    except DiskError:
        return False


def files(disk: Disk) -> Iterator[DiskFile | str]:
    """The files of the root folder; of one that makes no sense, a line that says why.

    Raises DiskError where the folder itself makes none.
    """
    _, _, _, inodes, _, _, inodes_at, _ = _SUPER.unpack(disk.read(BLOCK, _SUPER.size))

    def inode(number: int, name: str) -> tuple[int, DiskFile]:
        if not 0 <= number < inodes:
            raise DiskError(f"inode {number} of {inodes}")
        where = inodes_at * BLOCK + number * _INODE.size
        kind, _, _, _, size, *blocks = _INODE.unpack(disk.read(where, _INODE.size))
        return kind, DiskFile(name, size, _blocks(disk, size, blocks))

    kind, root = inode(_ROOT, "/")
    if kind != _FOLDER:
        raise DiskError(f"the root folder is of type {kind}")
    if root.size > MAX_FILES * _ENTRY.size:
        raise DiskError(f"a folder of {root.size} bytes")
    content = disk.contents(root)
    for at in range(0, len(content) - _ENTRY.size + 1, _ENTRY.size):
        number, raw = _ENTRY.unpack_from(content, at)
        if not number:
            continue
        name = raw.split(b"\0")[0].decode("utf-8", "replace")
        try:
            kind, found = inode(number, name)
        except DiskError as error:
            yield f"{name}: {error}"
            continue
        if kind == _FILE:
            yield found


def _blocks(disk: Disk, size: int, words: list[int]) -> tuple[int, ...]:
    """The blocks of a file; raises DiskError."""
    count = -(-size // BLOCK)
    if count > _DIRECT + _POINTERS:
        raise DiskError(f"a file of {size} bytes")
    found = words[: min(count, _DIRECT)]
    if count > _DIRECT:
        found += struct.unpack(f"<{_POINTERS}I", disk.read(words[_DIRECT] * BLOCK, BLOCK))
    return tuple(found[:count])
