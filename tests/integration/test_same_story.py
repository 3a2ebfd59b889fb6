"""The same scenario by every backend, and again and again: deterministic recordings are alike."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from rcdbg.trace.analysis.diff import compare
from rcdbg.trace.kinds import DEFAULT_KINDS, parse_kinds
from rcdbg.trace.moment import Backend
from rcdbg.trace.patterns import switch
from rcdbg.trace.record import Trace
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.run import NANOSECONDS_PER_INSTRUCTION, NANOSECONDS_PER_TICK, Boot
from rcdbg.trace.sinks.files import read_trace
from rcdbg.trace.until import Ending, after_events, after_ticks, at
from rcdbg.trace.wanted import Wanted
from tests.support.busy_host import busy_host
from tests.support.order import in_order

FAST = "interval=100000"
RUNS = 20
TIMEOUT = 120
STORY = parse_kinds("traps,threads,timer_set,console,satp,sbi")


def story(kernel: Path, append: str, backend: Backend, wanted: Wanted) -> Trace:
    boot = Boot(kernel, append, deterministic=True)
    with record(boot, replace(wanted, backend=backend)) as recording:
        events = tuple(recording)
    assert recording.header.backend == backend
    assert in_order(events)
    return Trace(recording.header, events, recording.end)


@pytest.mark.every_kernel
@pytest.mark.parametrize(
    ("scenario", "until"),
    [
        ("threads", None),
        ("sleepers", None),
        ("fault", None),
        ("processes", None),
        ("preempt", after_events(300)),
        ("preempt", at(switch(to=3))),
    ],
)
def test_with_stops_and_without_the_story_is_the_same(
    rcdbg_kernel: Path, scenario: str, until: Ending | None
) -> None:
    append, wanted = f"scenario={scenario} {FAST}", Wanted(STORY, until=until)
    stub = story(rcdbg_kernel, append, "stub", wanted)
    backends: tuple[Backend, ...] = ("log", "held")
    for backend in backends:
        log = story(rcdbg_kernel, append, backend, wanted)
        found = compare((log.header, log.events), (stub.header, stub.events))
        assert found.divergence is None
        assert found.same == len(log.events) > 20
        assert log.end == stub.end
        # What the log knows of the time is no more than that it is not earlier.
        for bound, exact in zip(log.events, stub.events, strict=True):
            assert bound.ticks is not None
            assert exact.ticks is not None
            assert bound.ticks <= exact.ticks


def test_every_kind_of_event_is_the_same(rcdbg_kernel: Path) -> None:
    append, wanted = f"scenario=threads {FAST}", Wanted(DEFAULT_KINDS, until=after_events(300))
    stub = story(rcdbg_kernel, append, "stub", wanted)
    assert {event.kind for event in stub.events} >= {"satp", "map", "frame_alloc"}
    backends: tuple[Backend, ...] = ("log", "held")
    for backend in backends:
        log = story(rcdbg_kernel, append, backend, wanted)
        found = compare((log.header, log.events), (stub.header, stub.events))
        assert found.divergence is None


@pytest.mark.every_kernel
def test_a_longer_recording_goes_on_where_the_shorter_one_ended(rcdbg_kernel: Path) -> None:
    """Two seconds of guest time are recorded at first; one timer a tenth of a second is seen."""
    interval = 1_000_000
    append = f"scenario=preempt interval={interval}"
    until = after_ticks(45_000_000)
    trace = story(rcdbg_kernel, append, "stub", Wanted(("trap_enter", "timer_set"), until=until))
    deadlines = [e.fields["deadline"] for e in trace.events if e.kind == "timer_set"]
    traps = [e for e in trace.events if e.kind == "trap_enter" and e.fields["interrupt"]]
    # Each timer is late by at most what the kernel and the firmware take for it.
    assert len(traps) > 35
    for deadline, trap in zip(deadlines, traps, strict=False):
        assert trap.ticks is not None
        assert 0 <= trap.ticks - deadline < interval // 10
    assert trace.end is not None
    assert "time" in trace.end.why
    assert trace.events[-1].ticks is not None
    assert 45_000_000 - 2 * interval < trace.events[-1].ticks < 45_000_000


@pytest.mark.every_kernel
def test_time_is_instructions(rcdbg_kernel: Path) -> None:
    trace = story(rcdbg_kernel, f"scenario=threads {FAST}", "stub", Wanted(STORY))
    counts = [event.instructions or 0 for event in trace.events]
    assert all(one <= other for one, other in pairwise(counts))
    for event in trace.events:
        nanoseconds = (event.instructions or 0) * NANOSECONDS_PER_INSTRUCTION
        assert event.ticks == nanoseconds // NANOSECONDS_PER_TICK


@pytest.mark.parametrize("backend", ["log", "stub"])
def test_twenty_recordings_are_byte_identical(
    rcdbg_kernel: Path, tmp_path: Path, backend: str
) -> None:
    """With a thread more than the seed's least, but no line of the console: each is a stop."""

    def recorded(number: int) -> bytes:
        path = tmp_path / f"{number}.jsonl"
        subprocess.run(
            [sys.executable, "-m", "rcdbg.cli.main", "trace", "--kernel", str(rcdbg_kernel),
             "--scenario", "threads", "--append", FAST, "--events", "traps,threads",
             "--deterministic", "--backend", backend, "-o", str(path)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=True,
        )  # fmt: skip
        return path.read_bytes()

    first = recorded(0)
    trace = read_trace(tmp_path / "0.jsonl")
    assert trace.end is not None
    assert trace.end.events == len(trace.events) > 30
    assert json.loads(first.splitlines()[0])["backend"] == backend
    for number in range(1, RUNS // 2):
        assert recorded(number) == first
    with busy_host():
        for number in range(RUNS // 2, RUNS):
            assert recorded(number) == first


def test_the_backend_is_what_the_run_needs(rcdbg_kernel: Path) -> None:
    def chosen(hits: tuple[str, ...] = (), *, deterministic: bool = False) -> str:
        boot = Boot(rcdbg_kernel, f"scenario=threads {FAST}", deterministic=deterministic)
        with record(boot, Wanted(("trap_enter",), hits)) as recording:
            return recording.header.backend

    assert chosen() == "log"
    assert chosen(("FrameAllocator<T>::dealloc",)) == "log"
    assert chosen(("rust_main",), deterministic=True) == "stub"


def test_a_text_that_an_argument_points_to_needs_a_guest_that_waits(rcdbg_kernel: Path) -> None:
    boot = Boot(rcdbg_kernel, f"scenario=threads {FAST}")
    with record(boot, Wanted(("trap_enter",), ("*::write_str",))) as recording:
        assert recording.header.backend == "held"


def test_header_and_end_have_nothing_of_the_host(rcdbg_kernel: Path) -> None:
    trace = story(rcdbg_kernel, f"scenario=threads {FAST}", "log", Wanted(STORY))
    assert trace.end is not None
    assert replace(trace.end, repeats=0) == trace.end
