"""One stop of the real kernel, read in every way there is: the same answers from each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rcdbg.errors import MachineError
from rcdbg.image.elf import image_of, load_image
from rcdbg.machine import live
from rcdbg.machine.attach import attached
from rcdbg.machine.stub import StubClient
from rcdbg.model.kernel import Kernel
from rcdbg.pytest_plugin import BootKernel
from rcdbg.target.memory import FakeTarget
from rcdbg.target.protocol import Target
from rcdbg.target.snapshot import Snapshot, pack, read_snapshot
from rcdbg.trace.events import exited, trap
from rcdbg.trace.live import running_guest, sample
from rcdbg.trace.run import Run, machine_of
from rcdbg.views.subjects import SUBJECTS, subject, walk_answer
from tests.integration.test_gdb_commands import PIP_GDB, SCRIPT, documents

pytestmark = pytest.mark.every_kernel

TIMEOUT = 120


@pytest.fixture
def run(rcdbg_boot: BootKernel) -> Run:
    """Stopped at its third timer tick, with three threads."""
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(3):
        run.until(trap("timer"))
    return run


def addresses(kernel: Kernel) -> list[int]:
    """Mapped code, mapped data, an unmapped one, one that is none."""
    return [kernel.registers.pc, kernel.registers.sp, 0x1234, 1 << 63, (1 << 64) - 1]


def answers(kernel: Kernel) -> list[dict[str, Any]]:
    """What every decoder says."""
    found = [s.answer(kernel).document for s in SUBJECTS]
    return found + [walk_answer(kernel, va).document for va in addresses(kernel)]


def through(run: Run, target: Target) -> list[dict[str, Any]]:
    return answers(Kernel.now(run.image, target))


def test_fake_stub_and_snapshot_say_the_same_as_shared_memory(run: Run) -> None:
    expected = answers(run.kernel())
    memory, base = run.qemu.ram.memory, run.qemu.ram.base
    for small in (False, True):
        data = pack(machine_of(run), run.target.read_phys, small=small)
        snapshot = Snapshot(data, "file")
        assert through(run, snapshot.target) == expected
        assert snapshot.target.read_phys(base, len(memory)) == memory[:]
        assert snapshot.console == run.console
        assert snapshot.others["mhartid"] == 0
        # As it is used: with the ELF out of the file.
        image = image_of(snapshot.elf, Path("os"))
        assert answers(Kernel.now(image, snapshot.target)) == expected

    used = {p: memory[p : p + 4096] for p in range(0, len(memory), 4096)}
    fake = FakeTarget({base + p: page for p, page in used.items()}, run.stub.registers())
    assert through(run, fake) == expected

    run.stub.close()
    with attached(str(run.qemu.gdb_socket)) as (target, stub):
        assert target.ram == run.target.ram, "the device tree has it"
        assert through(run, target) == expected
        assert target.pages_read < len(memory) // 4096 // 20
        assert not stub.found_running
    # Without a stop nothing moves, so a live reader must agree as well: but for what the monitor
    # does not tell.
    found, how = sample(run.image, running_guest(run.target, run.qemu.monitor), answers)
    assert how.stopped_seconds is None
    names = [s.name for s in SUBJECTS]
    for name in ("pagetable", "frames", "threads", "context"):
        assert found[names.index(name)] == expected[names.index(name)]
    assert found[len(names) :] == expected[len(names) :]


@pytest.mark.parametrize("gdb", [PIP_GDB, "gdb-multiarch"], ids=["gdb-from-pip", "gdb-multiarch"])
def test_gdb_says_the_same_and_so_does_its_snapshot(
    gdb: str, run: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    kernel, file = run.kernel(), tmp_path / "kernel.snap"
    expected = answers(kernel)
    run.stub.close()
    asked = [f"rc {s.name} --json" for s in SUBJECTS]
    asked += [f"rc walk {va:#x} --json" for va in addresses(kernel)]
    done = in_gdb(gdb, run, rcdbg_kernel, *asked, f"rc snapshot {file}")
    assert done.stderr == ""
    assert documents(done.stdout) == expected
    snapshot = read_snapshot(file)
    assert through(run, snapshot.target) == expected
    assert snapshot.ram == run.target.ram
    assert snapshot.elf == rcdbg_kernel.read_bytes()
    assert snapshot.others["mstatus"] & live.SSTATUS_MASK == kernel.csr("sstatus")


@pytest.mark.parametrize("gdb", [PIP_GDB, "gdb-multiarch"], ids=["gdb-from-pip", "gdb-multiarch"])
def test_wrong_snapshot_commands_in_gdb(gdb: str, run: Run, rcdbg_kernel: Path) -> None:
    run.stub.close()
    wrong = ["rc snapshot", "rc snapshot a b", "rc snapshot /nowhere/a", "rc snapshot a --memory x"]
    done = in_gdb(gdb, run, rcdbg_kernel, *wrong)
    lines = done.stderr.splitlines()
    assert len(lines) == len(wrong)
    assert all(line.startswith("rcdbg: ") for line in lines)
    assert "cannot write /nowhere/a" in lines[2]


def in_gdb(gdb: str, run: Run, elf: Path, *commands: str) -> "subprocess.CompletedProcess[str]":
    every = ["set osabi none", "set confirm off", f"file {elf}",
             f"target remote {run.qemu.gdb_socket}", f"source {SCRIPT}", *commands,
             "disconnect"]  # fmt: skip
    return subprocess.run(
        [gdb, "-nx", "-q", "-batch", *(a for c in every for a in ("-ex", c))],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


# registers without a stop


def test_the_monitors_registers_are_those_of_the_stub(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(8):
        run.until(trap())
        by_stub, by_monitor = run.stub.registers(), live.registers(run.qemu.monitor)
        assert (by_monitor.pc, by_monitor.x) == (by_stub.pc, by_stub.x)
        assert len(by_monitor.csrs) >= 9
        for name, value in by_monitor.csrs.items():
            assert value == by_stub.csrs[name], name


# a kernel that runs


def let_go(run: Run) -> None:
    run.stub.resume()
    run.stub.close()


def is_running(run: Run) -> bool:
    return "running" in run.qemu.monitor.hmp("info status")


def test_samples_of_a_busy_kernel_are_whole(rcdbg_boot: BootKernel) -> None:
    """Threads are switched thousands of times a second: each must be there, and once."""
    run = rcdbg_boot("preempt", "interval=3000")
    for _ in range(3):
        run.until(trap("timer"))
    before = run.state()
    assert before.processor.current is not None
    let_go(run)
    asked = subject("all")
    for _ in range(25):
        found, _ = sample(run.image, running_guest(run.target, run.qemu.monitor), asked.read)
        threads = [found.processor.current, *found.processor.ready, *found.processor.sleeping]
        # A switch takes the running thread off and puts another on: in between there is none.
        ids = sorted(t.id for t in threads if t is not None)
        assert ids == sorted(set(ids))
        assert set(ids) <= {t.id for t in before.processor.threads}
        others = [t for t in before.processor.threads if not t.is_idle]
        assert len(ids) >= len(others) - 1
        assert found.frames == before.frames
        assert found.page_table.problems == found.processor.problems == ()
        assert is_running(run)


def test_a_stop_is_measured_and_over(run: Run) -> None:
    let_go(run)
    with live.paused(run.qemu.monitor) as pause:
        assert not is_running(run)
    assert pause.seconds > 0
    assert is_running(run)


def test_a_kernel_that_has_ended_is_no_live_one(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    run.until(exited())
    with pytest.raises(MachineError):
        sample(run.image, running_guest(run.target, run.qemu.monitor), answers)


# somebody else's QEMU


@pytest.fixture
def stranger(run: Run) -> Run:
    """A kernel that runs, and nobody debugs it."""
    let_go(run)
    assert is_running(run)
    return run


def rcdbg(*words: str | Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *map(str, words)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env={**os.environ, **({"PATH": path} if path is not None else {})},
    )  # fmt: skip


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("rcdbg: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_attach_leaves_a_running_guest_running(stranger: Run, rcdbg_kernel: Path) -> None:
    socket = stranger.qemu.gdb_socket
    for _ in range(2):
        done = rcdbg("attach", "--gdb", socket, "--kernel", rcdbg_kernel, "threads", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["threads"]["problems"] == []
        assert is_running(stranger)
    done = rcdbg("attach", "--gdb", socket, "--kernel", rcdbg_kernel, "csr", "--stay")
    assert done.returncode == 0
    assert "satp" in done.stdout
    assert not is_running(stranger)
    # And now that it stands, it stays so.
    assert rcdbg("walk", "0x1234", "--attach", socket, "--kernel", rcdbg_kernel).returncode == 0
    assert not is_running(stranger)


def test_attach_with_the_wrong_elf_or_to_nothing(
    stranger: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    mine = bytes.fromhex(stranger.image.build_id)
    other.write_bytes(rcdbg_kernel.read_bytes().replace(mine, mine[::-1]))
    said = one_line(rcdbg("attach", "--gdb", stranger.qemu.gdb_socket, "--kernel", other))
    assert "is not the kernel that runs" in said
    assert is_running(stranger)
    said = one_line(rcdbg("attach", "--gdb", tmp_path / "none", "--kernel", rcdbg_kernel))
    assert "no gdb stub" in said
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
    state = subject("all").read(Kernel.now(stranger.image, snapshot.target))
    assert len([t for t in state.processor.threads if not t.is_idle]) == 3
    assert state.processor.problems == state.page_table.problems == ()


# the command line


def test_a_snapshot_file_is_enough(rcdbg_kernel: Path, tmp_path: Path) -> None:
    """Neither QEMU nor gdb is in the path, and the ELF is out of the file."""
    file = tmp_path / "kernel.snap"
    done = rcdbg("snapshot", file, "--kernel", rcdbg_kernel, "--scenario", "preempt")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(file) in done.stdout
    image, snapshot = load_image(rcdbg_kernel), read_snapshot(file)
    expected = answers(Kernel.now(image, snapshot.target))
    for s, document in zip(SUBJECTS, expected, strict=False):
        if s.name in ("all", "threads", "csr"):
            done = rcdbg("show", s.name, "--snapshot", file, "--json", path=str(tmp_path))
            assert (done.returncode, done.stderr) == (0, "")
            assert json.loads(done.stdout) == document
    done = rcdbg("walk", "handle_interrupt", "--snapshot", file, path=str(tmp_path))
    assert done.returncode == 0
    assert "level 2" in done.stdout
    assert list(tmp_path.iterdir()) == [file]

    said = one_line(rcdbg("show", "--snapshot", file, "--kernel", rcdbg_kernel))
    assert "--kernel" in said
    file.write_bytes(file.read_bytes()[:5000])
    assert "truncated" in one_line(rcdbg("show", "--snapshot", file))
    assert "not a snapshot" in one_line(rcdbg("show", "--snapshot", rcdbg_kernel))


def test_live_on_the_command_line(rcdbg_kernel: Path) -> None:
    words = ("--live", "--scenario", "preempt", "--kernel", rcdbg_kernel)
    done = rcdbg("show", "threads", "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["sample"]["how"] in ("unchanged", "stopped")
    assert document["threads"]["problems"] == []
    done = rcdbg("walk", "handle_interrupt", *words)
    assert done.stdout.startswith("live, ")
    assert "level 2" in done.stdout
    assert "exclude" in one_line(rcdbg("show", "--snapshot", "x", *words))
    assert "takes" in one_line(rcdbg("snapshot", "x", *words))
