"""The key `w` of the full-screen debugger, without a screen."""

from pathlib import Path

import pytest

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.image.elf import image_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from tests.integration.tui.conftest import Debug


def test_a_snapshot_is_the_stop_that_is_shown(
    debug: Debug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session, told = debug()
    told.wait_stops(1)
    shown = session.state()
    said = [session.write_snapshot(), session.write_snapshot()]
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2, "the second does not replace the first"
    for line, file in zip(said, files, strict=True):
        assert file.name in line
        snapshot = read_snapshot(file)
        image = image_of(snapshot.elf, file)
        assert read_state(Kernel.now(image, snapshot.target)) == shown.state
        assert snapshot.console is not None
        assert "scenario preempt" in snapshot.console
        assert "mstatus" in snapshot.others
