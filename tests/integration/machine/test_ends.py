"""However rcdbg ends, no process and no file outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.qemu.config import QemuConfig
from rcdbg.machine.qemu.qemu import Qemu
from tests.unit.machine.processes import SECONDS, Watch

from .guests import SPIN

OWNER = """
import signal, sys
from pathlib import Path
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.qemu.config import QemuConfig
from rcdbg.machine.qemu.qemu import Qemu

# Tests that are run in the background, or by nohup, pass on that these are to be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with Qemu(QemuConfig(Path(sys.argv[1]))) as qemu, Gdb() as gdb:
    gdb.connect(qemu)
    gdb.resume()
    gdb_warden = next(
        line.split()[1] for line in open(f"/proc/{gdb.pid}/status") if line.startswith("PPid")
    )
    try:
        print(qemu.pid, qemu.warden_pid, gdb.pid, gdb_warden, qemu.directory, flush=True)
        gdb.wait_stop(1000)
    except KeyboardInterrupt:
        answer = gdb.data.evaluate("6 * 7") if not gdb.running else "running"
        print("interrupted", qemu.alive, answer)
"""


class Owner:
    """A process that has booted a machine with a gdb, and lets it run."""

    def __init__(self, process: "subprocess.Popen[str]", watch: Watch) -> None:
        self.process = process
        assert process.stdout is not None
        *pids, directory = process.stdout.readline().split()
        self.qemu, self.qemu_warden, self.gdb, self.gdb_warden = self.all = [*map(int, pids)]
        self.directory = Path(directory)
        watch(*self.all)


@pytest.fixture
def owner(tmp_path: Path, watch: Watch) -> Iterator[Owner]:
    guest = tmp_path / "guest.bin"
    guest.write_bytes(SPIN[0].to_bytes(4, "little"))
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(guest)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield Owner(process, watch)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_rcdbg_ends_all(
    owner: Owner, watch: Watch, number: signal.Signals
) -> None:
    assert owner.directory.is_dir()
    owner.process.send_signal(number)
    assert owner.process.wait(SECONDS) == -number
    assert watch.ended(*owner.all)
    assert not owner.directory.exists()


def test_ctrl_c_reaches_rcdbg_and_nobody_else(owner: Owner, watch: Watch) -> None:
    # As a terminal does: to the whole foreground process group.
    os.killpg(owner.process.pid, signal.SIGINT)
    text, _ = owner.process.communicate(timeout=SECONDS)
    assert text == "interrupted True running\n"
    assert owner.process.returncode == 0
    assert watch.ended(*owner.all)
    assert not owner.directory.exists()


def test_a_killed_warden_takes_its_command_along(owner: Owner, watch: Watch) -> None:
    os.kill(owner.qemu_warden, signal.SIGKILL)
    assert watch.ended(owner.qemu)
    # For the owner it is a machine that has ended, and it cleans up as ever.
    assert owner.process.wait(SECONDS) == 0
    assert watch.ended(*owner.all)
    assert not owner.directory.exists()


def test_all_killed_at_once_leaves_a_directory_for_the_next(
    owner: Owner, watch: Watch, tmp_path: Path
) -> None:
    for pid in (owner.process.pid, owner.qemu_warden, owner.gdb_warden):
        os.kill(pid, signal.SIGSTOP)
    for pid in (owner.process.pid, owner.qemu_warden, owner.gdb_warden):
        os.kill(pid, signal.SIGKILL)
    owner.process.wait(SECONDS)
    assert watch.ended(*owner.all)
    with Qemu(QemuConfig(tmp_path / "guest.bin")):
        assert not owner.directory.exists()


def test_a_failed_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    guest = tmp_path / "guest.bin"
    guest.touch()
    before = _entries("/proc/self/fd")
    for options in ({"extra": ("-bogus",)}, {"qemu": "/bin/false"}):
        with pytest.raises(Exception, match="QEMU did not start"):
            Qemu(QemuConfig(guest, **options))
    assert list(tmp_path.iterdir()) == [guest]
    assert _entries("/proc/self/fd") == before


def test_descriptors_and_threads_are_given_back(tmp_path: Path) -> None:
    guest = tmp_path / "guest.bin"
    guest.write_bytes(SPIN[0].to_bytes(4, "little"))

    def once() -> None:
        with Qemu(QemuConfig(guest)) as qemu, Gdb() as gdb:
            qemu.monitor.execute("query-name")
            gdb.connect(qemu)

    def counts() -> tuple[int, int]:
        return _entries("/proc/self/fd"), _entries("/proc/self/task")

    once()
    before = counts()
    once()
    assert counts() == before


def _entries(directory: str) -> int:
    return len(list(Path(directory).iterdir()))


TERMINAL = """
import signal, sys
from rcdbg.machine.gdb.program import run_in_terminal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("status", run_in_terminal(sys.argv[1], ["-q", "-nx"]))
"""


def test_a_gdb_in_the_terminal_gets_keys_and_ctrl_c(gdb_path: str) -> None:
    with pexpect.spawn(
        sys.executable, ["-c", TERMINAL, gdb_path], encoding="utf-8", timeout=SECONDS
    ) as terminal:
        terminal.expect_exact("(gdb) ")
        terminal.sendline("print 6 * 7")
        terminal.expect_exact("= 42")
        terminal.expect_exact("(gdb) ")
        terminal.sendintr()
        terminal.expect("Quit")
        terminal.sendline("quit 5")
        terminal.expect_exact("status 5")
        terminal.expect(pexpect.EOF)
