"""What the panels show, at which sizes, and what happens when one of them cannot."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from rcdbg.errors import MachineError
from rcdbg.model.state import KernelState
from rcdbg.tui.session import Stopped
from rcdbg.tui.widgets import arrangement, desk
from rcdbg.tui.widgets.contents import CONTENTS, PANELS, Content, Spot
from tests.tui.conftest import Desk, Sit
from tests.tui.fake import FakeSession, stopped_at
from tests.tui.screen import screen, until, until_shown
from tests.unit.views import samples
from tools.screenshot import screenshot_of

NOTHING: Any = None

SIZES = [(160, 48), (200, 60), (132, 40), (100, 30)]
TITLES = ("Code", "Console", "gdb", "Context", "CSRs", "Page table", "Threads", "Frames")


@pytest.mark.asyncio
@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_all_panels_are_there_at_once(sit: Sit, width: int, height: int) -> None:
    async with sit(width, height) as desk:
        text = await until_shown(desk.pilot, *TITLES)
        for words in (
            *("STOPPED", "reached handle_interrupt", "os/src/interrupt/handler.rs:49"),
            *("let frame_49", "handle_interrupt+0x14", "supervisor timer interrupt"),
            *("satp", "0x8000000000080268", "Sv39, root 0x80268000"),
            *("FifoScheduler", "running", "391 frames used", "scenario threads", "quit"),
        ):
            assert words in text, f"{words!r} is not in\n{text}"


@pytest.mark.asyncio
async def test_a_large_screen_has_everything(sit: Sit) -> None:
    async with sit(160, 48) as desk:
        text = await until_shown(desk.pilot, *TITLES)
        for words in (
            *("sample_process+0x4e", "SPIE SPP=S FS=dirty", "t6", "scounteren"),
            *("r-xu-", "stack of thread 1", ".rodata", "ready, next", "ready, 3rd", "sleeping"),
            *("0x80290..0x802a0", "█ used", "os 0.1.0 on hart 0", "breakpoint", "next trap"),
        ):
            assert words in text, f"{words!r} is not in\n{text}"
        assert "more" not in text  # nothing is out of sight


@pytest.mark.asyncio
async def test_a_small_screen_says_what_is_out_of_sight(sit: Sit) -> None:
    async with sit(100, 30) as desk:
        text = await until_shown(desk.pilot, "▼")
        assert "CSRs  ▼" in text
        await desk.press("tab", "tab", "tab", "tab")
        await until(desk.pilot, lambda: desk.app.focused and desk.app.focused.id == "csr-view")
        await desk.press("end")
        await until_shown(desk.pilot, "scounteren")


@pytest.mark.asyncio
async def test_the_first_screen_comes_before_the_first_stop(sit: Sit) -> None:
    class Slow(FakeSession):
        def start(self, listener: object) -> None:
            self.listener = listener  # type: ignore[assignment]

    session = Slow()
    from rcdbg.tui.shell import Shell

    app = Shell(session)
    async with app.run_test(size=(160, 48)) as pilot:
        text = await until_shown(pilot, "STARTING", *TITLES)
        assert "STOPPED" not in text
        await until(pilot, lambda: session.listener is not None)
        session.stop("interrupted")
        await until_shown(pilot, "STOPPED", "interrupted")
    app.end()


@pytest.mark.asyncio
async def test_one_stop_is_one_look_at_the_kernel(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("s")
        await desk.stopped(2)
        assert desk.session.calls.count("state") == 2


@pytest.mark.asyncio
async def test_what_changed_is_marked_until_the_next_stop(sit: Sit) -> None:
    def make(number: int, reason: str) -> Stopped:
        state = samples.early() if number > 2 else samples.healthy()
        return stopped_at(number, reason, state)

    session = FakeSession()
    session.make = make
    session.answers["info line"] = "Line 1"
    async with sit(session=session) as desk:
        assert "0*8000" not in screen(desk.app)
        await desk.press("s", "s")
        await desk.stopped(3)
        text = await until_shown(desk.pilot, "* gone or changed since the last")
        await desk.press("colon", *"info line", "enter")
        await until_shown(desk.pilot, "Line 1")
        await until(desk.pilot, lambda: desk.session.calls.count("state") == 4)
        assert "* gone or changed" in screen(desk.app), text  # a second look at the same stop


@pytest.mark.asyncio
async def test_a_panel_that_fails_shows_it_in_its_box_and_the_others_go_on(sit: Sit) -> None:
    def make(number: int, reason: str) -> Stopped:
        state = samples.healthy()
        if number == 2:
            state = KernelState(state.hart, state.trap, NOTHING, state.frames, state.processor)
        return stopped_at(number, reason, state)

    session = FakeSession()
    session.make = make
    async with sit(session=session) as desk:
        await desk.press("s")
        text = await until_shown(desk.pilot, "this cannot be shown")
        assert text.count("cannot be shown") == 1
        assert "AttributeError" in text
        for words in ("handler.rs:50", "FifoScheduler", "391 frames", "satp", "sepc"):
            assert words in text
        await desk.press("s")
        await desk.stopped(3)
        await until(desk.pilot, lambda: "cannot be shown" not in screen(desk.app))


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["ruined", "early"])
async def test_states_that_make_no_sense_or_are_not_there_yet(sit: Sit, name: str) -> None:
    session = FakeSession()
    state = getattr(samples, name)()
    session.make = lambda number, reason: stopped_at(number, reason, state)
    async with sit(session=session) as desk:
        text = screen(desk.app)
        assert "cannot be shown" not in text
        words = {"ruined": "is outside", "early": "PROCESSOR is not initialised yet"}
        assert words[name] in text
        assert "\x1b" not in text


@pytest.mark.asyncio
async def test_a_state_that_cannot_be_read_leaves_the_keys_working(sit: Sit) -> None:
    async with sit() as desk:
        desk.session.fail["state"] = MachineError("gdb gives no value for pc")
        await desk.press("s")
        text = await until_shown(desk.pilot, "! gdb gives no value for pc", "STOPPED")
        assert "cannot be read" in text
        del desk.session.fail["state"]
        await desk.press("s")
        await desk.stopped(3)
        await until_shown(desk.pilot, "step done")


@pytest.mark.asyncio
async def test_no_trap_shows_the_harts_registers(sit: Sit) -> None:
    session = FakeSession()
    state = samples.healthy()
    no_trap = replace(state.trap, context=None, cause=None, note="no trap is being handled")
    quiet = replace(state, trap=no_trap)
    session.make = lambda number, reason: stopped_at(number, reason, quiet)
    async with sit(session=session) as desk:
        text = screen(desk.app)
        assert "no trap is being handled" in text
        assert "S-mode (kernel)" in text


@pytest.mark.asyncio
async def test_zoom_and_back(sit: Sit) -> None:
    async with sit(100, 30) as desk:
        await desk.press("tab", "tab", "tab", "z")
        text = await until_shown(desk.pilot, "t6")
        assert "Threads" not in text
        assert "STOPPED" in text
        await desk.press("tab")  # the next panel is zoomed then
        await until_shown(desk.pilot, "scounteren")
        await desk.press("escape")
        await until_shown(desk.pilot, *TITLES)


def _is_wide(desk: Desk, width: int) -> bool:
    return desk.app.size.width == width


@pytest.mark.asyncio
async def test_resizing(sit: Sit) -> None:
    async with sit(160, 48) as desk:
        for width, height in ((100, 30), (60, 20), (30, 8), (200, 60)):
            await desk.pilot.resize_terminal(width, height)
            await until(desk.pilot, partial(_is_wide, desk, width))
            assert "Code" in screen(desk.app)
        await until_shown(desk.pilot, *TITLES)


@pytest.mark.asyncio
async def test_a_tiny_terminal_is_still_of_use(sit: Sit) -> None:
    async with sit(40, 12) as desk:
        for name in PANELS:
            body = desk.app.focused
            assert body is not None
            assert body.id is not None
            assert body.id.startswith(name)
            assert body.region.height >= 1
            await desk.press("tab")
        await desk.press("s")
        await desk.stopped(2)
        await until_shown(desk.pilot, "STOPPED")


@pytest.mark.asyncio
async def test_a_panel_more_is_a_row_more(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Content("pc", "Place", Spot(2, 10), Spot(1, 6), lambda s, b, h: f"in {s.code.pc.file}")
    for module in (arrangement, desk):
        monkeypatch.setattr(module, "CONTENTS", (*CONTENTS, row))
        monkeypatch.setattr(module, "PANELS", (*PANELS, row.name))
    async with sit(160, 48) as place:
        await until_shown(place.pilot, *TITLES, "─ Place ─")
        await place.press("shift+tab", "z")
        await until_shown(place.pilot, "─ Place ─", "in /home/student/kernel")
        assert "Threads" not in screen(place.app)


@pytest.mark.asyncio
async def test_light_and_dark(sit: Sit) -> None:
    async with sit() as desk:
        await desk.press("L")
        await until(desk.pilot, lambda: desk.app.theme == "rcdbg-light")
        await desk.press("L")
        await until(desk.pilot, lambda: desk.app.theme == "rcdbg-dark")


def _are(times: Sequence[float], number: int) -> bool:
    return len(times) == number


@pytest.mark.asyncio
async def test_each_stop_is_timed_until_it_is_on_the_screen(sit: Sit) -> None:
    async with sit(100, 30) as desk:
        times = desk.app.follower.paint_seconds
        for number in range(1, 5):
            await until(desk.pilot, partial(_are, times, number))
            assert f"handler.rs:{48 + number}" in screen(desk.app)
            await desk.press("s")
        assert all(seconds > 0 for seconds in times)


def test_a_picture_of_the_screen() -> None:
    svg = screenshot_of(FakeSession(), ["s", "tab"], (100, 30), 20)
    assert svg.startswith("<svg")
    assert "handler.rs:50" in svg
    assert "STOPPED" in svg


def test_no_picture_of_a_kernel_that_does_not_stop() -> None:
    session = FakeSession()
    session.hold = True
    with pytest.raises(MachineError, match="did not stop within"):
        screenshot_of(session, ["c"], (100, 30), 0.3)
