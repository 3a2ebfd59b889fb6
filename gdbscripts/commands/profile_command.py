"""`rc profile`: the names that this kernel uses, from a TOML file."""

from pathlib import Path

import gdb

from gdbscripts.kernel import use_names
from rcdbg.errors import RcdbgError


class _Profile(gdb.Command):
    """Take the names of the kernel's types, fields and symbols from a TOML file.

    Usage: rc profile FILE
           rc profile default

    What differs from the description of its family: a table for each concept, as in
    [processor] type = "Cpu".
    Example: rc profile mykernel.toml
    """

    def __init__(self) -> None:
        super().__init__("rc profile", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Read the file; the next command uses it."""
        from rcdbg.kernels.reading import NOTHING, load_overlay

        words = gdb.string_to_argv(argument)
        if len(words) != 1:
            raise gdb.GdbError("rcdbg: rc profile wants a file, or default")
        try:
            file = Path(words[0]).expanduser()
            overlay = NOTHING if words[0] == "default" else load_overlay(file)
        except RcdbgError as error:
            raise gdb.GdbError(f"rcdbg: {error}") from error
        use_names(overlay)


def register() -> None:
    """Define the command."""
    _Profile()
