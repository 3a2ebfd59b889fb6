"""What a run needs to be the same each time, however busy the host is."""

import mmap
import struct
from dataclasses import replace

from rcdbg.image.elf import Image
from rcdbg.machine.qemu import QemuConfig
from rcdbg.riscv.code import instructions

WFI = 0x1050_0073
NOP = 0x0000_0013
"""addi x0, x0, 0"""


def unstopped(config: QemuConfig) -> QemuConfig:
    """The same machine with time counted in instructions, for a run that nobody ever stops.

    The clock does not move with the host's while QEMU starts to run (`sleep=off`, which a stop of
    the guest would not go with); the device tree's seed is fixed; and the serial line always takes
    a byte at once, which one that can be typed to does not.
    """
    extra = [word for word in config.extra if word != "-icount" and not word.startswith("shift=")]
    options = ("-icount", "shift=3,sleep=off", "-seed", "1")
    return replace(config, serial="output", extra=(*extra, *options))


def replace_wfi(image: Image, memory: mmap.mmap | bytearray, base: int) -> list[int]:
    """Make each `wfi` of the kernel, in memory from physical `base` on, a `nop`; their addresses.

    The privileged specification allows that (section "Wait for Interrupt"). With a real one QEMU
    sleeps until the host's clock says so, and guest time then depends on how fast the host is. To
    be done before the kernel's first instruction.
    """
    replaced = []
    for symbol in image.symbols:
        if symbol.kind != "code":
            continue
        code = image.read(symbol.address, symbol.size) or b""
        for address, encoding in instructions(code, symbol.address):
            physical = image.physical(address)
            if encoding != WFI or physical is None:
                continue
            offset = physical - base
            if memory[offset : offset + 4] == struct.pack("<I", WFI):
                memory[offset : offset + 4] = struct.pack("<I", NOP)
                replaced.append(address)
    return replaced
