"""What the options mean that every command has."""

import argparse
import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rcdbg.cli.door import remark
from rcdbg.cli.project.build import build_first
from rcdbg.cli.project.start import how_it_starts, programs_of_project
from rcdbg.errors import UsageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import KERNEL_VARIABLE, default_kernel
from rcdbg.image.resolve import resolve
from rcdbg.image.same_code import debug_build_of
from rcdbg.kernels.reading import NOTHING, Overlay, load_overlay
from rcdbg.kernels.recognise import demand_handler, describe
from rcdbg.machine.qemu.own_line import OwnLine, parse
from rcdbg.trace.own_boot import elf_booted, with_symbols_of
from rcdbg.trace.run import Boot

_BUILD_ID = ".note.gnu.build-id"


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
    programs: tuple[Path, ...] = ()
    """Where the programs in U-mode are, as the user says."""

    @property
    def boot(self) -> Boot:
        """The machine to start."""
        return Boot(
            self.kernel,
            self.append,
            self.memory,
            self.qemu,
            own=self.own,
            overlay=self.overlay,
            programs=self.programs,
        )


def common(arguments: argparse.Namespace) -> Options:
    """The common options as given; raises UsageError or ImageError for what cannot be."""
    if arguments.build and (status := build_first(Path.cwd())):
        # What is wrong has been said by whoever built.
        sys.exit(status)
    own = _own_line(arguments)
    append = arguments.append or ""
    if arguments.scenario is not None:
        if not arguments.scenario.strip() or any(c.isspace() for c in arguments.scenario):
            raise UsageError(f"--scenario {arguments.scenario!r}: a scenario's name is one word")
        append = f"scenario={arguments.scenario} {append}".strip()
    memory, qemu, gdb = arguments.memory, arguments.qemu, arguments.gdb
    overlay, user = names(arguments), programs(arguments)
    if own is None:
        kernel = _debuggable(arguments.kernel or default_kernel())
        memory = "128M" if memory is None else memory
        return Options(kernel, memory, append, gdb, qemu, overlay, programs=user)
    for change in own.changes:
        remark(f"QEMU's {change}")
    kernel = arguments.kernel or elf_booted(own)
    own = with_symbols_of(own, kernel)
    kernel, booted = _debuggable(kernel), kernel
    if kernel != booted and own.kernel == booted and load_image(kernel).section(_BUILD_ID):
        # By it, the two would be told apart.
        own = replace(own, kernel=kernel)
    qemu = qemu or own.program
    memory = own.memory if memory is None else memory
    return Options(kernel, memory, append or own.append, gdb, qemu, overlay, own, user)


def _own_line(arguments: argparse.Namespace) -> OwnLine | None:
    """The QEMU command line that was typed, or the one of the project in this folder."""
    if arguments.own_line is not None:
        return parse(arguments.own_line)
    if arguments.kernel is not None or os.environ.get(KERNEL_VARIABLE):
        return None
    start = how_it_starts(Path.cwd())
    if start is None:
        return None
    remark(f"by {start.source}: {shlex.join(start.words)}")
    return parse(start.words)


def _debuggable(kernel: Path) -> Path:
    """The ELF, or a build of the same code that has debug info; says so. Raises ImageError."""
    image = load_image(kernel)
    if image.has_debug_info:
        return kernel
    found = debug_build_of(image)
    if found is not None:
        path = os.path.relpath(found.path) if not kernel.is_absolute() else found.path
        remark(f"{kernel} has no debug info: {path}, with the same code, is used")
        return found.path
    return kernel


def warn(what: str | None) -> None:
    """Tell of something that keeps nobody from going on."""
    if what is not None:
        remark(f"warning: {what}")


def names(arguments: argparse.Namespace) -> Overlay:
    """The names that --profile gives; raises UsageError for a file that is none."""
    return load_overlay(arguments.profile) if arguments.profile else NOTHING


def programs(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Where --programs, or else rcdbg.toml, says that programs are; raises UsageError."""
    named = tuple(getattr(arguments, "programs", None) or ()) or programs_of_project(Path.cwd())
    for place in named:
        if not place.exists():
            raise UsageError(f"--programs {place}: no such folder or file")
    return named


def where_to_stop(arguments: argparse.Namespace, options: Options, image: Image) -> str:
    """What --at says; by default the trap handler, whatever it is called in this kernel.

    Of a kernel that rcdbg does not recognise it is the entry. Raises UsageError if the handler has
    a name that the kernel does not have.
    """
    if arguments.at is not None:
        return str(arguments.at)
    trap = describe(image, options.overlay).trap
    if trap.handler or trap.resumes:
        return demand_handler(image, trap)[0]
    where = f"does not recognise {image.path.name}, and stops at its entry"
    remark(f"{where}: --at says where else")
    return f"{image.entry:#x}"


def address(text: str, image: Image) -> int:
    """A number (0x... or decimal) or a symbol as an address; raises UsageError."""
    try:
        value = int(text, 0)
    except ValueError:
        return resolve(image, text)
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{text} is not a 64-bit address")
    return value
