"""Snapshots of the past can be read: the files in tests/snapshots, without QEMU or a kernel."""

from functools import cache
from pathlib import Path

import pytest

from rcdbg.guest.snapshot import read_snapshot
from rcdbg.guest.snapshot_checks import SnapshotError
from rcdbg.image.elf import image_of
from rcdbg.image.match import doubt_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState
from rcdbg.subjects.table import SUBJECTS
from rcdbg.views.render import render_text
from tests.fuzz import REWRITTEN, Victim, play

FOLDER = Path(__file__).resolve().parents[1] / "snapshots"
KEPT = sorted(FOLDER.glob("*.snap"))
LARGEST, ALL_OF_THEM = 1_000_000, 3_000_000


@cache
def kernel(name: str) -> Kernel:
    snapshot = read_snapshot(FOLDER / f"{name}.snap")
    image = image_of(snapshot.elf, Path(f"{name}.snap:{snapshot.kernel_name}"))
    return Kernel.now(image, snapshot.target)


def state(name: str) -> KernelState:
    return read_state(kernel(name))


def test_they_are_small() -> None:
    sizes = [path.stat().st_size for path in KEPT]
    assert len(sizes) == 3
    assert max(sizes) < LARGEST
    assert sum(sizes) < ALL_OF_THEM


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_everything_in_them_is_decoded_and_shown(path: Path) -> None:
    here = kernel(path.stem)
    assert doubt_of(here.image, here.target.read_phys) is None
    found = state(path.stem)
    for part in (found, found.trap, found.page_table, found.frames, found.processor):
        assert part.problems == ()
    assert found.page_table.mode == "Sv39"
    assert found.frames.used
    for subject in SUBJECTS:
        assert render_text(subject.answer(here).view).strip()
    console = read_snapshot(path).console
    assert console is not None
    assert "scenario " in console


def test_three_threads_preempted() -> None:
    found = state("three-threads-preempted")
    assert found.trap.cause == "supervisor timer interrupt"
    assert found.processor.current is not None
    assert [t.position for t in found.processor.ready] == [0, 1]
    assert all(t.context is not None for t in found.processor.ready)


def test_threads_asleep() -> None:
    found = state("threads-asleep")
    assert len(found.processor.sleeping) >= 2
    assert all(t.status == "sleeping" for t in found.processor.sleeping)


def test_load_page_fault_in_a_thread() -> None:
    found = state("load-page-fault-in-a-thread")
    assert found.trap.cause == "load page fault"
    assert found.trap.context is not None
    assert found.trap.context.sepc.symbol == "os::scenarios::fault::load"
    stval = found.hart.csr("stval")
    assert stval is not None
    assert stval.value == 0x6000_0000


def test_none_of_their_halves_is_taken_for_a_whole(tmp_path: Path) -> None:
    data = KEPT[0].read_bytes()
    part = tmp_path / "part.snap"
    for size in range(0, len(data), len(data) // 23):
        part.write_bytes(data[:size])
        with pytest.raises(SnapshotError):
            read_snapshot(part)


def test_damaged_and_written_anew_they_are_still_shown() -> None:
    """A few rounds of `make fuzz`, all of them through a file."""
    victim = Victim.kept(KEPT[0])
    outcomes = [play([victim], seed) for seed in range(0, 3 * REWRITTEN, REWRITTEN)]
    assert not [failure for outcome in outcomes for failure in outcome.failures]
    assert any(outcome.changed for outcome in outcomes), "the damage shows"
