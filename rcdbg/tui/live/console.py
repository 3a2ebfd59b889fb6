"""gdb's own command line, with our commands in it as soon as one of them is wanted."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.program import commands_script

COMMAND_SECONDS = 24 * 3600.0
"""A console command may run the guest, and the user alone knows for how long."""

_OURS = "rc"


class Console:
    """One gdb's; our commands read the file `profile`, if there is one.

    `programs` are places where they look for programs in U-mode.
    """

    def __init__(self, gdb: Gdb, profile: Path | None, programs: Sequence[Path] = ()) -> None:
        self._gdb = gdb
        self._profile = profile
        self._programs = tuple(programs)
        self._has_commands = False

    def command(self, text: str, width: int) -> str:
        """What gdb prints for a command, ours in `width` columns."""
        if text.split()[:1] != [_OURS]:
            return self._gdb.console_command(text, COMMAND_SECONDS)
        self._load_commands()
        self._gdb.command(f"-gdb-set width {width}")
        try:
            return self._gdb.console_command(text, COMMAND_SECONDS)
        finally:
            self._gdb.command("-gdb-set width 0")

    def document(self, text: str) -> Any:
        """The JSON document that a command of ours prints; raises GdbError if it fails."""
        self._load_commands()
        printed = self._gdb.console_command(f"{text} --json", COMMAND_SECONDS)
        return json.loads(printed[printed.index("{\n") :])

    def completions(self, text: str) -> list[str]:
        """What gdb, and our commands in it, say that may come of the text."""
        if text.split()[:1] == [_OURS]:
            self._load_commands()
        return self._gdb.console_command(f"complete {text}", COMMAND_SECONDS).splitlines()

    def _load_commands(self) -> None:
        if not self._has_commands:
            # Not at the start, since they take gdb half a second to load.
            self._gdb.source_commands(commands_script())
            if self._profile is not None:
                self._gdb.console_command(f"rc profile {shlex.quote(str(self._profile))}")
            for place in self._programs:
                self._gdb.console_command(f"rc programs-in {shlex.quote(str(place.absolute()))}")
            self._has_commands = True
