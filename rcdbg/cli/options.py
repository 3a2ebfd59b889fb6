"""The options that every command has, for a parser; `rcdbg.cli.meaning` is what they mean.

Nothing here imports a decoder: help, and telling what is wrong with a word, need none.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rcdbg.image.locate import KERNEL_VARIABLE
from rcdbg.machine.qemu.own_line import is_qemu


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
        "--build",
        action="store_true",
        help="build first, with what the project in this folder builds its kernel with",
    )
    group.add_argument(
        "--scenario", metavar="NAME", help="what the kernel runs: threads, preempt, ..."
    )
    group.add_argument("--append", metavar="TEXT", help="more boot arguments")
    group.add_argument("--memory", metavar="SIZE", help="RAM (default: 128M)")
    group.add_argument("--gdb", metavar="PATH", help="the gdb to use")
    group.add_argument("--qemu", metavar="PATH", help="the qemu-system-riscv64 to use")
    group.add_argument(
        "--programs",
        metavar="PLACE",
        type=Path,
        action="append",
        help="where the programs are that it runs in U-mode: a folder, a disk image or an ELF"
        " (those in the kernel's own ELF and on its disks are found); may be given more than once",
    )
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


def add_hart(group: "argparse._ActionsContainer") -> None:
    """Add the option that names one of several harts."""
    group.add_argument(
        "--hart",
        metavar="N",
        type=int,
        default=argparse.SUPPRESS,
        help="of several, look at the one with this number (default: the one that stopped)",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that name another source than a boot; those not given are not set."""
    group = parser.add_argument_group(
        "instead of a boot, or after it", argument_default=argparse.SUPPRESS
    )
    group.add_argument(
        "--live", action="store_true", help="from --at on let the kernel run, and look meanwhile"
    )
    group.add_argument("--snapshot", metavar="FILE", type=Path, help="look into a snapshot")
    add_hart(group)
    group.add_argument(
        "--attach", metavar="HOST:PORT|SOCKET", help="look into the QEMU with this gdb stub"
    )
