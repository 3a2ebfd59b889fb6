"""Page tables made by a test, and a kernel that has nothing else."""

import struct
from types import SimpleNamespace
from typing import cast

from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.model.kernel import Kernel
from rcdbg.riscv import pages, pte
from tests.support.fake_target import FakeTarget

PAGE = 4096
ROOT = 0x80000


class Tables:
    """Physical pages with an Sv39 tree in them; tables are made in the frames from ROOT on."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.next_frame = ROOT
        self.root = self.new_table()

    def new_table(self) -> int:
        """A new empty table; returns its frame."""
        frame = self.next_frame
        self.next_frame += 1
        self.pages[frame * PAGE] = bytearray(PAGE)
        return frame

    def get(self, frame: int, slot: int) -> int:
        entry: int = struct.unpack_from("<Q", self.pages[frame * PAGE], slot * 8)[0]
        return entry

    def set(self, frame: int, slot: int, entry: int) -> None:
        struct.pack_into("<Q", self.pages[frame * PAGE], slot * 8, entry)

    def map(self, va: int, pa: int, flags: int, level: int = 0, root: int | None = None) -> None:
        """Put a leaf for `va` into the tree, with the tables that lead there."""
        table = self.root if root is None else root
        for step in range(2, level, -1):
            slot = pages.index(va, step)
            if not self.get(table, slot) & pte.V:
                self.set(table, slot, self.new_table() << 10 | pte.V)
            table = self.get(table, slot) >> 10
        self.set(table, pages.index(va, level), pa // PAGE << 10 | flags | pte.V)

    def kernel(self, satp: int | None = None) -> Kernel:
        """A kernel of which nothing but the page table is known."""
        value = 8 << 60 | self.root if satp is None else satp
        registers = Registers(0, (0,) * 32, {"satp": value, "sstatus": 0}, 1)
        image = SimpleNamespace(
            sections=(),
            has_debug_info=False,
            physical=lambda _: None,
            symbols=SimpleNamespace(at=lambda _: None, address_of=lambda _: None),
            types=SimpleNamespace(statics=lambda: iter(()), types_named=lambda _: ()),
        )
        target = FakeTarget({a: bytes(p) for a, p in self.pages.items()}, registers)
        return Kernel.now(cast(Image, image), target)
