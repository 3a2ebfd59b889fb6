"""Recordings by the stub, held against what the kernel and the disassembler say themselves."""

import re
import subprocess
from pathlib import Path

import pytest

from rcdbg.image.elf import Image
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.memory.frames import read_frames
from rcdbg.riscv import paging
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.conditions import reached
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import plan
from rcdbg.trace.observers.scan import scan
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.until import after_events, after_ticks
from rcdbg.trace.wanted import Wanted
from tests.support.order import in_order
from tests.support.tools import tool

FAST = "interval=100000"


def trace(kernel: Path, append: str, *kinds: str) -> list[TraceEvent]:
    with record(Boot(kernel, append, deterministic=True), Wanted(kinds, backend="stub")) as run:
        events = list(run)
    assert run.end is not None
    assert (run.end.lost, run.end.exit_status) == (0, 0)
    assert in_order(events)
    return events


@pytest.mark.every_kernel
def test_sleepers_wake_in_the_order_that_the_kernel_prints(rcdbg_kernel: Path) -> None:
    events = trace(rcdbg_kernel, f"scenario=sleepers {FAST}", "sleep", "wake", "console")
    lines = [e for e in events if e.kind == "console"]
    said = [int(m[1]) for e in lines if (m := re.match(r"thread (\d+) woke", e.fields["text"]))]
    assert said == [3, 2, 1, 5, 4]
    assert [e.fields["id"] for e in events if e.kind == "wake"] == said
    slept = [e.fields["id"] for e in events if e.kind == "sleep"]
    assert sorted(slept) == sorted(said)
    woke = {e.thread for e in lines if "woke at" in e.fields["text"]}
    assert woke == set(said)


@pytest.mark.every_kernel
def test_each_thread_says_hello_between_its_switches(rcdbg_kernel: Path) -> None:
    kinds = ("switch", "thread_exit", "console")
    events = trace(rcdbg_kernel, "scenario=threads interval=100000000", *kinds)
    hello = [e for e in events if e.kind == "console" and "hello" in e.fields["text"]]
    assert [e.fields["text"].rsplit(maxsplit=1)[-1] for e in hello] == [
        str(e.thread) for e in hello
    ]
    switches = [e.fields for e in events if e.kind == "switch"]
    assert switches[0] == {"from": None, "to": 1, "why": "start"}
    assert [s["to"] for s in switches] == [e.thread for e in hello]
    assert {s["why"] for s in switches[1:]} == {"exit"}
    exits = [e.fields["id"] for e in events if e.kind == "thread_exit"]
    assert exits == [e.thread for e in hello]


def test_frames_that_are_taken_and_freed_add_up_to_the_kernels_own_count(
    rcdbg_kernel: Path,
) -> None:
    kinds = ("frame_alloc", "frame_free", "console")
    events = trace(rcdbg_kernel, "scenario=threads threads=2 interval=100000000", *kinds)
    taken: set[int] = set()
    for event in events:
        if event.kind == "frame_alloc":
            assert event.fields["ppn"] not in taken
            taken.add(event.fields["ppn"])
        elif event.kind == "frame_free":
            taken.remove(event.fields["ppn"])
    text = " ".join(e.fields["text"] for e in events if e.kind == "console")
    after = re.search(r"frames: \d+ taken before, (\d+) after", text)
    assert after is not None
    assert len(taken) == int(after[1])


def test_the_frames_are_those_that_the_books_lack(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    taken = set()
    run.until(reached("rust_main"))
    for event in follow(run.machine, "frame_alloc", events=20):
        taken.add(event.fields["ppn"])
    free = {ppn for i in read_frames(run.kernel()).free for ppn in range(i.start, i.end)}
    assert len(taken) == 20
    assert not taken & free


def test_mapped_pages_are_in_the_page_table_as_asked_for(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    wanted = [event.fields for event in follow(run.machine, "map", events=200)]
    run.until(reached("scenarios::run"))
    kernel = run.kernel()
    for page in wanted:
        walk = paging.walk(run.machine.target.read_phys, kernel.memory.satp, page["va"])
        assert walk.physical == page["pa"]
        assert walk.last_leaf is not None
        asked = {letter for letter in page["flags"] if letter in "rwxu"}
        assert asked == {letter for letter in walk.last_leaf.pte.flags if letter in "rwxu"}


@pytest.mark.every_kernel
def test_the_machine_stands_still_at_each_moment(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", FAST)
    made = plan(run.image, NOTHING, ("satp",))
    observer = Observer(run.image, NOTHING, made, run.machine.target)
    seen: list[TraceEvent] = []
    with StubRecorder(run.machine) as recorder:
        recorder.watch(observer.addresses)
        for moment in recorder.moments():
            for event in observer.feed(moment):
                satp = run.machine.stub.regs.csrs(("satp",))["satp"]
                assert event.fields["root_ppn"] == satp & (1 << 44) - 1
                assert run.machine.stub.registers().pc == event.pc
                seen.append(event)
            if len(seen) == 2:
                break
    assert [event.fields["mode"] for event in seen] == ["Sv39", "Sv39"]
    run.until(reached("scenarios::shutdown"))


@pytest.mark.every_kernel
def test_a_recording_ends_where_it_was_asked_to(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, "scenario=preempt interval=20000", deterministic=True)
    with record(boot, Wanted(("trap_enter",), until=after_events(5), backend="stub")) as run:
        assert len(list(run)) == 5
    assert run.end is not None
    assert run.end.events == 5
    with record(boot, Wanted(("satp",), until=after_ticks(8_000_000), backend="stub")) as run:
        list(run)
    assert run.end is not None
    assert "time" in run.end.why


def test_looking_at_the_clock_hides_no_moment(
    rcdbg_kernel: Path, rcdbg_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = 40
    boot = Boot(rcdbg_kernel, f"scenario=preempt ticks={ticks} interval=20000", deterministic=True)
    place = rcdbg_image.symbols.address_of("handle_interrupt")
    assert place is not None
    # So often that some interrupts come while the hart gets to the place.
    monkeypatch.setattr("rcdbg.trace.recorders.stub_recorder._SLICE_SECONDS", 0.0003)
    for _ in range(3):
        with StubRecorder(boot, limit_ticks=1 << 40) as recorder:
            recorder.watch([place])
            assert sum(1 for _ in recorder.moments()) == ticks


@pytest.mark.every_kernel
def test_a_deterministic_kernel_never_waits(rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads")
    assert {one.address for one in run.machine.replaced} == set(scan(run.image).waits)
    assert rcdbg_boot("threads", deterministic=False).machine.replaced == ()


@pytest.mark.every_kernel
def test_what_is_scanned_is_what_objdump_sees(rcdbg_image: Image) -> None:
    text = subprocess.run(
        [tool("llvm-objdump"), "-d", str(rcdbg_image.path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    def sites(pattern: str) -> set[int]:
        line = re.compile(rf"^\s*([0-9a-f]+):\s.*\s{pattern}", re.MULTILINE)
        return {int(m[1], 16) for m in line.finditer(text)}

    found = scan(rcdbg_image)
    assert set(found.ecalls) == sites(r"ecall\b")
    assert set(found.waits) == sites(r"wfi\b")
    assert {a - 4 for a in found.satp_written} == sites(r"csrr?[wsc]i?\s+(\w+, )?satp, ")
    assert found.ecalls


def follow(run: Run, kind: str, events: int) -> list[TraceEvent]:
    observer = Observer(run.image, NOTHING, plan(run.image, NOTHING, (kind,)), run.target)
    found: list[TraceEvent] = []
    with StubRecorder(run) as recorder:
        recorder.watch(observer.addresses)
        for moment in recorder.moments():
            found += [e for e in observer.feed(moment) if e.kind == kind]
            if len(found) >= events:
                break
    return found
