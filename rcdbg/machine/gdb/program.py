"""Which gdb to use, and a gdb for a person in a terminal."""

import contextlib
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.terminal import TerminalGuard

ARCHITECTURE = "riscv:rv64"
"""gdb's name for 64-bit RISC-V."""

_PROBE_SECONDS = 20.0


def find_gdb(path: str | None = None) -> str:
    """A gdb that knows 64-bit RISC-V: `path` if given, else the virtual environment's, else PATH's.

    Raises MachineError if `path` is not one, or if there is none.
    """
    for candidate in gdb_candidates(path):
        if _knows_riscv(candidate):
            return candidate
    raise no_gdb_error(path)


def gdb_candidates(path: str | None) -> list[str]:
    """The programs that may be a usable gdb, best first; raises MachineError for a bad `path`."""
    if path is not None:
        found = shutil.which(path)
        if found is None:
            raise MachineError(f"{path} is not an executable gdb")
        return [found]
    names = (
        str(Path(sys.executable).parent / "gdb"),
        *("gdb-multiarch", "riscv64-unknown-elf-gdb", "riscv64-elf-gdb", "riscv64-linux-gnu-gdb"),
        "gdb",
    )
    return [found for name in names if (found := shutil.which(name)) is not None]


def no_gdb_error(path: str | None) -> MachineError:
    """What to raise when none of the candidates is usable."""
    if path is not None:
        return MachineError(f"{path} is no gdb that knows {ARCHITECTURE}: try gdb-multiarch")
    return MachineError(
        f"no gdb here knows {ARCHITECTURE}: apt install gdb-multiarch, "
        "or pip install gdb-for-pwndbg"
    )


@functools.cache
def _knows_riscv(program: str) -> bool:
    command = [program, "-nx", "-q", "-batch", "-ex", f"set architecture {ARCHITECTURE}"]
    try:
        probe = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ARCHITECTURE.encode() in probe.stdout


def commands_script() -> Path:
    """The file that defines the `rc` commands, to `source`; raises MachineError without it."""
    spec = importlib.util.find_spec("gdbscripts")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "rcdbg.py"
        if path.is_file():
            return path
    raise MachineError("gdbscripts/rcdbg.py is missing: install rcdbg again")


def run_in_terminal(program: str, arguments: Sequence[str]) -> int:
    """Give the terminal to a gdb for a person to use; returns its exit status.

    It ends with rcdbg, and the terminal is then as it was. The caller must ignore SIGINT meanwhile:
    Ctrl-C is for gdb.
    """
    command = [program, *arguments]
    with contextlib.ExitStack() as stack:
        held: tuple[int, ...] = ()
        if os.isatty(0):
            guard = stack.enter_context(TerminalGuard(0, full_screen=False))
            stack.callback(guard.give_back)  # a gdb that is killed leaves it without echo
            held = (guard.held,)
        gdb = stack.enter_context(
            Process(command, stdin=None, stdout=None, pass_fds=held, foreground=True)
        )
        while True:
            try:
                return gdb.wait(3600)
            except DeadlineError:
                continue
