"""Session directories: private, short enough for sockets, and swept when left behind."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.host import session as session_module
from rcdbg.machine.host.session import MARKER, PREFIX, open_session, scratch, sweep


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place for session directories, for the duration of a test."""
    monkeypatch.setattr(session_module, "_bases", lambda: [tmp_path])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_session_is_private_and_goes_when_closed(base: Path) -> None:
    session = open_session()
    assert session.path.parent == base
    assert stat.S_IMODE(session.path.stat().st_mode) == 0o700
    (session.path / "log").write_text("x")
    session.close()
    assert list(base.iterdir()) == []


def test_a_held_session_is_not_swept(base: Path) -> None:
    session = open_session()
    assert sweep() == []
    assert session.path.is_dir()
    session.close()


def test_a_session_left_behind_is_swept(base: Path) -> None:
    session = open_session()
    os.close(session.lock)  # as the kernel does for a process that is killed
    (session.path / "deep").mkdir()
    (session.path / "deep" / "log").write_text("x")
    assert sweep() == [session.path]
    assert list(base.iterdir()) == []


def test_a_scratch_directory_goes_at_its_end(base: Path) -> None:
    with scratch() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "deep").mkdir()
        assert sweep() == []
    assert list(base.iterdir()) == []


def test_a_scratch_directory_of_one_who_was_killed_is_swept(base: Path) -> None:
    code = (
        "import os; from rcdbg.machine.host.session import scratch\n"
        "with scratch(): os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "TMPDIR": str(base)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = base.iterdir()
    assert sweep() == [left]
    assert list(base.iterdir()) == []


def test_a_copy_of_the_lock_holds_it_too(base: Path) -> None:
    session = open_session()
    inherited = os.dup(session.lock)
    os.close(session.lock)
    assert sweep() == []
    os.close(inherited)
    assert sweep() == [session.path]


def test_what_is_not_ours_is_never_swept(base: Path) -> None:
    notes = base / f"{PREFIX}notes"
    notes.mkdir()
    file = base / f"{PREFIX}file"
    file.write_text("x")
    target = base / "target"
    target.mkdir()
    (target / MARKER).touch()
    link = base / f"{PREFIX}link"
    link.symlink_to(target)
    assert sweep() == []
    assert sorted(base.iterdir()) == sorted([notes, file, target, link])


def test_a_directory_of_another_user_is_left_alone(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session()
    os.close(session.lock)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert sweep() == []


def test_a_directory_that_may_not_be_looked_into_is_left_alone() -> None:
    """As another user's session: before, each start of whoever came second ended there."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is not open to others
        place = Path(folder)
        place.chmod(0o777)
        theirs = place / f"{PREFIX}theirs"
        theirs.mkdir()
        (theirs / MARKER).touch()
        theirs.chmod(0)
        code = (
            "import os, pathlib, tempfile\n"
            "from rcdbg.machine.host import session\n"
            "os.setgid(65534) or os.setuid(65534) if os.getuid() == 0 else None\n"
            f"tempfile.tempdir = {folder!r}\n"
            f"session._bases = lambda: [pathlib.Path({folder!r})]\n"
            f"print(len(os.listdir({folder!r})), session.sweep())"
        )
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        theirs.chmod(0o700)
    assert (done.stdout, done.stderr) == ("1 []\n", "")


def test_the_runtime_directory_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = open_session()
    assert session.path.parent == tmp_path
    session.close()


def test_an_unusable_runtime_directory_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = open_session()
    assert session.path.parent == tmp_path
    session.close()


def test_a_base_too_long_for_sockets_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    session = open_session()
    try:
        assert session.path.parent == Path("/tmp")
        assert len(os.fsencode(session.socket_path("console.sock"))) <= 107
        with pytest.raises(MachineError, match="at most 107"):
            session.socket_path("x" * 107)
    finally:
        session.close()


def test_no_place_at_all_is_one_clear_line(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_bases", lambda: [base / "gone"])
    with pytest.raises(MachineError, match="set TMPDIR"):
        open_session()
