"""One stop of the real kernel, read in every way there is: the same answers from each."""

from pathlib import Path

import pytest

from rcdbg.guest.snapshot import Snapshot, read_snapshot
from rcdbg.guest.snapshot_writer import pack
from rcdbg.image.elf import image_of
from rcdbg.machine.qemu import live
from rcdbg.machine.stub.attach import attached
from rcdbg.model.kernel import Kernel
from rcdbg.subjects.table import SUBJECTS, subject
from rcdbg.trace.run import Run, machine_of
from rcdbg.trace.story.live import running_guest, sample
from rcdbg.views.render import render_text
from tests.integration.targets.ways import addresses, answers, through
from tests.support.fake_target import FakeTarget
from tests.support.in_gdb import InGdb, documents

pytestmark = pytest.mark.every_kernel


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
