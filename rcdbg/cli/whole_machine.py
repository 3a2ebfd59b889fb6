"""A whole stopped machine, for a snapshot: booted here, or behind somebody else's stub."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any

from rcdbg.cli.meaning import common, warn, where_to_stop
from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Ram
from rcdbg.guest.snapshot_writer import Machine, ReadPhys
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.image.match import doubt_of


@contextlib.contextmanager
def booted_machine(arguments: argparse.Namespace) -> Iterator[tuple[Machine, ReadPhys]]:
    """A kernel of ours where it stops, and a reader of its memory."""
    from rcdbg.trace.conditions import place
    from rcdbg.trace.run import Run, machine_of

    options = common(arguments)
    image = load_image(options.kernel)
    event = place(where_to_stop(arguments, options, image), image)
    with Run(options.boot, image) as run:
        run.until(event, arguments.timeout)
        warn(run.doubted())
        yield machine_of(run), run.target.read_phys


def _machine(image: Image, now: Any, ram: Ram, others: dict[str, int], console: Any) -> Machine:
    return Machine(now, ram, image.data, image.path.name, console, others)


@contextlib.contextmanager
def attached_machine(arguments: argparse.Namespace) -> Iterator[tuple[Machine, ReadPhys]]:
    """A kernel that somebody else started; raises ImageError if it is another one."""
    from rcdbg.machine.qemu.board import RAM_BASE, parse_memory
    from rcdbg.machine.stub.attach import attached

    image = load_image(arguments.kernel or default_kernel())
    with attached(arguments.attach) as (target, stub):
        warn(doubt_of(image, target.read_phys))
        ram = target.ram
        if arguments.memory is not None:
            ram = Ram(RAM_BASE, parse_memory(arguments.memory))
        if ram is None:
            raise MachineError("no device tree in RAM any more: say --memory 128M, as to QEMU")
        now = target.registers()
        others = {n: v for n, v in stub.regs.every().items() if n not in now.csrs}
        yield _machine(image, now, ram, others, None), stub.read_memory
