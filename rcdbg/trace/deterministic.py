"""What a run needs to be the same each time, however busy the host is."""

import mmap
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.image.elf import Image
from rcdbg.machine.qemu.config import QemuConfig
from rcdbg.riscv import code
from rcdbg.trace.observers.scan import scan

INSTRUCTION_CLOCK = "shift=3"
"""QEMU's -icount: 8 ns for each instruction. With sleep=off, each stop would let a timer expire."""


@dataclass(frozen=True, slots=True)
class Tape:
    """A file, by its descriptor, that QEMU records a run into, or takes one from to replay it.

    Format and meaning: QEMU's manual, "Record/replay". Only a run that ended in order can be
    replayed.
    """

    file: int
    action: Literal["record", "replay"]


def unstopped(config: QemuConfig, tape: Tape | None = None) -> QemuConfig:
    """The same machine with time counted in instructions, for a run that nobody ever stops.

    The clock does not move with the host's while QEMU starts to run (`sleep=off`, which a stop of
    the guest would not go with); the device tree's seed is fixed; and the serial line always takes
    a byte at once, which one that can be typed to does not. Replayed from a `tape`, the clock is
    that of the recording: then it may be stopped at will.
    """
    clock, inherited = f"{INSTRUCTION_CLOCK},sleep=off", config.inherited
    if tape is not None:
        clock += f",rr={tape.action},rrfile=/proc/self/fd/{tape.file}"
        inherited = (*inherited, tape.file)
    extra = (*config.extra, "-seed", "1")
    return replace(config, icount=clock, serial="output", extra=extra, inherited=inherited)


@dataclass(frozen=True, slots=True)
class Replaced:
    """An instruction that was changed in the guest's memory: its virtual address, and both."""

    address: int
    original: int
    now: int


def replace_wfi(image: Image, memory: mmap.mmap | bytearray, base: int) -> tuple[Replaced, ...]:
    """Make each `wfi` of the kernel, in memory from physical `base` on, a `nop`; what was changed.

    The privileged specification allows that (section "Wait for Interrupt"). With a real one QEMU
    sleeps until the host's clock says so, and guest time then depends on how fast the host is. To
    be done before the kernel's first instruction.
    """
    found = []
    for address in scan(image).waits:
        physical = image.physical(address)
        if physical is None or not 0 <= physical - base <= len(memory) - 4:
            continue
        place = slice(physical - base, physical - base + 4)
        if memory[place] == code.WFI.to_bytes(4, "little"):
            memory[place] = code.NOP.to_bytes(4, "little")
            found.append(Replaced(address, code.WFI, code.NOP))
    return tuple(found)
