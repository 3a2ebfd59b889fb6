"""QEMU's `virt` machine: where its RAM lies, and how the size of it is written."""

import re
from collections.abc import Callable
from fractions import Fraction

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Ram
from rcdbg.riscv import device_tree

RAM_BASE = 0x8000_0000
"""Physical address of RAM (hw/riscv/virt.c, VIRT_DRAM)."""

MAX_RAM = 4 << 30
"""How far RAM is searched for the device tree, in bytes; QEMU puts it below 3 GiB of them."""

MIN_MEMORY = 8 << 20
"""Bytes: the firmware takes the first 2 MiB of RAM, the kernel is loaded behind them."""

_UNITS = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_memory(text: str) -> int:
    """The bytes that `text` means to QEMU's `-m`: "128M", "0.5G", "65536K", or "128" for MiB.

    Raises MachineError for anything else, and for less than `MIN_MEMORY`.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([BKMGT]?)", text.strip().upper())
    if match is None:
        raise MachineError(f"memory size {text!r} is not understood: write it as 128M or 1G")
    size = int(Fraction(match[1]) * _UNITS[match[2] or "M"])
    if size < MIN_MEMORY:
        raise MachineError(f"memory size {text!r} is too small: the machine needs 8M at least")
    if size % 4096:
        raise MachineError(f"memory size {text!r} is not a whole number of 4 KiB pages")
    return size


def find_ram(read_phys: Callable[[int, int], bytes]) -> Ram | None:
    """RAM's extent after the device tree in it; None if that is gone."""
    places = range(RAM_BASE, RAM_BASE + MAX_RAM, device_tree.ALIGNMENT)
    found = device_tree.find_memory(read_phys, places)
    return Ram(*found) if found is not None else None
