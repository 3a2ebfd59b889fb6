"""The timer that the CSR `time` shows: QEMU's stub has no such register, but its memory has it.

Sources: RISC-V privileged spec, "Machine Timer (mtime and mtimecmp)": `time` is mtime, read-only;
RISC-V ACLINT specification, MTIMER, and QEMU's include/hw/intc/riscv_aclint.h for where mtime
lies in the device. Reading it changes nothing, and while the guest stands so does it.
"""

import re
from collections.abc import Callable

from rcdbg.errors import MachineError

NAME = "time"
"""The register's name."""
SIZE = 8
"""Bytes of it."""
MAP_COMMAND = "info mtree"

_DEVICE = re.compile(r"^\s*([0-9a-f]{1,16})-[0-9a-f]{1,16} \(.*\): riscv\.aclint\.mtimer\r?$", re.M)
_MTIME = 0x7FF8
_DUMPED = re.compile(r"^[0-9a-f]+: 0x([0-9a-f]{1,16})\s*$")


def mtime_address(ask: Callable[[str], str]) -> int | None:
    """The physical address of mtime, by QEMU's own account of its machine; None if it has none.

    `ask` passes a command on to the human monitor and returns what that prints.
    """
    try:
        found = _DEVICE.search(ask(MAP_COMMAND))
    except MachineError:
        return None  # another stub, without a monitor
    return None if found is None else int(found[1], 16) + _MTIME


def dump_command(address: int) -> str:
    """The monitor's command that prints mtime."""
    return f"xp /1gx {address:#x}"


def parse_dump(text: str) -> int | None:
    """What it printed, or None for a complaint."""
    found = _DUMPED.match(text.strip())
    return None if found is None else int(found[1], 16)


def ask_ticks(ask: Callable[[str], str], address: int) -> int | None:
    """What the human monitor says mtime is; None for a complaint."""
    return parse_dump(ask(dump_command(address)))
