"""A copy of a stopped kernel's memory and registers, to be damaged and made whole again."""

from pathlib import Path
from typing import Self

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.guest.snapshot import Snapshot
from rcdbg.image.elf import Image, image_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState
from rcdbg.trace.run import Run


class Frozen:
    """A copy of a stopped kernel that can be damaged, and made whole again."""

    def __init__(self, image: Image, base: int, memory: bytes, registers: Registers) -> None:
        self.image, self.base, self.registers = image, base, registers
        self.whole = memory
        self.memory = bytearray(memory)
        self.touched: set[int] = set()

    @classmethod
    def of(cls, run: Run) -> Self:
        """Of a kernel that stands in QEMU."""
        ram = run.qemu.ram
        return cls(run.image, ram.base, bytes(ram.memory), run.stub.registers())

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot) -> Self:
        """Of a kernel in a file."""
        image = image_of(snapshot.elf, Path(f"{snapshot.name}:{snapshot.kernel_name}"))
        memory = snapshot.target.read_phys(snapshot.ram.start, snapshot.ram.size)
        return cls(image, snapshot.ram.start, memory, snapshot.registers)

    def word(self, physical: int) -> int:
        """The 64-bit word there."""
        offset = physical - self.base
        return int.from_bytes(self.memory[offset : offset + 8], "little")

    def write(self, physical: int, data: bytes) -> None:
        """Damage it."""
        offset = physical - self.base
        self.memory[offset : offset + len(data)] = data
        self.touched |= {offset, offset + len(data) - 1}

    def restore(self) -> None:
        """Undo all damage."""
        for offset in self.touched:
            page = offset & ~4095
            self.memory[page : page + 4096] = self.whole[page : page + 4096]
        self.touched.clear()

    def target(self, registers: Registers | None = None) -> RamTarget:
        """What the decoders read."""
        return RamTarget(self.memory, self.base, lambda: registers or self.registers)

    def kernel(self, registers: Registers | None = None) -> Kernel:
        """The kernel as the copy has it now."""
        return Kernel.now(self.image, self.target(registers))

    def state(self, registers: Registers | None = None) -> KernelState:
        """The same, decoded."""
        return read_state(self.kernel(registers))


class Seen:
    """Physical words that the decoders read: the only ones worth damaging."""

    def __init__(self, frozen: Frozen) -> None:
        self.addresses: set[int] = set()
        self._target = frozen.target()
        self.ram = self._target.ram
        self.registers = self._target.registers

    def read_phys(self, address: int, size: int) -> bytes:
        """Read, and note which words."""
        self.addresses |= set(range(address & ~7, address + size, 8))
        return self._target.read_phys(address, size)
