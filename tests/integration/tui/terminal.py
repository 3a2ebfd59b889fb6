"""A terminal with a person in front of it: tmux, its keys and what it shows."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS = 60.0
"""Patience: many times what anything here takes on a machine that does nothing else."""

_POLL_SECONDS = 0.01
_ENDED = "ended with status "
_OF_ANOTHER_TERMINAL = frozenset({"TMUX", "TMUX_PANE", "COLUMNS", "LINES", "NO_COLOR"})


class Terminal:
    """A command in a terminal of `width` columns and `height` lines."""

    def __init__(
        self, directory: Path, command: Sequence[str], *, width: int = 160, height: int = 48
    ) -> None:
        self._tmux = ["tmux", "-S", str(directory / "tmux"), "-f", os.devnull]
        environment = {k: v for k, v in os.environ.items() if k not in _OF_ANOTHER_TERMINAL}
        # What has ended stays on the screen, with its status: tmux does not always know that.
        shell = ["sh", "-c", f'"$@"; echo "{_ENDED}$?"; exec cat', "sh"]
        subprocess.run(
            [
                *(*self._tmux, "new-session", "-d", "-x", str(width), "-y", str(height)),
                *("--", *shell, *command, ";", "set-option", "-g", "status", "off"),
            ],
            check=True,
            env=environment,
        )

    def _ask(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True)
        return done.stdout

    @property
    def text(self) -> str:
        """What is on the screen."""
        return self._ask("capture-pane", "-p")

    @property
    def pid(self) -> int:
        """The process id of the command, while it runs."""
        shell = int(self._ask("display-message", "-p", "#{pane_pid}"))
        return descendants(shell)[0]

    def press(self, *keys: str) -> None:
        """Press keys, by their tmux names."""
        self._ask("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._ask("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self._ask("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, *patterns: str, without: str | None = None) -> str:
        """The screen, as soon as all patterns match and `without` does not."""
        deadline = time.monotonic() + SECONDS
        while True:
            text = self.text
            if all(re.search(pattern, text) for pattern in patterns) and not (
                without is not None and re.search(without, text)
            ):
                return text
            assert time.monotonic() < deadline, f"no {patterns} (without {without}) in\n{text}"
            # tmux tells nobody when a pane changes.
            time.sleep(_POLL_SECONDS)

    def status(self) -> int:
        """The exit status, once the command has ended and the terminal shows lines again."""
        text = self.wait_for(f"{re.escape(_ENDED)}\\d+")
        return int(re.findall(f"{re.escape(_ENDED)}(\\d+)", text)[-1])

    def close(self) -> None:
        """End it all."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


def descendants(pid: int) -> list[int]:
    """The processes below one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: list[int] = []
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found += layer
    return found


def program(pid: int, name: str) -> int:
    """The process below `pid` that is the "qemu" or the "gdb"; the wardens are neither."""
    mark = {"qemu": "-machine", "gdb": "--interpreter=mi"}[name]
    (found,) = [
        child
        for child in descendants(pid)
        if mark in (command := _read(Path(f"/proc/{child}/cmdline"))) and "warden" not in command
    ]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""  # the process has ended since
