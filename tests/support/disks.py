"""Disk images as teaching kernels have them, written from the formats' definitions."""

import struct

EASY_BLOCK, XV6_BLOCK, SFS_BLOCK = 512, 1024, 4096


def easy_fs(files: dict[str, bytes]) -> bytes:
    """easy-fs: super block, one block of inode bitmap, 16 of inodes, one of bitmap, the data."""
    inode_blocks, first_data = 16, 1 + 1 + 16 + 1
    blocks: list[bytes] = []
    indices: list[bytes] = []

    def put(content: bytes) -> int:
        blocks.append(content.ljust(EASY_BLOCK, b"\0"))
        return first_data + len(blocks) - 1

    def table(numbers: list[int]) -> int:
        return put(struct.pack(f"<{len(numbers)}I", *numbers)) if numbers else 0

    def inode(content: bytes, kind: int) -> bytes:
        cut = [content[i : i + EASY_BLOCK] for i in range(0, len(content), EASY_BLOCK)]
        data = [put(piece) for piece in cut]
        direct, rest = data[:28], data[28:]
        first = table(rest[:128])
        second = table([table(rest[i : i + 128]) for i in range(128, len(rest), 128)])
        words = [len(content), *direct, *[0] * (28 - len(direct)), first, second, kind]
        return struct.pack("<32I", *words)

    entries = b""
    for number, (name, content) in enumerate(files.items(), 1):
        indices.append(inode(content, 0))
        entries += name.encode().ljust(28, b"\0") + struct.pack("<I", number)
    root = inode(entries, 1)
    head = struct.pack("<6I", 0x3B800001, 4096, 1, inode_blocks, 1, len(blocks))
    inodes = b"".join([root, *indices]).ljust(inode_blocks * EASY_BLOCK, b"\0")
    start = head.ljust(EASY_BLOCK, b"\0") + bytes(EASY_BLOCK)
    return start + inodes + bytes(EASY_BLOCK) + b"".join(blocks)


def xv6_fs(files: dict[str, bytes]) -> bytes:
    """xv6's: boot block, super block, inodes from block 2 on, the data behind them."""
    inode_blocks = 8
    first_data = 2 + inode_blocks
    blocks: list[bytes] = []

    def put(content: bytes) -> int:
        blocks.append(content.ljust(XV6_BLOCK, b"\0"))
        return first_data + len(blocks) - 1

    def inode(content: bytes, kind: int) -> bytes:
        cut = [content[i : i + XV6_BLOCK] for i in range(0, len(content), XV6_BLOCK)]
        data = [put(piece) for piece in cut]
        direct, rest = data[:12], data[12:]
        indirect = put(struct.pack(f"<{len(rest)}I", *rest)) if rest else 0
        words = [*direct, *[0] * (12 - len(direct)), indirect]
        return struct.pack("<4hI13I", kind, 0, 0, 1, len(content), *words)

    entries, inodes = struct.pack("<H14s", 1, b"."), []
    for number, (name, content) in enumerate(files.items(), 2):
        inodes.append(inode(content, 2))
        entries += struct.pack("<H14s", number, name.encode())
    every = b"".join([bytes(64), inode(entries, 1), *inodes])
    head = struct.pack("<8I", 0x10203040, 1000, 900, len(inodes) + 2, 0, 2, 2, 0)
    start = bytes(XV6_BLOCK) + head.ljust(XV6_BLOCK, b"\0")
    return start + every.ljust(inode_blocks * XV6_BLOCK, b"\0") + b"".join(blocks)


def sfs(files: dict[str, bytes]) -> bytes:
    """The Simple File System: an inode is a block; the files are in a folder of the root."""
    blocks = [b"", b"", bytes(SFS_BLOCK)]

    def put(content: bytes) -> int:
        blocks.append(content.ljust(SFS_BLOCK, b"\0"))
        return len(blocks) - 1

    def inode(content: bytes, kind: int) -> bytes:
        cut = [content[i : i + SFS_BLOCK] for i in range(0, len(content), SFS_BLOCK)]
        data = [put(piece) for piece in cut]
        rest = data[12:]
        indirect = put(struct.pack(f"<{len(rest)}I", *rest)) if rest else 0
        words = [*data[:12], *[0] * (12 - len(data[:12])), indirect, 0]
        return struct.pack("<IHHI14I", len(content), kind, 1, len(data), *words)

    def folder(entries: dict[str, int]) -> bytes:
        return b"".join(struct.pack("<I256s", n, name.encode()) for name, n in entries.items())

    inner = folder({name: put(inode(content, 1)) for name, content in files.items()})
    blocks[1] = inode(folder({".": 1, "bin": put(inode(inner, 2))}), 2).ljust(SFS_BLOCK, b"\0")
    blocks[0] = struct.pack("<II", 0x2F8DBE2B, len(blocks)).ljust(SFS_BLOCK, b"\0")
    return b"".join(blocks)
