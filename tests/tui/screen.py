"""Looking at a running app as a user does: what stands on its screen."""

import asyncio
import time
from collections.abc import Callable

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from rcdbg.tui.shell import Shell

_PATIENCE_SECONDS = 20.0


def screen(app: Shell) -> str:
    """The text on the screen, line by line."""
    # Not public, but the screenshots that are take a tenth of a second each.
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text.rstrip() for strip in strips)


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Let the app work until `condition` holds; the test fails if it never does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never came true; on the screen:\n{screen_of(pilot)}"
        await asyncio.sleep(0.005)


def screen_of(pilot: Pilot[int]) -> str:
    """The same for a pilot."""
    assert isinstance(pilot.app, Shell)
    return screen(pilot.app)


async def until_shown(pilot: Pilot[int], *texts: str) -> str:
    """Let the app work until all `texts` are on the screen; returns the screen."""
    await until(pilot, lambda: all(text in screen_of(pilot) for text in texts))
    return screen_of(pilot)


async def press(app: Shell, *keys: str) -> None:
    """Press keys, by textual's names; each is done with before the next one comes."""
    for key in keys:
        send(app, key)
        await settle()


def send(app: Shell, key: str) -> None:
    """Press a key, and wait for nothing."""
    assert app._driver is not None
    name = key if len(key) > 1 else _character_to_key(key)
    event = events.Key(name, key if len(key) == 1 else None)
    event.set_sender(app)
    app._driver.send_message(event)


async def settle() -> None:
    """Let the app's tasks run until none of them has anything to do.

    Textual's own pilot sleeps 40 ms and more after each key, for it asks the clock whether the app
    is idle; the loop knows.
    """
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:
        await asyncio.sleep(0)
