"""What students make of such a kernel: whatever is shown of it is right, or not known."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.threads.listed import ORDER_NOT_KNOWN
from rcdbg.trace.run import Boot, Run
from tests.integration.kernels.compare import name_of, same_memory, same_threads, stops
from tests.support.shapes import MEMORY, SOURCE, Account
from tests.support.variants import KERNEL, TARGET, reversed_fields

MOVED = ("TaskControlBlock", "TaskControlBlockInner", "ProcessControlBlock", "TaskManager",
         "ProcessControlBlockInner", "MemorySet", "MapArea", "PageTable", "StackFrameAllocator",
         "Processor", "TaskUserRes", "UPSafeCell")  # fmt: skip
OTHER_NAMES = {
    "UPSafeCell": "Lone",
    "exclusive_access": "borrow",
    "TaskControlBlockInner": "Changing",
    "children": "offspring",
    "areas": "stretches",
    "ready_queue": "waiting_line",
    "StackFrameAllocator": "Frames",
    "TaskContext": "Kept",
}


def moved(text: str) -> str:
    return reversed_fields(text, MOVED)[0]


def renamed(text: str) -> str:
    for name, other in OTHER_NAMES.items():
        text = re.sub(rf"\b{name}\b", other, text)
    return text


@dataclass(frozen=True)
class Variation:
    program: str
    arguments: tuple[str, ...] = ()
    flags: str = ""
    """For rustc."""
    profile: tuple[tuple[str, str], ...] = ()
    """Settings of cargo's, as variables."""
    source: Callable[[str], str] | None = None


STOPS = 12
"""Of each kernel: the first ones."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all that this process builds: the libraries once."""
    return tmp_path_factory.mktemp("target")


def build(variation: Variation, work: Path, target: Path) -> Path:
    source = SOURCE
    if variation.source is not None:
        source = work / "tests" / "kernels"
        shutil.copytree(SOURCE, source)
        (work / "kernel").mkdir()
        shutil.copy2(KERNEL / "toolchain.sh", work / "kernel")
        for path in (source / "v3" / "src").rglob("*.rs"):
            path.write_text(variation.source(path.read_text()))
    variables = {"CARGO_TARGET_DIR": str(target), **dict(variation.profile)}
    if variation.flags:
        variables["CARGO_ENCODED_RUSTFLAGS"] = variation.flags
    subprocess.run(
        [source / "build.sh", "-p", "v3", "--bin", variation.program, *variation.arguments],
        check=True,
        env={**os.environ, **variables},
    )
    folder = "release" if "--release" in variation.arguments else "debug"
    return Path(shutil.copy2(target / TARGET / folder / variation.program, work))


ALL_RIGHT = {
    "a lock more": Variation("ch5", ("--features", "guarded")),
    "fields moved": Variation("ch8", source=moved),
    "LTO": Variation("ch8", ("--release",), profile=(("CARGO_PROFILE_RELEASE_LTO", "fat"),)),
    "DWARF 5": Variation("ch5", ("--release",), flags="-Cdwarf-version=5"),
}


@pytest.mark.parametrize("name", ALL_RIGHT)
def test_all_is_right(name: str, tmp_path: Path, target: Path) -> None:
    with Run(
        Boot(build(ALL_RIGHT[name], tmp_path, target), memory=MEMORY, deterministic=True)
    ) as run:
        for account, kernel in islice(stops(run), STOPS):
            same_threads(account, run.state().processor)
            same_memory(account, kernel)


def test_stride_scheduling_has_an_order_that_is_not_known(tmp_path: Path, target: Path) -> None:
    elf = build(Variation("ch5", ("--features", "stride")), tmp_path, target)
    with Run(Boot(elf, memory=MEMORY, deterministic=True)) as run:
        for account, kernel in islice(stops(run), STOPS):
            processor = run.state().processor
            same_threads(account, processor, is_ordered=False)
            same_memory(account, kernel)
            assert len(processor.ready) < 2 or ORDER_NOT_KNOWN in processor.note


@pytest.mark.parametrize(
    "variation",
    [
        Variation("ch4", ("--features", "bitmap")),
        Variation("ch5", source=renamed),
        Variation("ch8", source=renamed),
    ],
    ids=["a set of bits", "renamed, processes", "renamed, threads"],
)
def test_what_is_not_right_is_not_known(variation: Variation, tmp_path: Path, target: Path) -> None:
    elf = build(variation, tmp_path, target)
    with Run(Boot(elf, memory=MEMORY, deterministic=True)) as run:
        for account, kernel in islice(stops(run), STOPS):
            _right_or_not_known(account, kernel, run)


def _right_or_not_known(account: Account, kernel: Kernel, run: Run) -> None:
    frames, heap = read_frames(kernel), read_heap(kernel)
    assert not frames.is_known or frames.free_frames == account.free
    assert heap.allocated is None or (heap.allocated, heap.total) == account.heap
    roots = {int(s["root"], 16) >> 12 for s in (account.processes or account.tasks).values()}
    for found in read_memory_sets(kernel).sets:
        known = found.root_ppn is None or found.root_ppn in roots
        assert known or found.root_ppn == (account.kernel_root or 0) >> 12 or found.segments == ()
    processor = run.state().processor
    if "current" not in processor.unknown:
        current = processor.current
        assert (None if current is None else name_of(account, current)) == account.current
    if "ready" not in processor.unknown:
        ready = [name_of(account, t) for t in processor.ready]
        same = tuple(ready) == account.ready
        assert same or (ORDER_NOT_KNOWN in processor.note and set(ready) == set(account.ready))
    for thread in processor.threads:
        if thread.id is None:
            continue
        said = account.tasks[name_of(account, thread)]
        assert thread.state in ("", said["state"])
        if thread.switch is not None:
            assert thread.switch.sp == int(said["sp"], 16)
