"""What to boot, and how."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rcdbg.errors import MachineError
from rcdbg.machine.qemu.own_line import OwnLine

PROGRAM = "qemu-system-riscv64"

NO_SSTC = ",sstc=off"
"""With Sstc, snapshots and record/replay lose the timer."""

DEFAULT_CPU = "rv64" + NO_SSTC
DEFAULT_MACHINE = "virt"


def find_qemu(path: str | None = None) -> str:
    """The QEMU to run: `path` if given, else the one in PATH; raises MachineError if none."""
    found = shutil.which(path or PROGRAM)
    if found is not None:
        return str(Path(found).absolute())
    if path is not None:
        raise MachineError(f"{path} is not an executable QEMU")
    raise MachineError(
        f"{PROGRAM} is not installed: apt install qemu-system-misc "
        "(qemu-system-riscv on Debian 13, Ubuntu 25.04 and newer)"
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What QEMU logs, into a pipe: `items` as for `-d`; states of the hart at `places` only.

    QEMU waits when `pipe_bytes` (a power of two, a page at least) are unread, so nothing is lost,
    and the smaller the pipe, the less the guest is ahead of the reader. One that `holds` is read
    as a `HeldLog`: the guest waits at each place. What QEMU has to say itself is in it, too.
    """

    items: Sequence[str]
    places: Sequence[int] = ()
    pipe_bytes: int = 4096
    holds: bool = False


@dataclass(frozen=True, slots=True)
class QemuConfig:
    """What to boot, and how.

    `kernel` is an ELF or a raw image for QEMU's `-kernel`; `append` its command line; `bios` as
    for `-bios`; `qemu` the program, or None to take it from PATH; `extra` further arguments.
    `machine`, `cpu` and `smp` are as for QEMU's options; what is empty is left to QEMU.
    With `icount`, an argument of `-icount`, time is counted in instructions.
    `sstc` is off by default, for with it the timer is lost by snapshots and by record/replay.
    `serial`: "socket" can be typed to; "output" cannot, but works under record/replay; "pipe" can,
    and takes so much text before somebody reads it that the guest never has to wait for the host.
    `inherited` are descriptors that QEMU gets under the same numbers, for `extra` to name.
    With a `log`, somebody has to read `Qemu.log` all the time, or else QEMU stands still.
    `contents` is booted in place of the file `kernel`, where that cannot be loaded as it is.
    `own` is a command line of the user's: what it says of devices and the like goes on to QEMU.
    """

    kernel: Path
    memory: str = "128M"
    append: str = ""
    bios: str = "default"
    machine: str = DEFAULT_MACHINE
    cpu: str = DEFAULT_CPU
    smp: str = ""
    serial: Literal["socket", "output", "pipe"] = "socket"
    qemu: str | None = None
    extra: Sequence[str] = ()
    icount: str | None = None
    log: LogConfig | None = None
    inherited: Sequence[int] = ()
    contents: bytes | None = None
    own: OwnLine | None = None
