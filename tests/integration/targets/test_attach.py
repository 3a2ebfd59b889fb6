"""A QEMU that somebody else started."""

import json
import re
from pathlib import Path

import pytest

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.machine.stub.client import StubClient
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.trace.run import Run
from tests.integration.targets.ways import (
    is_running,
    let_go,
    one_line,
    rcdbg,
)

pytestmark = pytest.mark.every_kernel


def test_attach_leaves_a_running_guest_running(stranger: Run, rcdbg_kernel: Path) -> None:
    socket = stranger.qemu.gdb_socket
    for _ in range(2):
        done = rcdbg("attach", "--stub", socket, "--kernel", rcdbg_kernel, "threads", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["threads"]["problems"] == []
        assert is_running(stranger)
    # What --stub was called once; and the subjects' options are there.
    words = ("csr", "--explain", "satp", "--stay")
    done = rcdbg("attach", "--gdb", socket, "--kernel", rcdbg_kernel, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "root page table" in done.stdout
    assert not is_running(stranger)
    # And where a debugger has stopped it, it stays so.
    with StubClient(socket) as debugger:
        debugger.step()
    assert rcdbg("walk", "0x1234", "--attach", socket, "--kernel", rcdbg_kernel).returncode == 0
    assert not is_running(stranger)


@pytest.mark.one_kernel
def test_attach_over_tcp(stranger: Run, rcdbg_kernel: Path) -> None:
    """As to `qemu -gdb tcp::PORT`: QEMU itself says on which port it waits."""
    monitor = stranger.qemu.monitor
    monitor.hmp("chardev-add socket,id=tcp,host=127.0.0.1,port=0,nodelay=on,server=on,wait=off")
    monitor.hmp("gdbserver chardev:tcp")
    port = re.search(r"tcp:127\.0\.0\.1:(\d+)", monitor.hmp("info chardev"))
    assert port is not None
    address = f"localhost:{port[1]}"
    done = rcdbg("attach", "--stub", address, "--kernel", rcdbg_kernel, "threads", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["threads"]["problems"] == []
    assert is_running(stranger)
    address = f"127.0.0.1:{port[1]}"
    done = rcdbg("attach", "--stub", address, "--kernel", rcdbg_kernel, "csr", "--stay")
    assert done.returncode == 0
    assert not is_running(stranger)
    done = rcdbg("walk", "handle_interrupt", "--attach", address, "--kernel", rcdbg_kernel)
    assert "level 2" in done.stdout
    monitor.hmp("gdbserver none")
    said = one_line(rcdbg("attach", "--stub", address, "--kernel", rcdbg_kernel))
    assert f"no gdb stub at {address}: Connection refused" in said


@pytest.mark.one_kernel
def test_a_patched_kernel_is_doubted_and_shown(
    stranger: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    # Without a name for its build id, the code has to tell.
    other = tmp_path / "other"
    other.write_bytes(
        rcdbg_kernel.read_bytes().replace(b".note.gnu.build-id", b".note.gnu.build-no")
    )
    show = ("attach", "csr", "--stub", stranger.qemu.gdb_socket, "--kernel", other)
    assert rcdbg(*show).stderr == ""
    text = next(s for s in stranger.image.sections if "x" in s.flags)
    physical = stranger.image.physical(text.address)
    assert physical is not None
    ram = stranger.qemu.ram
    ram.memory[physical - ram.base : physical - ram.base + 4] = bytes.fromhex("13000000")
    done = rcdbg(*show)
    assert "satp" in done.stdout
    said = f"rcdbg: warning: {other} may not be the kernel that runs, or something changed its code"
    assert done.stderr.startswith(said)
    assert f"1 of 24 samples differ, the first at {text.address:#x}" in done.stderr


@pytest.mark.one_kernel
def test_attach_with_the_wrong_elf_or_to_nothing(
    stranger: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    mine = bytes.fromhex(stranger.image.build_id)
    other.write_bytes(rcdbg_kernel.read_bytes().replace(mine, mine[::-1]))
    said = one_line(rcdbg("attach", "--stub", stranger.qemu.gdb_socket, "--kernel", other))
    assert "is not the kernel that runs" in said
    assert is_running(stranger)
    said = one_line(rcdbg("attach", "--stub", tmp_path / "none", "--kernel", rcdbg_kernel))
    assert "no gdb stub" in said
    assert "--stub" in one_line(rcdbg("attach", "threads", "--kernel", rcdbg_kernel))
    both = rcdbg("show", "--attach", "x", "--live", "--kernel", rcdbg_kernel)
    assert "exclude" in one_line(both)


def test_a_stub_tells_whether_the_guest_ran(run: Run) -> None:
    assert not run.stub.found_running, "it was booted paused"
    let_go(run)
    with StubClient(run.qemu.gdb_socket) as stub:
        assert stub.found_running
        assert "paused" in stub.monitor("info status")


def test_a_snapshot_of_somebody_elses_kernel(
    stranger: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    file = tmp_path / "kernel.snap"
    words = ("--attach", stranger.qemu.gdb_socket, "--kernel", rcdbg_kernel)
    done = rcdbg("snapshot", file, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_running(stranger)
    snapshot = read_snapshot(file)
    assert snapshot.ram == stranger.target.ram
    state = read_state(Kernel.now(stranger.image, snapshot.target))
    # In the middle of a switch no thread is the current one.
    assert len([t for t in state.processor.threads if not t.is_idle]) in (2, 3)
    assert state.processor.problems == state.page_table.problems == ()
