"""`rc trace` in both gdbs, held against the stub recorder and against the machine itself."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rcdbg.machine.qemu import timer
from rcdbg.testing.plugin import BootKernel
from rcdbg.trace.analysis.diff import compare
from rcdbg.trace.conditions import reached
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.recorders.replay_recorder import ReplayRecorder
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.sinks.files import read_trace
from rcdbg.trace.wanted import Wanted
from tests.support.in_gdb import InGdb, documents
from tests.support.order import in_order
from tests.support.places import vector

THREADS = "scenario=threads threads=2 interval=100000000"
SMALL = "13M"
"""Memory with few frames, so that the kernel has soon mapped all of it."""
EVENTS = "traps,threads,frames,satp,unmap,firmware"
"""Without `map`: the kernel maps all of memory, page by page."""
NO_BREAKPOINT = "No breakpoints"


def trace(text: str) -> dict[str, Any]:
    """The one trace that was printed by --json."""
    found = [d["trace"] for d in documents(text) if "trace" in d]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.every_kernel
def test_the_events_are_those_of_the_stub_recorder(
    gdb: str, rcdbg_kernel: Path, tmp_path: Path
) -> None:
    boot = Boot(rcdbg_kernel, THREADS, memory=SMALL, deterministic=True)
    file, hit = tmp_path / "gdb.jsonl", "kernel_thread_exit"
    with record(boot, Wanted(parse_kinds(EVENTS), (hit,), backend="stub")) as recording:
        by_stub = list(recording)
    with Run(boot) as run:
        InGdb(gdb, run).call(f"rc trace --events {EVENTS} --hit {hit} -o {file}")
    by_gdb = read_trace(file)
    found = compare((recording.header, by_stub), (by_gdb.header, by_gdb.events))
    assert found.divergence is None
    assert found.same == sum(event.kind in found.kinds for event in by_stub) > 100
    assert len(by_gdb.events) == len(by_stub)
    assert not found.notes
    assert in_order(by_gdb.events)
    assert (by_gdb.header.backend, by_gdb.header.clock) == ("gdb", "exact")
    assert by_gdb.end is not None
    assert by_gdb.end.lost == 0


@pytest.mark.parametrize("scenario", ["sleepers", "preempt ticks=10"])
def test_a_fast_timer_makes_no_difference_in_a_replay(
    gdb: str, rcdbg_kernel: Path, tmp_path: Path, scenario: str
) -> None:
    """The same run, recorded once and replayed for each: the same events at the same instants."""
    boot = Boot(rcdbg_kernel, f"scenario={scenario} interval=100000", deterministic=True)
    file, kinds = tmp_path / "gdb.jsonl", "traps,threads,satp,firmware"
    with record(boot, Wanted(parse_kinds(kinds), backend="stub")) as recording:
        by_stub = list(recording)
    with ReplayRecorder(boot) as replay:
        replay.watch(())
        InGdb(gdb, replay.run).call(f"rc trace --events {kinds} -o {file}")
    by_gdb = read_trace(file)
    assert compare((recording.header, by_stub), (by_gdb.header, by_gdb.events)).divergence is None
    assert [event.ticks for event in by_gdb.events] == [event.ticks for event in by_stub]
    assert sum(bool(event.fields.get("interrupt")) for event in by_stub) > 5
    assert by_gdb.end is not None
    assert by_gdb.end.lost == 0


@pytest.mark.every_kernel
def test_a_trap_that_began_before_is_known(in_gdb: InGdb) -> None:
    current = in_gdb.run.state().processor.current
    assert current is not None
    events = trace(in_gdb("rc trace --events trap_leave,switch --until 6 --json"))["events"]
    leave, *_ = events
    assert (leave["kind"], leave["thread"], leave["fields"]["depth"]) == (
        "trap_leave", current.id, 1,
    )  # fmt: skip
    # A scheduler may let the same thread go on for a tick or two.
    switch, after = next(pair for pair in pairwise(events) if pair[0]["kind"] == "switch")
    assert switch["fields"]["from"] == current.id
    assert switch["fields"]["why"] == "timer"
    assert after["thread"] == switch["fields"]["to"]


@pytest.mark.every_kernel
def test_it_ends_at_the_event_and_the_kernel_stands_there(in_gdb: InGdb) -> None:
    stands = 'printf "stands at %lx\\n", $pc'
    text = in_gdb("rc trace --events switch,trap_enter --until trap_enter:timer:2 --json", stands,
                  "maint info breakpoints", "rc threads")  # fmt: skip
    found = trace(text)
    entered = [e for e in found["events"] if e["kind"] == "trap_enter"]
    assert len(entered) == 2
    assert f"stands at {entered[-1]['pc']:x}" in text
    assert entered[-1] is found["events"][-1]
    assert NO_BREAKPOINT in text
    assert "running" in text


def test_the_listing_is_that_of_rcdbg_trace(in_gdb: InGdb) -> None:
    text = in_gdb("rc trace --events trap_enter --until 2")
    assert "recorded by gdb" in text
    assert text.count("supervisor timer interrupt from S") == 2
    assert "as many events as were asked for" in text
    assert "the kernel stands at" in text


def test_an_event_is_told_anew_where_the_kernel_stands(in_gdb: InGdb) -> None:
    text = in_gdb(*["rc trace --events trap_enter --until 1 --json"] * 2)
    first, again = (d["trace"]["events"] for d in documents(text))
    assert first == again


def test_a_breakpoint_of_the_user_ends_it(in_gdb: InGdb) -> None:
    entry = vector(in_gdb.run.image)
    text = in_gdb(f"break *{entry:#x}", "rc trace --events switch --json", "info breakpoints",
                  "delete", "maint info breakpoints")  # fmt: skip
    assert trace(text)["end"]["why"] == "breakpoint 1 of yours"
    assert "breakpoint already hit 1 time" in text
    assert NO_BREAKPOINT in text


def test_guest_time_passes_though_nothing_happens(gdb: str, rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("preempt", "interval=1000000000000")
    run.until(reached("spin_with_pattern"))
    before = run.machine.target.registers().csrs[timer.NAME]
    clock = f"monitor {timer.dump_command(run.machine.stub.clock.address or 0)}"
    text = InGdb(gdb, run.machine)("rc trace --events switch --until 20ms --json",
                           "maint info breakpoints", clock)  # fmt: skip
    found = trace(text)
    assert (found["events"], found["end"]["why"]) == ([], "the time was over")
    after = timer.parse_dump(text.strip().splitlines()[-1])
    assert after is not None
    assert after - before >= 200_000
    assert NO_BREAKPOINT in text


def test_the_kernels_end_ends_it(gdb: str, rcdbg_boot: BootKernel) -> None:
    run = rcdbg_boot("threads", "threads=2 interval=100000000")
    commands = ("rc trace --events switch,thread_exit", "maint info breakpoints", "rc trace")
    done = InGdb(gdb, run.machine).call(*commands)
    assert "thread 2 (exit)" in done.stdout
    assert "the machine has ended" in done.stdout or "was shut down" in done.stdout
    assert NO_BREAKPOINT in done.stdout
    assert "rcdbg: gdb is not connected to a machine" in done.stderr


def test_a_machine_that_is_killed_ends_it(in_gdb: InGdb) -> None:
    kill = f"python import os; gdb.events.cont.connect(lambda _: os.kill({in_gdb.run.qemu.pid}, 9))"
    done = in_gdb.call(kill, "rc trace", "maint info breakpoints")
    assert "the machine has ended" in done.stdout
    assert NO_BREAKPOINT in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--events nonsense", "nonsense"),
        ("--hit no_such_function", "no_such_function"),
        ("--until nonsense", "nonsense"),
        ("--until 0", "at least one"),
        ("--events switch --until console:x", "not recorded"),
        ("--nonsense", "--nonsense"),
        ("--until", "--until"),
        ("nonsense", "nonsense"),
        ("-o trace.txt", "trace.txt"),
        ("-o -", "name a file"),
        ("-o /no/such/folder/a.jsonl", "/no/such/folder"),
        ("-o a.jsonl --json", "--json"),
    ],
)
def test_wrong_words_get_one_line(in_gdb: InGdb, words: str, says: str) -> None:
    assert says in in_gdb.refused(f"rc trace {words}")


def test_without_a_machine(gdb: str, in_gdb: InGdb) -> None:
    assert "not connected" in in_gdb.call("disconnect", "rc trace").stderr


def test_into_files(in_gdb: InGdb, tmp_path: Path) -> None:
    lines, chrome = tmp_path / "a.jsonl", tmp_path / "a.json"
    text = in_gdb(
        *(f"rc trace --events switch,trap_enter --until 4 -o {f}" for f in (lines, chrome))
    )
    assert text.count("4 events") == 2
    kept = read_trace(lines)
    assert len(kept.events) == 4
    assert kept.end is not None
    assert json.loads(chrome.read_text())["traceEvents"]


def test_help_and_completion(in_gdb: InGdb) -> None:
    begun = ("--ev", "--events traps,sw", "--hit handle_inter", "--until swi")
    text = in_gdb("help rc trace", *(f"complete rc trace {words}" for words in begun))
    for words in ("Example", "rc trace --events\n", "rc trace --events traps,switch",
                  "rc trace --hit handle_interrupt", "rc trace --until switch"):  # fmt: skip
        assert words in text
