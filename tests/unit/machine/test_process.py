"""Processes under a warden, with small commands in the place of QEMU and gdb."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.session import open_session, sweep

from .processes import SECONDS, Watch

SLEEP = ["sleep", "1000"]


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)]
)
def test_the_exit_status_is_told(script: str, status: int) -> None:
    with Process(["sh", "-c", script]) as process:
        assert process.wait(SECONDS) == status
        assert process.wait(0) == status
        assert not process.alive


def test_a_running_process_is_alive_until_closed(watch: Watch) -> None:
    process = Process(SLEEP)
    watch(process.pid, process.warden_pid)
    assert process.alive
    with pytest.raises(DeadlineError, match="sleep did not end within"):
        process.wait(0.01)
    process.close()
    process.close()
    assert not process.alive
    assert process.wait(0) == -signal.SIGKILL
    assert watch.ended(process.pid)
    assert watch.ended(process.warden_pid)


def test_closing_that_a_signal_ends_in_its_middle_goes_on_when_told_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(SLEEP)
    watch(process.pid, process.warden_pid)
    whole = subprocess.Popen.wait

    def cut_off(self: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        monkeypatch.setattr(subprocess.Popen, "wait", whole)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", cut_off)
    with pytest.raises(KeyboardInterrupt):
        process.close()
    process.close()
    assert not process.alive
    assert watch.ended(process.pid)
    assert watch.ended(process.warden_pid)


def test_its_children_go_with_it(watch: Watch) -> None:
    read, write = os.pipe()
    with Process(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=write) as process:
        os.close(write)
        grandchild = int(os.read(read, 100))
        os.close(read)
        watch(grandchild)
        assert process.alive
    assert watch.ended(grandchild)


def test_standard_streams_and_descriptors_pass_through() -> None:
    read, write = os.pipe()
    extra_read, extra_write = os.pipe()
    os.write(extra_write, b"extra")
    os.close(extra_write)
    script = f"echo out; echo err >&2; cat /proc/self/fd/{extra_read}"
    with Process(
        ["sh", "-c", script], stdout=write, stderr=subprocess.STDOUT, pass_fds=[extra_read]
    ):
        os.close(write)
        os.close(extra_read)
        with os.fdopen(read, "rb") as output:
            # The end of file comes, so the warden holds none of it open.
            assert output.read() == b"out\nerr\nextra"


def test_signals_reach_the_command() -> None:
    with Process(SLEEP) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == -signal.SIGINT
        process.send_signal(signal.SIGINT)


def test_a_command_that_cannot_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="No such file"):
        Process([str(tmp_path / "none")])
    text = tmp_path / "text"
    text.write_text("x")
    with pytest.raises(MachineError, match="Permission denied"):
        Process([str(text)])


def test_the_session_is_removed_at_the_end_and_not_before(watch: Watch) -> None:
    session = open_session()
    with Process(["true"], session=session) as process:
        assert process.wait(SECONDS) == 0
        watch(process.warden_pid)
        assert session.path.is_dir()
    assert not session.path.exists()
    os.close(session.lock)


def test_a_killed_warden_takes_the_command_along(watch: Watch) -> None:
    with Process(SLEEP) as process:
        watch(process.pid)
        os.kill(process.warden_pid, signal.SIGKILL)
        assert watch.ended(process.pid)
        assert process.wait(SECONDS) == -signal.SIGKILL
        assert not process.alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_warden_asked_to_end_ends_the_command(watch: Watch, number: signal.Signals) -> None:
    with Process(SLEEP) as process:
        watch(process.pid, process.warden_pid)
        os.kill(process.warden_pid, number)
        assert watch.ended(process.pid)
        assert watch.ended(process.warden_pid)
        assert process.wait(SECONDS) == -signal.SIGKILL


OWNER = """
import signal, sys
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.session import open_session
# Tests that are run in the background pass on that it is to be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
session = open_session()
process = Process(["sleep", "1000"], session=session)
print(process.pid, process.warden_pid, session.path, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_rcdbg(watch: Watch, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        try:
            assert owner.stdout is not None
            pid, warden, path = owner.stdout.readline().split()
            watch(int(pid), int(warden))
            assert Path(path).is_dir()
        finally:
            owner.send_signal(number)
        assert owner.wait(SECONDS) != 0
    assert watch.ended(int(pid))
    assert watch.ended(int(warden))
    assert not Path(path).exists()


def test_what_even_the_warden_leaves_is_swept_by_the_next(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A place of its own, or another machine's start might be that next one.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout is not None
            pid, warden, path = owner.stdout.readline().split()
            watch(int(pid), int(warden))
            os.kill(int(warden), signal.SIGKILL)
            assert watch.ended(int(warden))
        finally:
            owner.kill()
        owner.wait(SECONDS)
    assert watch.ended(int(pid))
    assert Path(path).parent == tmp_path
    assert Path(path).is_dir()
    assert sweep() == [Path(path)]
    assert not Path(path).exists()
