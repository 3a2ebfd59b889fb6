"""The options that every command has, and what they mean."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import UsageError
from rcdbg.image.elf import Image
from rcdbg.image.locate import KERNEL_VARIABLE, default_kernel
from rcdbg.image.resolve import resolve
from rcdbg.model.kernel import DEFAULT_PROFILE
from rcdbg.model.profile import Profile, load_profile
from rcdbg.trace.run import Boot

FIRST_STOP = "handle_interrupt"
"""Where to stop when nobody says: at the first trap, since everything is set up by then."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, whatever the command."""

    kernel: Path
    memory: str
    append: str
    gdb: str | None
    qemu: str | None
    profile: Profile = DEFAULT_PROFILE

    @property
    def boot(self) -> Boot:
        """The machine to start."""
        return Boot(self.kernel, self.append, self.memory, self.qemu, profile=self.profile)


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
        default=argparse.SUPPRESS if inner else FIRST_STOP,
        help=f"where to stop: a function, and the how-manieth call of it (default: {FIRST_STOP})",
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
    append = arguments.append or ""
    if arguments.scenario is not None:
        if not arguments.scenario.strip() or any(c.isspace() for c in arguments.scenario):
            raise UsageError(f"--scenario {arguments.scenario!r}: a scenario's name is one word")
        append = f"scenario={arguments.scenario} {append}".strip()
    kernel = arguments.kernel or default_kernel()
    memory = "128M" if arguments.memory is None else arguments.memory
    return Options(kernel, memory, append, arguments.gdb, arguments.qemu, names(arguments))


def names(arguments: argparse.Namespace) -> Profile:
    """The names that --profile gives; raises UsageError for a file that is none."""
    return load_profile(arguments.profile) if arguments.profile else DEFAULT_PROFILE


def where_to_stop(arguments: argparse.Namespace, options: Options) -> str:
    """What --at says; by default the trap handler, whatever it is called in this kernel."""
    return options.profile.trap_handler if arguments.at == FIRST_STOP else str(arguments.at)


def address(text: str, image: Image) -> int:
    """A number (0x... or decimal) or a symbol as an address; raises UsageError."""
    try:
        value = int(text, 0)
    except ValueError:
        return resolve(image, text)
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} is not a 64-bit address")
    return value
