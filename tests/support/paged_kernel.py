"""A kernel in assembly that switches to a page table, and page tables of any scheme for it."""

import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rcdbg.image.elf import load_image
from rcdbg.machine.qemu.own_line import parse
from rcdbg.trace.conditions import reached
from rcdbg.trace.run import Boot, Run
from tests.unit.image.build import LOADED, Elf, Section, Symbol

SOURCE = Path(__file__).resolve().parents[1] / "paging" / "switch.S"
PAGE = 4096
RAM_END = 0x8800_0000
FIRST_TABLE = 0x80800
"""The frame of the root table; the others follow it."""
MAX_PROBES = 256


def build(work: Path) -> Path:
    """Its ELF. LLVM's assembler is there wherever the sample kernel can be built."""
    made = work / "switch.o"
    subprocess.run(
        ["llvm-mc", "-triple=riscv64", "-mattr=+m,+a,-relax", "-filetype=obj", SOURCE, "-o", made],
        check=True,
    )
    subprocess.run(["llvm-objcopy", "-O", "binary", "-j", ".text", made, work / "raw"], check=True)
    listed = subprocess.run(["llvm-nm", made], check=True, capture_output=True, text=True).stdout
    places = {name: int(at, 16) for at, _, name in map(str.split, listed.splitlines())}
    code, split = (work / "raw").read_bytes(), places["data"]
    elf = Elf(
        loads=[(LOADED, LOADED, code, len(code), 7)],
        sections=[
            Section(".text", code[:split], LOADED, "ax"),
            Section(".data", code[split:], LOADED + split, "wa"),
        ],
        symbols=[
            Symbol(name, LOADED + at, kind=1 if at >= split else 2, section=1 + (at >= split))
            for name, at in places.items()
        ],
        entry=LOADED,
    )
    file = work / "switch"
    file.write_bytes(elf.bytes())
    return file


@dataclass
class Tree:
    """A page table of so many levels; entries are written by where they are to be found."""

    levels: int
    tables: dict[int, list[int]] = field(default_factory=dict)
    """By frame."""

    def __post_init__(self) -> None:
        self.root = self.new()

    def new(self) -> int:
        """A further table, empty; returns its frame."""
        frame = FIRST_TABLE + len(self.tables)
        self.tables[frame] = [0] * 512
        return frame

    def put(self, slots: Iterable[int], entry: int) -> int:
        """Write an entry, the root's slot first, with tables on the way; returns its address.

        A table is made where there is none yet.
        """
        *way, last = slots
        table = self.root
        for slot in way:
            if not self.tables[table][slot]:
                self.tables[table][slot] = self.new() << 10 | 1
            table = self.tables[table][slot] >> 10
        self.tables[table][last] = entry
        return self.va((*way, last))

    def va(self, slots: Iterable[int], offset: int = 0) -> int:
        """The canonical address that is translated by those slots."""
        va = offset
        for place, slot in enumerate(slots):
            va |= slot << 12 + 9 * (self.levels - 1 - place)
        top = 1 << 12 + 9 * self.levels
        return va - top + (1 << 64) if va >= top // 2 else va

    def pages(self) -> Mapping[int, bytes]:
        """The tables by physical address."""
        return {frame * PAGE: struct.pack("<512Q", *slots) for frame, slots in self.tables.items()}


class PagedKernel:
    """The kernel, booted in QEMU and not started."""

    def __init__(self, elf: Path, cpu: str | None = None) -> None:
        words = ("qemu-system-riscv64", "-machine", "virt", "-cpu", cpu or "", "-kernel", str(elf))
        self.run = Run(Boot(elf, own=parse(words) if cpu else None), load_image(elf))
        self.at = {name: self._symbol(name) for name in ("satp", "count", "probes", "results")}

    def _symbol(self, name: str) -> int:
        address = self.run.image.symbols.address_of(name)
        assert address is not None
        return address

    def write(self, physical: int, data: bytes) -> None:
        """Into the guest's RAM."""
        ram = self.run.qemu.ram
        ram.memory[physical - ram.base : physical - ram.base + len(data)] = data

    def put(self, tree: Tree) -> None:
        """Write the tables into RAM."""
        for address, page in tree.pages().items():
            self.write(address, page)

    def start(self, satp: int, probes: list[int]) -> list[tuple[int, int | None]]:
        """Let it switch and load; returns each byte, and the cause if it trapped."""
        assert len(probes) <= MAX_PROBES
        self.write(self.at["satp"], struct.pack("<Q", satp))
        self.write(self.at["count"], struct.pack("<Q", len(probes)))
        self.write(self.at["probes"], struct.pack(f"<{len(probes)}Q", *probes))
        self.run.until(reached("done"))
        found = self.run.target.read_phys(self.at["results"], 16 * len(probes))
        pairs = struct.iter_unpack("<QQ", found)
        return [(byte, trapped - 1 if trapped else None) for byte, trapped in pairs]
