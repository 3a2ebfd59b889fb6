"""`rcdbg gdb`: the kernel booted, gdb connected to it, the rc commands loaded."""

import importlib.util
import signal
from collections.abc import Sequence
from pathlib import Path

from rcdbg.cli.options import Options
from rcdbg.errors import MachineError
from rcdbg.image.elf import load_image
from rcdbg.machine.gdb import find_gdb, run_in_terminal
from rcdbg.machine.qemu import Qemu


def script() -> Path:
    """The file to `source` in gdb; raises MachineError if the installation lacks it."""
    spec = importlib.util.find_spec("gdbscripts")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "rcdbg.py"
        if path.is_file():
            return path
    raise MachineError("gdbscripts/rcdbg.py is missing: install rcdbg again")


def open_gdb(options: Options, commands: Sequence[str], *, batch: bool = False) -> int:
    """Boot, give the terminal to gdb until the user quits; returns gdb's exit status.

    `commands` run first; with `batch` gdb ends after them. Raises ImageError for an unusable ELF,
    MachineError without QEMU or gdb.
    """
    load_image(options.kernel)
    program = find_gdb(options.gdb)
    with Qemu(options.boot.config()) as qemu:
        first = [
            # Under the default GNU/Linux ABI gdb steps in software, past `ecall` and `sret`.
            "set osabi none",
            "set confirm off",
            f"file {_quoted(options.kernel.resolve())}",
            f"target remote {qemu.gdb_socket}",
            f"source {script()}",
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
