"""What a run needs, beside QEMU's `-icount`, to be the same each time."""

import mmap
import struct

from rcdbg.image.elf import Image
from rcdbg.riscv.code import instructions

WFI = 0x1050_0073
NOP = 0x0000_0013
"""addi x0, x0, 0"""


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
