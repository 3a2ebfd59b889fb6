"""The options that every command has, and what they mean."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.locate import KERNEL_VARIABLE, default_kernel, elf_of
from rcdbg.image.resolve import resolve
from rcdbg.kernels.reading import NOTHING, Overlay, load_overlay
from rcdbg.kernels.recognise import demand_symbol, describe
from rcdbg.machine.qemu.own_line import OwnLine, is_qemu, parse
from rcdbg.trace.run import Boot


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, whatever the command."""

    kernel: Path
    memory: str
    append: str
    gdb: str | None
    qemu: str | None
    overlay: Overlay = NOTHING
    own: OwnLine | None = None
    """The user's QEMU command line."""

    @property
    def boot(self) -> Boot:
        """The machine to start."""
        return Boot(
            self.kernel, self.append, self.memory, self.qemu, own=self.own, overlay=self.overlay
        )


def split(argv: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Our own words, and the QEMU command line after `--`, or None without one.

    Words that begin with a QEMU are such a line as well: as cargo's runner or a Makefile's QEMU,
    rcdbg is put before it.
    """
    words = list(argv)
    if words and is_qemu(words[0]):
        return [], words
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1 :]


def add_common(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Add the common options to a parser.

    `inner` for the parser of a command: there an option that is not given leaves what stood
    before the command as it is.
    """
    group = parser.add_argument_group(
        "machine", argument_default=argparse.SUPPRESS if inner else None
    )
    group.add_argument(
        "--kernel",
        metavar="ELF",
        type=Path,
        help=f"the kernel's ELF (default: ${KERNEL_VARIABLE}, else the one built by `make kernel`)",
    )
    group.add_argument(
        "--scenario", metavar="NAME", help="what the kernel runs: threads, preempt, ..."
    )
    group.add_argument("--append", metavar="TEXT", help="more boot arguments")
    group.add_argument("--memory", metavar="SIZE", help="RAM (default: 128M)")
    group.add_argument("--gdb", metavar="PATH", help="the gdb to use")
    group.add_argument("--qemu", metavar="PATH", help="the qemu-system-riscv64 to use")
    group.add_argument(
        "--profile", metavar="FILE", type=Path, help="TOML with the names that this kernel uses"
    )


def add_at(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """Add the options that say where to stop; `inner` as for `add_common`."""
    parser.add_argument(
        "--at",
        metavar="SYMBOL[:HIT]",
        default=argparse.SUPPRESS if inner else None,
        help="where to stop: a function, and the how-manieth call of it (default: the first trap,"
        " since all is set up by then)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=argparse.SUPPRESS if inner else 30.0,
        help="to get there (default: 30)",
    )
    if inner:
        _add_source(parser)


def _add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name another source than a boot; those not given are not set."""
    group = parser.add_argument_group(
        "instead of a boot, or after it", argument_default=argparse.SUPPRESS
    )
    group.add_argument(
        "--live", action="store_true", help="from --at on let the kernel run, and look meanwhile"
    )
    group.add_argument("--snapshot", metavar="FILE", type=Path, help="look into a snapshot")
    group.add_argument(
        "--attach", metavar="HOST:PORT|SOCKET", help="look into the QEMU with this gdb stub"
    )


def common(arguments: argparse.Namespace) -> Options:
    """The common options as given; raises UsageError or ImageError for what cannot be."""
    own = None if arguments.own_line is None else parse(arguments.own_line)
    append = arguments.append or ""
    if arguments.scenario is not None:
        if not arguments.scenario.strip() or any(c.isspace() for c in arguments.scenario):
            raise UsageError(f"--scenario {arguments.scenario!r}: a scenario's name is one word")
        append = f"scenario={arguments.scenario} {append}".strip()
    memory, qemu, gdb = arguments.memory, arguments.qemu, arguments.gdb
    overlay = names(arguments)
    if own is None:
        kernel = arguments.kernel or default_kernel()
        return Options(kernel, "128M" if memory is None else memory, append, gdb, qemu, overlay)
    for change in own.changes:
        print(f"rcdbg: QEMU's {change}", file=sys.stderr)
    kernel = arguments.kernel or _kernel_of(own)
    qemu = qemu or own.program
    memory = own.memory if memory is None else memory
    return Options(kernel, memory, append or own.append, gdb, qemu, overlay, own)


def _kernel_of(own: OwnLine) -> Path:
    """The ELF that a QEMU command line boots; raises UsageError or ImageError without one."""
    if own.kernel is None:
        raise UsageError("this QEMU command line boots no kernel: name its ELF with --kernel")
    return elf_of(own.kernel)


def names(arguments: argparse.Namespace) -> Overlay:
    """The names that --profile gives; raises UsageError for a file that is none."""
    return load_overlay(arguments.profile) if arguments.profile else NOTHING


def where_to_stop(arguments: argparse.Namespace, options: Options, image: Image) -> str:
    """What --at says; by default the trap handler, whatever it is called in this kernel.

    Raises UsageError if nothing tells what it is called.
    """
    if arguments.at is not None:
        return str(arguments.at)
    trap = describe(image, options.overlay).trap
    return demand_symbol(image, trap.handler, "the trap handler")[0]


def address(text: str, image: Image) -> int:
    """A number (0x... or decimal) or a symbol as an address; raises UsageError."""
    try:
        value = int(text, 0)
    except ValueError:
        return resolve(image, text)
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} is not a 64-bit address")
    return value
