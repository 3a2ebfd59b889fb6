"""`rc snapshot FILE`: the machine at this stop, in one file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import gdb

from gdbscripts.framework import SOURCES, Command, TypedWords
from gdbscripts.machine.kernel import fresh_kernel
from rcdbg.errors import MemoryReadError, TargetError, UsageError
from rcdbg.guest.protocol import Ram, Target
from rcdbg.guest.snapshot_writer import Machine, ReadPhys, write_snapshot
from rcdbg.machine.host.session import scratch
from rcdbg.machine.qemu.board import RAM_BASE, find_ram, parse_memory
from rcdbg.riscv.csr import SUPERVISOR_CSRS
from rcdbg.riscv.registers import unsigned
from rcdbg.subjects.prompt import offered
from rcdbg.words import Option

_MEMORY = "--memory"
_COMPARED = 64


class SnapshotCommand(Command):
    """Write the machine at this stop to a file: memory, registers, the ELF.

    Afterwards, without QEMU or gdb: rcdbg show --snapshot FILE
    """

    usage = "rc snapshot FILE"
    examples = ("rc snapshot hang.snap",)
    options = (
        Option(_MEMORY, "RAM, such as 128M, where the device tree in memory is gone", "SIZE"),
    )
    json = False

    def run(self, typed: TypedWords) -> None:
        """Read everything, write the file."""
        if len(typed.words) != 1 or typed.words[0].startswith("-"):
            raise UsageError("rc snapshot wants a file: rc snapshot hang.snap [--memory SIZE]")
        path, memory = Path(typed.words[0]).expanduser(), typed.given.text(_MEMORY)
        size_given = None if memory is None else Ram(RAM_BASE, parse_memory(memory))
        kernel = fresh_kernel()
        ram = size_given or _find_ram(kernel.target)
        image = kernel.image
        machine = Machine(kernel.registers, ram, image.data, image.path.name, None, _others())
        with _memory(ram, kernel.target) as read_phys:
            size = write_snapshot(path, machine, read_phys)
        gdb.write(f"{path}: {size / 1e6:.1f} MB; rcdbg show --snapshot {path}\n")

    def offers(self, before: list[str], typed: str) -> list[str]:
        """Files."""
        return offered("file", typed, SOURCES)


def _find_ram(target: Target) -> Ram:
    found = find_ram(target.read_phys)
    if found is None:
        raise TargetError(f"no device tree in RAM any more: say {_MEMORY} 128M, as to QEMU")
    return found


def _others() -> dict[str, int]:
    """All registers that have 64 bits and are not kept elsewhere."""
    frame = gdb.newest_frame()
    found = {}
    for register in frame.architecture().registers():
        # A vector, a union of float views, or one that cannot be read now: left out.
        with contextlib.suppress(gdb.error, TypeError, ValueError):
            value = frame.read_register(register.name)
            if value.type.sizeof <= 8 and value.type.code != gdb.TYPE_CODE_FLT:
                found[register.name] = unsigned(int(value))
    return {name: value for name, value in found.items() if name not in SUPERVISOR_CSRS}


@contextlib.contextmanager
def _memory(ram: Ram, target: Target) -> Iterator[ReadPhys]:
    """A reader of RAM: of a copy that QEMU writes, else packet by packet."""
    with scratch() as folder:
        copy = folder / "ram"
        copy.touch()  # it is ours then, also if QEMU runs as somebody else
        # Unquoted, the monitor takes a slash for a division. RAM of 2 GiB it does not take at all.
        with contextlib.suppress(gdb.error):
            gdb.execute(f'monitor pmemsave {ram.start:#x} {ram.size:#x} "{copy}"', to_string=True)
        if _is_copy(copy, ram, target):
            with copy.open("rb") as file:

                def read(address: int, size: int) -> bytes:
                    file.seek(address - ram.start)
                    data = file.read(size)
                    if len(data) != size:
                        raise MemoryReadError(address, size, "QEMU's copy of RAM ends there")
                    return data

                yield read
            return
        yield target.read_phys


def _is_copy(copy: Path, ram: Ram, target: Target) -> bool:
    """Whether QEMU, perhaps on another host, wrote that file, and it holds RAM."""
    if copy.stat().st_size != ram.size:
        return False
    with copy.open("rb") as file:
        for number in range(_COMPARED):
            offset = ram.size // _COMPARED * number & ~4095
            file.seek(offset)
            if file.read(4096) != target.read_phys(ram.start + offset, 4096):
                return False
    return True
