"""The debugger in a terminal, and sessions without one."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rcdbg.trace.run import Boot
from rcdbg.tui.live.session import LiveSession, SessionOptions
from tests.integration.tui.recorder import Recorder
from tests.integration.tui.terminal import Terminal
from tests.support.tools import tool
from tests.unit.machine.processes import Watch

Open = Callable[..., Terminal]
Debug = Callable[..., tuple[LiveSession, Recorder]]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch processes; those that are left are killed after the test."""
    with contextlib.ExitStack() as cleanup:
        yield Watch(cleanup)


@pytest.fixture
def open_rcdbg(tmp_path: Path, rcdbg_kernel: Path, watch: Watch) -> Iterator[Open]:
    """Type `rcdbg ...` into a terminal."""
    tool("tmux")
    opened: list[Terminal] = []

    def start(*arguments: str, width: int = 160, height: int = 48) -> Terminal:
        command = [sys.executable, "-m", "rcdbg.cli.main", "--kernel", str(rcdbg_kernel)]
        terminal = Terminal(tmp_path, [*command, *arguments], width=width, height=height)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def debug(rcdbg_kernel: Path) -> Iterator[Debug]:
    """Start a session and wait for its first stop."""
    opened: list[LiveSession] = []

    def start(
        scenario: str = "preempt", at: str = "handle_interrupt", gdb: str | None = None
    ) -> tuple[LiveSession, Recorder]:
        boot = Boot(rcdbg_kernel, f"scenario={scenario}")
        session = LiveSession(SessionOptions(boot, gdb, at))
        opened.append(session)
        recorder = Recorder()
        session.start(recorder)
        return session, recorder

    yield start
    for session in opened:
        session.close()
