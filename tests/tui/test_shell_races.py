"""What comes at a bad moment: the screen still tells the truth, and the keys still work."""

import threading

import pytest

from rcdbg.tui.session import Move, Stopped
from tests.tui.conftest import Sit
from tests.tui.fake import FakeSession, stopped_at
from tests.tui.screen import screen, settle, until, until_shown

pytestmark = pytest.mark.asyncio


async def test_a_kernel_that_dies_while_its_stop_is_read_has_ended(sit: Sit) -> None:
    async with sit() as desk:

        def make(number: int, reason: str) -> Stopped:
            assert desk.session.listener is not None
            desk.session.listener.on_exit("QEMU was killed by SIGKILL")
            return stopped_at(number, reason)

        desk.session.make = make
        await desk.press("s")
        await until_shown(desk.pilot, "EXITED", "handler.rs:50")
        assert "STOPPED" not in screen(desk.app)
        await desk.press("s")
        await until_shown(desk.pilot, "the kernel has ended: r restarts it")
        desk.session.make = stopped_at
        await desk.press("r")
        await until_shown(desk.pilot, "STOPPED", "booted again")


async def test_an_interrupt_before_the_kernel_runs_is_not_lost(sit: Sit) -> None:
    free = threading.Event()

    class Slow(FakeSession):
        def go(self, move: Move) -> None:
            assert free.wait(20)
            super().go(move)

    async with sit(session=Slow()) as desk:
        desk.session.hold = True
        await desk.press("c", "x")
        assert desk.session.calls[-1] == "interrupt"
        assert desk.session.stops == 1, "there was nothing to interrupt yet"
        free.set()
        await desk.stopped(2)
        await until_shown(desk.pilot, "STOPPED", "interrupted")


async def test_a_stop_of_the_machine_that_is_left_is_not_read(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.hold = True
        await desk.press("c")
        await until_shown(desk.pilot, "RUNNING")
        await desk.press("r")  # which interrupts the old machine, and so makes it stop
        await until_shown(desk.pilot, "STOPPED", "booted again")
        assert "interrupt" in desk.session.calls
        assert desk.session.calls.count("state") == 2
        assert "interrupted" not in screen(desk.app)


async def test_a_second_look_does_not_forget_the_step_asked_for_meanwhile(sit: Sit) -> None:
    reading, free = threading.Event(), threading.Event()

    def make(number: int, reason: str) -> Stopped:
        reading.set()
        assert free.wait(20)
        return stopped_at(number, reason)

    async with sit() as desk:
        desk.session.answers["p 1"] = "$1 = 1"
        desk.session.hold = True
        desk.session.make = make
        await desk.press("colon", *"p 1", "enter", "escape")
        await until(desk.pilot, reading.is_set)
        await desk.press("s", "s")
        free.set()
        await desk.called("go(step_line)")
        desk.session.stop("step done")
        await until(desk.pilot, lambda: desk.session.calls.count("go(step_line)") == 2)
        desk.session.stop("step done")
        await desk.stopped(3)
        await settle()
        assert desk.session.calls.count("go(step_line)") == 2


async def test_a_move_that_fails_can_be_asked_for_again(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.fail["go(finish)"] = ValueError("not meaningful in the outermost frame")
        await desk.press("f")
        await until_shown(desk.pilot, "not meaningful")
        del desk.session.fail["go(finish)"]
        await desk.press("f")
        await desk.stopped(2)
