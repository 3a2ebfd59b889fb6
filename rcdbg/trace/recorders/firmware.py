"""Where the firmware takes its traps: found once by a short boot, then remembered.

QEMU has to be told before it starts which places to log, and the kernel's calls of the firmware are
seen at the firmware's trap vector, whose address nobody but the firmware knows.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rcdbg.errors import MachineError
from rcdbg.image import cache
from rcdbg.image.elf import Image
from rcdbg.machine.qemu.board import RAM_BASE
from rcdbg.machine.qemu.config import QemuConfig, find_qemu
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.qemu.ram import GuestRam
from rcdbg.machine.stub.client import StubClient

_FORMAT = 1
_FILE = "firmware.json"
_KEPT = 32
_BOOT_SECONDS = 20.0
_CSRS = ("mtvec", "medeleg", "mideleg")


@dataclass(frozen=True, slots=True)
class Firmware:
    """What the firmware has set up when it enters the kernel, and the SHA-256 of its code.

    `mtvec` is its trap vector, `medeleg` and `mideleg` say which traps go to the kernel directly.
    """

    mtvec: int
    medeleg: int
    mideleg: int
    digest: str


_known: dict[str, Firmware] = {}


def firmware(config: QemuConfig, image: Image) -> Firmware:
    """What is known of the firmware that this machine has, else what a short boot shows.

    The machine that is then booted has to be compared by `digest`: the firmware may have been
    changed since. Raises MachineError if it never enters the kernel.
    """
    key = _key(config)
    return _known.get(key) or _known.setdefault(key, _load().get(key) or discover(config, image))


def discover(config: QemuConfig, image: Image) -> Firmware:
    """Boot the machine up to the kernel's first instruction and look; remembers what it finds."""
    entry = image.physical(image.entry)
    plain = replace(config, log=None)
    with Qemu(plain) as qemu, StubClient(qemu.gdb_socket, csrs=_CSRS) as stub:
        code = digest(qemu.ram, image)
        stub.insert_breakpoint(image.entry if entry is None else entry)
        stub.resume()
        if stub.wait_stop(_BOOT_SECONDS).reason == "exited":
            raise MachineError("the machine ended before the firmware entered the kernel")
        csrs = stub.registers().csrs
    found = Firmware(csrs["mtvec"] & ~3, csrs["medeleg"], csrs["mideleg"], code)
    _known[_key(config)] = found
    _store(_key(config), found)
    return found


def digest(ram: GuestRam, image: Image) -> str:
    """The SHA-256 of RAM below the kernel, in a machine that has not run yet."""
    end = kernel_start(image) - RAM_BASE
    return hashlib.sha256(ram.memory[: max(end, 0)]).hexdigest()


def kernel_start(image: Image) -> int:
    """The lowest physical address of the kernel: what is below belongs to the firmware."""
    starts = (image.physical(s.vaddr) for s in image.segments if s.memory_size)
    return min((start for start in starts if start is not None), default=RAM_BASE)


def _key(config: QemuConfig) -> str:
    """What tells machines with other firmware apart, as far as it can be told before a start."""
    program = Path(find_qemu(config.qemu)).resolve()
    bios = Path(config.bios)
    if config.own is not None and config.own.folder is not None:
        bios = config.own.folder / bios
    facts: list[object] = [config.machine, config.cpu, config.bios]
    for path in (program, bios):
        with contextlib.suppress(OSError):
            status = path.stat()
            facts += [str(path), status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _load() -> dict[str, Firmware]:
    folder = cache.directory()
    if folder is None:
        return {}
    try:
        document = json.loads((folder / _FILE).read_text("ascii"))
        if document["format"] != _FORMAT:
            return {}
        return {
            str(key): Firmware(
                int(row["mtvec"]), int(row["medeleg"]), int(row["mideleg"]), str(row["digest"])
            )
            for key, row in document["machines"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # The file only saves time: without it the machine is looked at again.
        return {}


def _store(key: str, found: Firmware) -> None:
    folder = cache.directory()
    if folder is None:
        return
    rows = {**_load(), key: found}
    kept = dict(list(rows.items())[-_KEPT:])
    document = {"format": _FORMAT, "machines": {k: asdict(row) for k, row in kept.items()}}
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        cache.replace_file(folder / _FILE, json.dumps(document).encode("ascii"))
