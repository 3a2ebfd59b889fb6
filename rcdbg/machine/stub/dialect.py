"""What QEMU's gdb stub has beside gdb's protocol, by its names: said once, whoever speaks to it.

Source: QEMU manual, "GDB usage"; gdb sends the packets by `maintenance packet`.
"""

PRIVILEGE_REGISTER = "priv"
"""The stub's name for the current privilege: not a CSR, but listed with them."""

HART_REGISTER = "mhartid"
"""The CSR with a hart's number."""

STEP_ALONE, STEP_WITH_INTERRUPTS = 0x7, 0x1
"""What a step holds back: ENABLE | NOIRQ | NOTIMER (the default), and ENABLE only."""

STEP_MASKS_INTERRUPTS = 0x2
"""The bit NOIRQ of it."""

ASK_STEP_MODE = "qqemu.sstep"
"""The packet that asks what a step holds back; the answer is a number in hexadecimal, `0x7`."""


PHYSICAL, VIRTUAL = "Qqemu.PhyMemMode:1", "Qqemu.PhyMemMode:0"
"""The packets after which addresses in reads and writes are physical, and virtual again."""

READ_CHUNK = 2048
"""Bytes in a read or write: QEMU's packets hold 4 KiB, that is this many in hexadecimal."""


def set_step_mode(mode: int) -> str:
    """The packet after which a step holds back `mode`; the answer is `OK`."""
    return f"Qqemu.sstep={mode:x}"
