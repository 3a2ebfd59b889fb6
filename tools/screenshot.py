"""Pictures of the debugger, for the README: the real program, driven by keys, as SVG."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from rcdbg.errors import MachineError
from rcdbg.tui.keys import MOVES
from rcdbg.tui.live.session import LiveSession, SessionOptions
from rcdbg.tui.session import DebugSession
from rcdbg.tui.shell import Shell

DEFAULT_SIZE = (160, 48)
_POLL_SECONDS = 0.02


def take_screenshot(
    options: SessionOptions,
    path: Path,
    *,
    keys: Sequence[str] = (),
    size: tuple[int, int] = DEFAULT_SIZE,
) -> None:
    """Debug a kernel without a terminal, press `keys`, and save what is on the screen as SVG.

    `keys` are textual's names; after one that lets the kernel run, the next stop is waited for,
    at the most for `options.timeout` seconds each. Raises RcdbgError.
    """
    session = LiveSession(options)
    session.prepare()
    try:
        svg = screenshot_of(session, keys, size, options.timeout)
    finally:
        session.close()
    path.write_text(svg, "utf-8")


def screenshot_of(
    session: DebugSession, keys: Sequence[str], size: tuple[int, int], seconds: float
) -> str:
    """The SVG of the screen after `keys`; the caller closes the session."""
    shell = Shell(session)
    taken: list[str] = []

    async def drive(pilot: Pilot[Any]) -> None:
        # The screen is there before the kernel, and shows where it stands.
        standing = await _stop(pilot, shell, 0, seconds)
        for key in keys:
            before = shell.follower.shown
            await pilot.press(key)
            if standing and key in MOVES:
                standing = await _stop(pilot, shell, before, seconds)
        await pilot.pause()
        if standing:
            taken.append(shell.export_screenshot(title="rcdbg"))
        shell.exit(0)

    shell.run(headless=True, size=size, auto_pilot=drive)
    shell.end()
    if shell.start_error is not None:
        raise shell.start_error
    if not taken:
        raise MachineError(f"no picture: the kernel did not stop within {seconds:g} s")
    return taken[0]


async def _stop(pilot: Pilot[Any], shell: Shell, before: int, seconds: float) -> bool:
    """Whether a stop after the one with the number `before` is painted within so many seconds."""
    deadline = time.monotonic() + seconds
    while shell.follower.shown <= before:
        if time.monotonic() > deadline or shell.course.activity == "exited":
            return False
        await pilot.pause(_POLL_SECONDS)
    return True
