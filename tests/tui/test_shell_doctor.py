"""What the doctor says on the screen: a line under the title, and a panel."""

from dataclasses import replace

import pytest

from rcdbg.doctor.examine import Diagnosis
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity
from rcdbg.doctor.table import CHECKS
from rcdbg.tui.session import Stopped
from tests.tui.conftest import Sit
from tests.tui.fake import FakeSession, stopped_at
from tests.tui.screen import screen, until, until_shown

FOUND = Finding("RC0602", Severity.ERROR, Confidence.CERTAIN, "frame 0x80300 is free and mapped",
                (Fact("mapped at 0x1000", None, "show owners"),), "b")  # fmt: skip


def session(*findings: Finding) -> FakeSession:
    fake = FakeSession()

    def make(number: int, reason: str) -> Stopped:
        found = Diagnosis(findings if number == 1 else (), CHECKS[:1], ())
        return replace(stopped_at(number, reason), diagnose=lambda: found)

    fake.make = make
    return fake


@pytest.mark.asyncio
async def test_a_finding_stands_under_the_title_until_it_is_gone(sit: Sit) -> None:
    async with sit(160, 48, session(FOUND)) as desk:
        await until_shown(desk.pilot, "Doctor", "mapped at 0x1000")
        line = "error[RC0602]: frame 0x80300 is free and mapped"
        await until(desk.pilot, lambda: line in screen(desk.app).splitlines()[1])
        await desk.press("s")
        await desk.stopped(2)
        await until_shown(desk.pilot, "nothing found by 1 rule")
        assert "RC0602" not in screen(desk.app)


@pytest.mark.asyncio
async def test_a_note_is_no_line(sit: Sit) -> None:
    async with sit(160, 48, session(replace(FOUND, severity=Severity.NOTE))) as desk:
        text = await until_shown(desk.pilot, "note[RC0602]")
        assert "RC0602" not in text.splitlines()[1]
