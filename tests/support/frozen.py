"""A copy of a stopped kernel's memory and registers, to be damaged and made whole again."""

from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState
from rcdbg.target.memory import RamTarget
from rcdbg.target.protocol import Registers
from rcdbg.trace.run import Run


class Frozen:
    """A copy of a stopped kernel that can be damaged, and made whole again."""

    def __init__(self, run: Run) -> None:
        self.image = run.image
        self.base = run.qemu.ram.base
        self.whole = bytes(run.qemu.ram.memory)
        self.memory = bytearray(self.whole)
        self.registers = run.stub.registers()
        self.touched: set[int] = set()

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
