"""`rcdbg gdb`: the kernel booted, gdb connected to it, the rc commands loaded."""

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdbg.cli.options import add_common

if TYPE_CHECKING:
    from rcdbg.cli.meaning import Options

# On `quit` gdb would let the kernel go on, and complain if that ends the machine before gdb's last
# packet. It is our machine: it ends with us.
_PART_IN_SILENCE = (
    "python hasattr(gdb.events, 'gdb_exiting') and gdb.events.gdb_exiting.connect("
    "lambda _: gdb.selected_inferior().pid and gdb.execute('disconnect', to_string=True))"
)


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    gdb = commands.add_parser("gdb", help="boot and open gdb on it, with the rc commands loaded")
    gdb.add_argument(
        "--command",
        "-x",
        action="append",
        default=[],
        metavar="GDB-COMMAND",
        help="a gdb command to run first; may be given more than once",
    )
    gdb.add_argument("--batch", action="store_true", help="end gdb after these commands")
    add_common(gdb, inner=True)
    gdb.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.meaning import common

    return open_gdb(
        common(arguments), arguments.command, batch=arguments.batch, profile=arguments.profile
    )


def open_gdb(
    options: "Options", commands: Sequence[str], *, batch: bool = False, profile: Path | None = None
) -> int:
    """Boot, give the terminal to gdb until the user quits; returns gdb's exit status.

    `commands` run first; with `batch` gdb ends after them. Raises ImageError for an unusable ELF,
    MachineError without QEMU or gdb.
    """
    from rcdbg.image.elf import load_image
    from rcdbg.machine.gdb.program import commands_script, find_gdb, run_in_terminal
    from rcdbg.machine.qemu.qemu import Qemu

    image = load_image(options.kernel)
    program = find_gdb(options.gdb)
    with Qemu(options.boot.config(image)) as qemu:
        first = [
            # Under the default GNU/Linux ABI gdb steps in software, past `ecall` and `sret`.
            "set osabi none",
            "set confirm off",
            f"file {_quoted(options.kernel.resolve())}",
            f"target remote {qemu.gdb_socket}",
            f"source {commands_script()}",
            _PART_IN_SILENCE,
            *([f"rc profile {_quoted(profile.resolve())}"] if profile else []),
            *(f"rc programs-in {_quoted(place.resolve())}" for place in options.boot.places),
            *commands,
        ]
        arguments = ["-q", *(["-batch"] if batch else [])]
        for command in first:
            arguments += ["-ex", command]
        # Ctrl-C is for gdb, which shares our terminal; a handler, unlike SIG_IGN, is not inherited.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            return run_in_terminal(program, arguments)
        finally:
            signal.signal(signal.SIGINT, before)


def _quoted(path: Path) -> str:
    """A path as gdb's `file` takes it: words are split as a shell would."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
