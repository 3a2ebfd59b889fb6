"""The snapshot that the key `w` writes."""

import re
from itertools import count
from pathlib import Path

from rcdbg.guest.snapshot_writer import Machine, write_snapshot
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.tui.live.rig import Rig


def write_new(rig: Rig, scenario: str) -> str:
    """Write the stopped machine to a file that did not exist; returns a line that names it.

    Raises RcdbgError if the guest runs, or the file cannot be written.
    """
    image, ram = rig.image, rig.qemu.ram.extent
    # gdb leaves out what the stub calls machine CSRs; the monitor has them.
    others = parse_info_registers(rig.qemu.monitor.hmp("info registers"))
    machine = Machine(
        rig.target.registers(), ram, image.data, image.path.name, rig.qemu.console.text, others
    )
    path = _free(re.sub(r"[^\w.-]+", "-", f"{image.path.name}-{scenario}".strip("-")))
    size = write_snapshot(path, machine, rig.target.read_phys)
    return f"written to {path}, {size / 1e6:.1f} MB: rcdbg show --snapshot {path}"


def _free(stem: str) -> Path:
    return next(p for n in count(1) if not (p := Path(f"{stem}-{n}.snap")).exists())
