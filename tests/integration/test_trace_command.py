"""`rcdbg trace` on the real kernel, as a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rcdbg.trace.patterns import console, switch
from rcdbg.trace.record import Trace
from rcdbg.trace.sinks.files import read_trace
from tests.support.order import in_order
from tests.unit.trace.test_perfetto import check

TIMEOUT = 120
FAST = "interval=100000"
_STORY = ("--events", "traps,threads,console", "--backend", "stub", "--deterministic")


def trace(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", "trace", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
    )


@pytest.fixture(scope="module")
def kernel(rcdbg_kernel: Path) -> tuple[str, str]:
    return ("--kernel", str(rcdbg_kernel))


@pytest.fixture(scope="module")
def recorded(kernel: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trace") / "sleepers.jsonl"
    done = trace(*kernel, "--scenario", "sleepers", "--append", FAST, *_STORY, "-o", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"rcdbg trace show {path}" in done.stdout
    return path


@pytest.fixture(scope="module")
def story(recorded: Path) -> Trace:
    return read_trace(recorded)


def test_a_recording_is_whole_and_in_order(story: Trace) -> None:
    assert in_order(story.events)
    assert story.end is not None
    assert story.end.events == len(story.events)
    assert (story.end.lost, story.end.exit_status) == (0, 0)
    assert story.header.unseen == {}


def test_the_files_events_are_those_that_the_console_tells(story: Trace) -> None:
    told = " ".join(event.fields["text"] for event in story.of("console"))
    sleepers = {int(number) for number in re.findall(r"thread (\d+) (?:sleeps|waits)", told)}
    # One whose tick has come by the time that it looks does not go to sleep.
    slept = {event.fields["id"] for event in story.of("sleep")}
    assert slept
    assert slept <= sleepers
    assert {event.fields["id"] for event in story.of("wake")} == slept


def test_show_draw_and_stats_say_what_is_in_it(
    recorded: Path, story: Trace, tmp_path: Path
) -> None:
    listed = trace("show", recorded, "--kind", "wake").stdout
    assert listed.count(" wake ") == sum(1 for _ in story.of("wake"))
    drawn = trace("draw", recorded).stdout
    ran = {event.fields["to"] for event in story.of("switch")}
    for thread in ran:
        assert re.search(rf"^thread {thread} .*[█▓▒░]", drawn, re.MULTILINE)
    picture = tmp_path / "t.svg"
    assert trace("draw", recorded, "--svg", picture).returncode == 0
    texts = {one.text for one in ElementTree.parse(picture).iter()}
    assert {f"thread {thread}" for thread in ran} <= texts
    stats = json.loads(trace("stats", recorded, "--json").stdout)["trace_stats"]
    assert stats["counts"]["switch"] == sum(1 for _ in story.of("switch"))
    timer = next(one for one in stats["traps"] if "timer" in one["cause"])
    assert 100_000 <= timer["interval"]["median"] < 110_000  # the boot argument, in ticks


def test_a_recording_and_another_of_the_same_kernel_part_where_they_differ(
    recorded: Path, story: Trace, kernel: tuple[str, str], tmp_path: Path
) -> None:
    assert trace("diff", recorded, recorded, "--times").returncode == 0
    other = tmp_path / "preempt.jsonl"
    done = trace(*kernel, "--scenario", "preempt", "--append", FAST, *_STORY, "--until", "30",
                 "-o", other)  # fmt: skip
    assert done.returncode == 0
    done = trace("diff", recorded, other, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["trace_diff"]
    parted = next(
        n for n, e in enumerate(story.events) if e.fields.get("text") == "scenario sleepers"
    )
    assert found["same"] == parted
    assert found["divergence"]["changes"] == [
        {"name": "text", "a": "scenario sleepers", "b": "scenario preempt"}
    ]
    assert "append" in [change["name"] for change in found["header"]]


def test_perfetto_gets_a_valid_file(kernel: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    done = trace(*kernel, "--scenario", "preempt", "--append", FAST, *_STORY, "--until", "switch:9",
                 "-o", path)  # fmt: skip
    assert done.returncode == 0
    document = json.loads(path.read_bytes())
    check(document)
    runs = [e for e in document["traceEvents"] if e["ph"] == "B" and e["cat"] == "run"]
    assert len(runs) == 9


def test_it_ends_with_the_event_that_was_asked_for(kernel: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    base = (*kernel, "--scenario", "preempt", "--append", FAST, *_STORY, "-o", path)
    assert trace(*base, "--until", "switch:to=3").returncode == 0
    events = read_trace(path).events
    assert [switch(to=3).matches(event) for event in events].index(True) == len(events) - 1
    assert trace(*base, "--until", "12").returncode == 0
    assert len(read_trace(path).events) == 12


def test_an_event_that_never_comes_is_said(kernel: tuple[str, str], tmp_path: Path) -> None:
    done = trace(*kernel, "--scenario", "threads", "--append", FAST, *_STORY, "-o",
                 tmp_path / "t.jsonl", "--until", "switch:to=999")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "rcdbg: switch:to=999 did not come\n"


def test_without_a_file_events_are_listed(kernel: tuple[str, str]) -> None:
    done = trace(*kernel, "--scenario", "breakpoint", "--events", "traps,console", "--hit",
                 "handle_interrupt", "--backend", "stub")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    # Whether stval has the ebreak's address is the machine's choice: QEMU 7 and 10 differ.
    assert re.search(r"trap_enter +breakpoint (stval=0x\w+ )?from S", done.stdout)
    assert re.search(r"hit +handle_interrupt\(", done.stdout)


@pytest.mark.parametrize("status", [0, 130])
def test_ctrl_c_keeps_what_was_recorded_and_ends_the_machine(
    kernel: tuple[str, str], tmp_path: Path, status: int
) -> None:
    path = tmp_path / "t.jsonl"
    until = ("--until", "switch:to=999") if status else ()
    command = [sys.executable, "-m", "rcdbg.cli.main", "trace", *kernel, "--scenario", "preempt",
               "--append", FAST, "--backend", "stub", *until, "-o", "-"]  # fmt: skip
    if not status:
        # A pipe tells when there are events; a file with them is what Ctrl-C is to leave.
        command[-1] = str(path)
        os.mkfifo(path)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        stream = path.open("rb") if not status else process.stdout
        kept = [stream.readline() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        kept += stream.readlines()
        assert process.wait(TIMEOUT) == status
    if not status:
        stream.close()
        path.unlink()
    path.write_bytes(b"".join(kept))
    found = read_trace(path)
    assert found.end is not None
    assert found.end.why == "Ctrl-C"
    assert len(found.events) == found.end.events >= 4


def test_a_function_that_does_not_exist_is_said_in_one_line(kernel: tuple[str, str]) -> None:
    done = trace(*kernel, "--hit", "no_such_function")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_story_can_be_asked_in_the_words_of_patterns(story: Trace) -> None:
    asleep = next(n for n, e in enumerate(story.events) if console("sleeps until").matches(e))
    assert any(switch(why="sleep").matches(event) for event in story.events[asleep:])
