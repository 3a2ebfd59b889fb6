"""One stop of the real kernel, read in every way there is: the same answers from each."""

import json
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.guest.protocol import Target
from rcdbg.guest.snapshot import Snapshot, read_snapshot
from rcdbg.guest.snapshot_writer import pack
from rcdbg.image.elf import image_of, load_image
from rcdbg.machine.qemu import live
from rcdbg.machine.qemu.info import parse_info_registers
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.machine.stub.attach import attached
from rcdbg.machine.stub.client import StubClient
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.subjects.table import SUBJECTS, subject
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import exited, trap
from rcdbg.trace.run import Run, machine_of
from rcdbg.trace.story.live import running_guest, sample
from rcdbg.views.render import render_text
from tests.support.fake_target import FakeTarget
from tests.support.in_gdb import TIMEOUT, InGdb, documents
from tests.support.questions import walk

pytestmark = pytest.mark.every_kernel


def addresses(kernel: Kernel) -> list[int]:
    """Mapped code, mapped data, an unmapped one, one that is none."""
    return [kernel.registers.pc, kernel.registers.sp, 0x1234, 1 << 63, (1 << 64) - 1]


def answers(kernel: Kernel) -> list[dict[str, Any]]:
    """What every decoder says."""
    found = [s.answer(kernel).document for s in SUBJECTS]
    return found + [walk(kernel, va).document for va in addresses(kernel)]


def through(run: Run, target: Target) -> list[dict[str, Any]]:
    return answers(Kernel.now(run.image, target))


@pytest.mark.parametrize("run", ["128M"], indirect=True)
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
    fake = FakeTarget({base + p: page for p, page in used.items()}, run.target.registers())
    assert through(run, fake) == expected

    run.stub.close()
    with attached(str(run.qemu.gdb_socket)) as (target, stub):
        assert target.ram == run.target.ram, "the device tree has it"
        assert through(run, target) == expected
        assert target.pages_read < len(memory) // 4096 // 20
        assert not stub.found_running
    # Without a stop nothing moves, so a live reader must agree as well: but for what the monitor
    # does not tell.
    with running_guest(run.target, run.qemu.quick_socket) as guest:
        found, how = sample(run.image, guest, answers)
    assert how.stopped_seconds is None
    names = [s.name for s in SUBJECTS]
    for name in ("pagetable", "frames", "threads", "context"):
        assert found[names.index(name)] == expected[names.index(name)]
    assert found[len(names) :] == expected[len(names) :]


def test_gdb_says_the_same_and_so_does_its_snapshot(
    gdb: str, run: Run, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    kernel, file = run.kernel(), tmp_path / "kernel.snap"
    expected = answers(kernel)
    asked = [f"rc {s.name} --json" for s in SUBJECTS]
    asked += [f"rc walk {va:#x} --json" for va in addresses(kernel)]
    assert documents(InGdb(gdb, run)(*asked, f"rc snapshot {file}")) == expected
    snapshot = read_snapshot(file)
    assert through(run, snapshot.target) == expected
    assert snapshot.ram == run.target.ram
    assert snapshot.elf == rcdbg_kernel.read_bytes()
    assert snapshot.others["mstatus"] & live.SSTATUS_MASK == kernel.csr("sstatus")


@pytest.mark.one_kernel
def test_wrong_snapshot_commands_in_gdb(gdb: str, run: Run) -> None:
    wrong = ["rc snapshot", "rc snapshot a b", "rc snapshot /nowhere/a", "rc snapshot a --memory x"]
    lines = InGdb(gdb, run).call(*wrong).stderr.splitlines()
    assert len(lines) == len(wrong)
    assert all(line.startswith("rcdbg: ") for line in lines)
    assert "cannot write /nowhere/a" in lines[2]


def test_everything_has_what_each_decoder_says(run: Run) -> None:
    kernel = run.kernel()
    said = {
        s.reading.key: s.answer(kernel).document[s.reading.key]
        for s in SUBJECTS
        if s.name != "backtraces"
    }
    state = said.pop("state")
    assert state["problems"] == []
    for key in ("trap", "page_table", "frames", "memory_sets", "owners", "heap"):
        assert state[key] == said[key], key
    assert state["hart"]["csrs"] == said["csrs"]
    report = render_text(subject("all").answer(kernel).view, 120)
    for title in ("Memory sets", "Owners of frames", "Heap"):
        assert f" {title} " in report


# registers without a stop


def test_the_monitors_registers_are_those_of_the_stub(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", "interval=20000")
    for _ in range(8):
        run.until(trap())
        with Monitor(run.machine.qemu.quick_socket) as monitor:
            by_stub = run.machine.target.registers()
            by_monitor = live.registers(monitor, run.machine.stub.clock.address)
        assert (by_monitor.pc, by_monitor.x) == (by_stub.pc, by_stub.x)
        assert len(by_monitor.csrs) >= 10
        assert "time" in by_monitor.csrs
        for name, value in by_monitor.csrs.items():
            assert value == by_stub.csrs[name], name


def test_time_is_what_the_hart_itself_reads(rcdbg_boot: BootKernel) -> None:
    """Witness: the instruction `rdtime`, of which the kernel arms its timer."""
    run = rcdbg_boot("preempt", "interval=20000")
    places = reads_of_time(run.machine)
    for address in places:
        run.machine.stub.insert_breakpoint(address)
    read = 0
    for _ in range(4):
        run.machine.stub.resume()
        stop = run.machine.stub.wait_stop(TIMEOUT)
        assert stop.pc in places
        before = run.machine.target.registers()
        run.machine.stub.step()
        after = run.machine.target.registers()
        value = after.x[places[stop.pc]]
        assert 0 < before.csrs["time"] <= value <= after.csrs["time"]
        assert value > read
        read = value
    # By every other way, of the same moment: the clock stands while the guest does.
    now = run.machine.target.registers().csrs["time"]
    assert (
        Snapshot(
            pack(machine_of(run.machine), run.machine.target.read_phys), "file"
        ).registers.csrs["time"]
        == now
    )
    kernel = run.kernel()
    assert kernel.csr("time") == now
    assert subject("csr").answer(kernel).document["csrs"]["time"]["value"] == hex(now)


def reads_of_time(run: Run) -> dict[int, int]:
    """Where the kernel has `rdtime rd` (unprivileged spec, Zicntr), and the number of rd."""
    text = next(s for s in run.image.sections if s.name == ".text")
    code = run.kernel().memory.read(text.address, text.size)
    found = {}
    for at in range(0, len(code) - 3, 2):
        (word,) = struct.unpack_from("<I", code, at)
        if word & 0xFFFFF07F == 0xC0102073:
            found[text.address + at] = word >> 7 & 31
    assert found, "the kernel reads no time"
    return found


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
    let_go(run.machine)
    for _ in range(25):
        with running_guest(run.machine.target, run.machine.qemu.quick_socket) as guest:
            found, _ = sample(run.image, guest, read_state)
        threads = [found.processor.current, *found.processor.ready, *found.processor.sleeping]
        # A switch takes the running thread off and puts another on: in between there is none.
        ids = sorted(t.id for t in threads if t is not None and t.id is not None)
        assert ids == sorted(set(ids))
        assert set(ids) <= {t.id for t in before.processor.threads}
        others = [t for t in before.processor.threads if not t.is_idle]
        assert len(ids) >= len(others) - 1
        assert found.frames == before.frames
        assert found.page_table.problems == found.processor.problems == ()
        assert is_running(run.machine)


def test_a_stop_is_measured_and_over(run: Run) -> None:
    let_go(run)
    with Monitor(run.qemu.quick_socket) as monitor:
        began = time.perf_counter()
        with live.paused(monitor) as pause:
            assert not is_running(run)
        assert 0 < pause.seconds < time.perf_counter() - began
        assert is_running(run)
        # Also when looking at it fails.
        with pytest.raises(MemoryReadError), live.paused(monitor):
            run.target.read_phys(0, 8)
        assert is_running(run)


def test_the_registers_of_a_stop_stay_those_of_the_stop(run: Run) -> None:
    """They are decoded when the guest runs on; QEMU, asked within the stop, is the witness."""
    let_go(run)
    with Monitor(run.qemu.quick_socket) as monitor:
        for _ in range(5):
            with live.paused(monitor) as pause:
                values = parse_info_registers(run.qemu.monitor.hmp("info registers"))
            assert is_running(run)
            assert pause.registers.pc == values["pc"]
            assert pause.registers.x == tuple(values[f"x{n}"] for n in range(32))


def test_a_kernel_that_has_ended_is_no_live_one(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    run.until(exited())
    with (
        pytest.raises(MachineError),
        running_guest(run.machine.target, run.machine.qemu.quick_socket) as guest,
    ):
        sample(run.image, guest, answers)


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
    done = rcdbg("attach", "--gdb", address, "--kernel", rcdbg_kernel, "threads", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["threads"]["problems"] == []
    assert is_running(stranger)
    address = f"127.0.0.1:{port[1]}"
    done = rcdbg("attach", "--gdb", address, "--kernel", rcdbg_kernel, "csr", "--stay")
    assert done.returncode == 0
    assert not is_running(stranger)
    done = rcdbg("walk", "handle_interrupt", "--attach", address, "--kernel", rcdbg_kernel)
    assert "level 2" in done.stdout
    monitor.hmp("gdbserver none")
    said = one_line(rcdbg("attach", "--gdb", address, "--kernel", rcdbg_kernel))
    assert f"no gdb stub at {address}: Connection refused" in said


@pytest.mark.one_kernel
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
    state = read_state(Kernel.now(stranger.image, snapshot.target))
    # In the middle of a switch no thread is the current one.
    assert len([t for t in state.processor.threads if not t.is_idle]) in (2, 3)
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


@pytest.mark.one_kernel
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
