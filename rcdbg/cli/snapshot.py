"""`rcdbg snapshot FILE`: a stopped kernel in one file, for `--snapshot FILE` later."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdbg.cli.options import add_at, add_common, common, where_to_stop
from rcdbg.errors import ImageError, MachineError, UsageError
from rcdbg.guest.protocol import Ram
from rcdbg.guest.snapshot_writer import Machine, ReadPhys, write_snapshot
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.image.match import differs_from_memory

if TYPE_CHECKING:
    pass


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    snapshot = commands.add_parser(
        "snapshot", help="boot, run to a place, write all of it to a file, end"
    )
    snapshot.add_argument("file", metavar="FILE", type=Path, help="the file to write")
    snapshot.add_argument(
        "--small", action="store_true", help="compress harder: a third less, and seconds more"
    )
    add_common(snapshot, inner=True)
    add_at(snapshot, inner=True)
    snapshot.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if getattr(arguments, "live", False) or getattr(arguments, "snapshot", None):
        raise UsageError("rcdbg snapshot takes a booted kernel, or --attach")
    source = _attached if getattr(arguments, "attach", None) else _booted
    with source(arguments) as (machine, read_phys):
        size = write_snapshot(arguments.file, machine, read_phys, small=arguments.small)
    print(f"{arguments.file}: {size / 1e6:.1f} MB; rcdbg show --snapshot {arguments.file}")
    return 0


@contextlib.contextmanager
def _booted(arguments: argparse.Namespace) -> Iterator[tuple[Machine, ReadPhys]]:
    from rcdbg.trace.conditions import place
    from rcdbg.trace.run import Run, machine_of

    options = common(arguments)
    image = load_image(options.kernel)
    event = place(where_to_stop(arguments, options, image), image)
    with Run(options.boot, image) as run:
        run.until(event, arguments.timeout)
        yield machine_of(run), run.target.read_phys


def _machine(image: Image, now: Any, ram: Ram, others: dict[str, int], console: Any) -> Machine:
    return Machine(now, ram, image.data, image.path.name, console, others)


@contextlib.contextmanager
def _attached(arguments: argparse.Namespace) -> Iterator[tuple[Machine, ReadPhys]]:
    from rcdbg.machine.qemu.board import RAM_BASE, parse_memory
    from rcdbg.machine.stub.attach import attached

    image = load_image(arguments.kernel or default_kernel())
    with attached(arguments.attach) as (target, stub):
        if why := differs_from_memory(image, target.read_phys):
            raise ImageError(why)
        ram = target.ram
        if arguments.memory is not None:
            ram = Ram(RAM_BASE, parse_memory(arguments.memory))
        if ram is None:
            raise MachineError("no device tree in RAM any more: say --memory 128M, as to QEMU")
        now = target.registers()
        others = {n: v for n, v in stub.regs.every().items() if n not in now.csrs}
        yield _machine(image, now, ram, others, None), stub.read_memory
