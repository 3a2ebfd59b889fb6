"""Frames: one owner each, given back once, and all of them in the end."""

import pytest

from rcdbg.testing import BootKernel, exited, frame_alloc, frame_free, hit
from tests.traces.words import SOON, UNDISTURBED

pytestmark = pytest.mark.every_kernel

SMALL = "13M"
"""Memory with few frames, so that taking all of them is soon done."""


def test_a_frame_that_is_free_is_not_taken_back(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("frames", "frames=20", SMALL, events="traps")
    run.until(hit("scenarios::run"), ticks=SOON)
    taken: set[int] = set()
    while True:
        event = run.until(frame_alloc() | frame_free(), ticks=SOON)
        ppn = event.fields["ppn"]
        if event.kind == "frame_alloc":
            taken.add(ppn)
        elif ppn in taken:
            taken.remove(ppn)
        else:
            break
    run.until(exited(), ticks=SOON)
    assert f"frame {ppn:#x} freed twice: refused" in run.console, (
        f"frame {ppn:#x} was free already and was taken back"
    )
    assert run.exit_status == 0, f"the kernel ended with status {run.exit_status}"


def test_a_frame_has_one_owner_at_a_time(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("frames", "frames=20", SMALL, events="traps")
    run.until(hit("scenarios::run"), ticks=SOON)
    taken: set[int] = set()
    for event in run.collect(frame_alloc() | frame_free(), until=exited(), ticks=SOON):
        ppn = event.fields["ppn"]
        if event.kind == "frame_free":
            taken.discard(ppn)
        elif ppn is not None:
            assert ppn not in taken, f"frame {ppn:#x} was handed out while it was still taken"
            taken.add(ppn)


@pytest.mark.parametrize("scenario", ["frames", "mapping", "threads"])
def test_frames_that_are_taken_are_given_back(rcdbg_boot: BootKernel, scenario: str) -> None:
    run = rcdbg_boot(scenario, f"frames=20 threads=2 {UNDISTURBED}", SMALL, events="traps")
    run.until(hit("scenarios::run"), ticks=SOON)
    tables = {run.state().page_table.root_ppn}
    taken: list[int] = []
    for event in run.collect(frame_alloc() | frame_free(), until=exited(), ticks=SOON):
        ppn = event.fields["ppn"]
        if event.kind == "frame_alloc" and ppn is not None:
            taken.append(ppn)
        elif ppn in taken:
            taken.remove(ppn)
    # Page tables stay with the kernel's own mapping.
    lost = [ppn for ppn in taken if ppn not in tables]
    assert len(lost) <= 4, f"{len(lost)} frames were taken and never given back: {lost[0]:#x}, ..."
    assert run.exit_status == 0, f"the kernel ended with status {run.exit_status}"
