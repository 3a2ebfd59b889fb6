"""The devices of the machine and where each lies: by the device tree, or as QEMU's `virt` has them.

Sources: Devicetree Specification 0.4, sections 2.3.6 ("reg") and 5; QEMU, hw/riscv/virt.c.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.riscv import device_tree

_PLACES = 4096
"""Places of a device tree that are looked at: 8 GiB of RAM."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device's registers in physical memory."""

    name: str
    start: int
    size: int
    is_assumed: bool = False
    """Whether no device tree was found, and it is where QEMU's `virt` has it."""

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.start + self.size


_VIRT = (
    Device("test", 0x10_0000, 0x1000, is_assumed=True),
    Device("rtc", 0x10_1000, 0x1000, is_assumed=True),
    Device("clint", 0x200_0000, 0x1_0000, is_assumed=True),
    Device("plic", 0xC00_0000, 0x60_0000, is_assumed=True),
    Device("serial", 0x1000_0000, 0x100, is_assumed=True),
    *(Device("virtio_mmio", 0x1000_1000 + i * 0x1000, 0x1000, is_assumed=True) for i in range(8)),
    Device("fw-cfg", 0x1010_0000, 0x18, is_assumed=True),
    Device("flash", 0x2000_0000, 0x400_0000, is_assumed=True),
    Device("pci", 0x3000_0000, 0x1000_0000, is_assumed=True),
)


@once_a_moment
def devices(kernel: Kernel) -> tuple[Device, ...]:
    """All of them; never fails."""
    ram = kernel.target.ram
    if ram is not None:
        last = (ram.end - 1) & -device_tree.ALIGNMENT
        places = range(last, ram.start - 1, -device_tree.ALIGNMENT)[:_PLACES]
        for place in places:
            with suppress(MemoryReadError):
                for _, tree in device_tree.trees(kernel.target.read_phys, (place,)):
                    if found := _named(tree):
                        return found
    return _VIRT


def _named(tree: bytes) -> tuple[Device, ...]:
    return tuple(
        Device(name, start, size)
        for name, start, size in device_tree.registers_of(tree)
        if size and not name.startswith(("memory", "reserved"))
    )


def device_at(kernel: Kernel, addresses: Iterable[int]) -> Device | None:
    """The device whose registers are at one of these physical addresses, or None."""
    for address in addresses:
        for device in devices(kernel):
            if address in device:
                return device
    return None
