"""An app on a fake session, stopped for the first time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.pilot import Pilot

from rcdbg.tui.shell import Shell
from tests.tui.fake import FakeSession
from tests.tui.screen import press, until


@dataclass(frozen=True, slots=True)
class Desk:
    """What a test sits at."""

    app: Shell
    pilot: Pilot[int]
    session: FakeSession

    async def press(self, *keys: str) -> None:
        await press(self.app, *keys)

    async def stopped(self, stops: int) -> None:
        """Wait until the n-th stop is painted."""
        await until(self.pilot, lambda: self.app.follower.shown == stops)

    async def called(self, call: str) -> None:
        """Wait until the session has been asked for something."""
        await until(self.pilot, lambda: call in self.session.calls)


Sit = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def sit() -> Sit:
    @asynccontextmanager
    async def at(
        width: int = 100, height: int = 30, session: FakeSession | None = None
    ) -> AsyncIterator[Desk]:
        session = session or FakeSession()
        app = Shell(session)
        async with app.run_test(size=(width, height), notifications=True) as pilot:
            desk = Desk(app, pilot, session)
            await desk.stopped(1)
            yield desk
        app.end()
        assert app.course.surprises == []

    return at
