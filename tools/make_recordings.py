"""Make tests/recordings anew, with the kernel in $RCDBG_KERNEL or the built one.

With names as arguments, only these recordings, and with the kernel that is kept beside them.
Each run is made twice, which is the same twice: first to see which pages of memory the decoders
look at, then to keep these at each moment. Tests compare what rcdbg makes of them with what the
kernel prints, so another kernel may make tests fail that name places in it.
"""

import lzma
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rcdbg.guest.protocol import Ram
from rcdbg.guest.recording import RecordingTarget, copy_pages
from rcdbg.image.locate import default_kernel
from rcdbg.image.resolve import resolve
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.read import read_state
from rcdbg.model.threads.call_stacks import read_call_stacks, read_hart_stack
from rcdbg.trace.conditions import switch, trap
from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import plan
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run
from tests.support.recordings import FOLDER, Recorded, Step, differing, memory_of
from tools.make_snapshots import neutral_elf

MEMORY = "32M"
NOT_MAPPED = tuple(kind for kind in DEFAULT_KINDS if kind not in ("map", "unmap"))
"""For the run in which every process maps all of memory, page by page."""

RUNS = {
    "threads": ("scenario=threads threads=3 interval=100000000", DEFAULT_KINDS),
    "preempt": ("scenario=preempt threads=3 interval=100000 ticks=6 dump=4", DEFAULT_KINDS),
    "sleepers": ("scenario=sleepers interval=200000 dump=3", DEFAULT_KINDS),
    "fault": ("scenario=fault", DEFAULT_KINDS),
    "processes": ("scenario=processes interval=30000 ticks=2", NOT_MAPPED),
}
"""Names, boot arguments, and the kinds of events that are kept.

`dump=TICK` makes the kernel print its threads at that tick.
"""

LOOKS = 30
"""Traps in which everything is decoded, to see which pages that takes."""

SCENARIO = "scenarios::run"
FREQUENT = {"map", "unmap", "alloc_entry", "alloc_return", "frame_free"}
"""Not looked at before the scenario begins: then all of memory is mapped, page by page."""


def look(kernel: Kernel) -> None:
    """Whatever a test may want to decode at a moment at which a trap is handled."""
    read_state(kernel)
    read_hart_stack(kernel)
    read_call_stacks(kernel)
    read_frame_owners(kernel)


def record(elf: Path, append: str, kinds: tuple[str, ...]) -> Recorded:
    """One run, made twice."""
    pages: set[int] = set()
    _run(elf, append, kinds, pages, keep=False)
    return _run(elf, append, kinds, pages, keep=True)


def _run(
    elf: Path, append: str, kinds: tuple[str, ...], pages: set[int], *, keep: bool
) -> Recorded:
    """Run the kernel to its end; adds to `pages`, or keeps those at each moment."""
    boot = Boot(elf, append, MEMORY, deterministic=True)
    with Run(boot) as run, StubRecorder(run) as recorder:
        image = run.image
        entry = image.physical(image.entry) or image.entry
        handled = {*trap().places(image, run.description)}
        start = resolve(image, SCENARIO)
        read = RecordingTarget(run.target, run.target.registers())
        observer = Observer(image, run.overlay, plan(image, run.overlay, kinds), read)
        own = {entry, start, *handled, *switch().places(image, run.description)}
        early = {p.address for p in observer.places if p.what not in FREQUENT}
        recorder.watch(sorted(early | own))
        steps: list[Step] = []
        looks = 0
        kept: dict[int, bytes] = {}
        x: dict[int, int] = {}
        csrs: dict[str, int] = {}
        for moment in recorder.moments():
            now = run.stub.registers()
            if now.pc == start:
                recorder.watch(sorted({*observer.addresses} | own))
            observer.feed(replace(moment, registers=now))
            if keep:
                run.settle()
                step = Step(
                    moment.ticks or 0,
                    moment.instructions or 0,
                    now.pc,
                    len(run.console),
                    now.privilege,
                    differing(dict(enumerate(now.x)), x),
                    differing(now.csrs, csrs),
                    memory_of(copy_pages(run.target, sorted(pages)), kept),
                )
                steps.append(step)
            elif (now.pc in handled or now.pc == start) and looks < LOOKS:
                looks += 1
                look(Kernel.now(image, RecordingTarget(read, now)))
        pages |= read.pages
        places = tuple(sorted({*observer.addresses} | own))
        ram = run.target.ram
        return Recorded(append, kinds, Ram(ram.start, ram.size), places, tuple(steps), run.console,
                        recorder.exit_status or 0)  # fmt: skip


def main() -> None:
    """Write them all, or those that are named."""
    names = sys.argv[1:]
    kept = FOLDER / "os.xz"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if names:
            elf = Path(folder) / "os"
            elf.write_bytes(lzma.decompress(kept.read_bytes()))
        else:
            elf = neutral_elf(default_kernel(), Path(folder))
            kept.write_bytes(lzma.compress(elf.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
            print(f"{kept.name}: {kept.stat().st_size} bytes")
        for name in names or RUNS:
            path = FOLDER / f"{name}.jsonl.xz"
            recording = record(elf, *RUNS[name])
            recording.save(path)
            print(f"{path.name}: {len(recording.steps)} moments, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
