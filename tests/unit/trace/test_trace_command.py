"""`rcdbg trace` on recordings, and what is kept of one that goes on."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rcdbg.cli.main import main
from rcdbg.cli.trace.record import _Interrupts, keep
from rcdbg.errors import MachineError, UsageError
from rcdbg.trace.record import BY_USER, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.files import read_trace, write_trace
from rcdbg.trace.sinks.formats import JSONL, PERFETTO, Output, output_of
from tests.unit.trace.events import story

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "story.jsonl"
    write_trace(path, story())
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def trace(*arguments: str | Path) -> tuple[int, str, str]:
        status = main(["trace", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return trace


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def numbers(listing: str) -> list[int]:
    words = [line.split() for line in listing.splitlines()]
    return [int(line[0]) for line in words if len(line) > 3 and line[0].isdigit()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), range(1, 26)),
        (("--kind", "switch"), (3, 8, 12, 16, 20, 24)),
        (("--kind", "threads", "--thread", "1"), (8, 16, 23)),
        (("--thread", "none"), (1, 2, 3, 24)),
        (("--thread", "1,none", "--to", "4"), (1, 2, 3, 4)),
        (("--from", "22", "--to", "24"), (22, 23, 24)),
        (("--from", "4600t"), (22, 23, 24, 25)),
        (("--from", "0.45ms", "--to", "470us"), (21, 22, 23)),
        (("--grep", "0x80300|shut"), (4, 21, 25)),
        (("--kind", "switch", "--last", "2"), (20, 24)),
    ],
)
def test_show_lists_what_was_asked_for(
    run: Run, file: Path, options: tuple[str, ...], expected: range
) -> None:
    status, out, err = run("show", file, *options)
    assert (status, err) == (0, "")
    assert numbers(out) == list(expected)
    _, out, _ = run("show", file, "--json", *options)
    assert [one["seq"] for one in json.loads(out)["trace"]["events"]] == list(expected)


def test_show_says_how_it_ended_and_what_is_missing(run: Run, file: Path) -> None:
    assert "the kernel shut down" in run("show", file)[1]
    assert "no event is like that" in run("show", file, "--kind", "satp")[1]
    file.write_bytes(file.read_bytes()[:2000])
    for command in ("show", "draw", "stats"):
        status, out, _ = run(command, file)
        assert status == 0
        assert "cut off" in out


@pytest.mark.parametrize(
    "options",
    [("--kind", "nonsense"), ("--thread", "x"), ("--from", "soon"), ("--grep", "("),
     ("--last", "0")],
)  # fmt: skip
def test_what_makes_no_sense_gets_one_line(run: Run, file: Path, options: tuple[str, ...]) -> None:
    status, out, err = run("show", file, *options)
    assert (status, out) == (2, "")
    assert err.startswith("rcdbg: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["show", "draw", "stats", "diff"])
def test_what_is_no_trace_gets_one_line(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(b"\x00" * 100)
    status, _, err = run(command, *([path] * (2 if command == "diff" else 1)))
    assert status == 2
    assert err == f"rcdbg: {path} is not a trace of rcdbg\n"


def test_diff_tells_by_its_status_as_diff_does(run: Run, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    events = list(story().events)
    events[7] = replace(events[7], fields={"from": 1, "to": 9, "why": "timer"})
    write_trace(other, replace(story(), events=tuple(events)))
    assert run("diff", file, file)[0] == 0
    status, out, _ = run("diff", file, other)
    assert status == 1
    assert "they differ in to: 2 in A, 9 in B" in out
    document = json.loads(run("diff", file, other, "--json")[1])["trace_diff"]
    assert document["divergence"]["changes"] == [{"name": "to", "a": 2, "b": 9}]
    assert document["same"] == 7


def test_stats_for_programs(run: Run, file: Path) -> None:
    found = json.loads(run("stats", file, "--json")[1])["trace_stats"]
    assert found["counts"]["switch"] == 6
    assert found["traps"][0]["latency"]["median"] == 40


def test_draw_makes_a_picture(run: Run, file: Path, tmp_path: Path) -> None:
    assert "thread 2" in run("draw", file)[1]
    picture = tmp_path / "story.svg"
    assert run("draw", file, "--svg", picture)[0] == 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    status, _, err = run("draw", file, "--svg", tmp_path / "no" / "x.svg")
    assert (status, len(err.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "options",
    [("--events", "nothing"), ("--events", "hit"), ("--until", "soon"), ("-o", "x.txt"),
     ("-o", "/nowhere/x.jsonl"), ("--events", "traps", "--until", "switch:to=3"),
     ("--until", "hit:f")],
)  # fmt: skip
def test_a_recording_that_makes_no_sense_is_refused_before_it_begins(
    run: Run, options: tuple[str, ...]
) -> None:
    status, _, err = run(*options)
    assert (status, len(err.splitlines())) == (2, 1)


def test_the_extension_says_what_is_made(tmp_path: Path) -> None:
    assert output_of(None) == Output(None)
    assert output_of(Path("-")) == Output(JSONL)
    assert output_of(tmp_path / "x.json") == Output(PERFETTO, tmp_path / "x.json")
    with pytest.raises(UsageError):
        output_of(tmp_path / "x")


class Recording:
    """One that goes on until something happens."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.header: TraceHeader = story().header
        self.end: TraceEnd | None = None
        self._then = then

    def __iter__(self) -> Iterator[TraceEvent]:
        yield from story().events[:9]
        self._then()
        yield from story().events[9:]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail() -> None:
    raise MachineError("QEMU went away")


def test_ctrl_c_keeps_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with _Interrupts() as interrupts:
        end = keep(Recording(interrupt), output_of(path), interrupts)
    assert interrupts.asked
    assert end == TraceEnd(BY_USER, 9)
    assert read_trace(path) == replace(story(), events=story().events[:9], end=end)
    assert signal.getsignal(signal.SIGINT) is not interrupts._handle


def test_ctrl_c_while_an_event_is_written_waits_for_its_end(tmp_path: Path) -> None:
    with _Interrupts() as interrupts:
        interrupts._handle()
        assert interrupts.next(iter(story().events)) is None
        with pytest.raises(KeyboardInterrupt):  # the second time at once
            interrupts._handle()


def test_a_recorder_that_fails_leaves_what_it_had_told_and_why(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with pytest.raises(MachineError):
        keep(Recording(fail), output_of(path))
    assert read_trace(path).end == TraceEnd("QEMU went away", 9)


def test_a_recording_for_perfetto_is_json_also_after_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with _Interrupts() as interrupts:
        keep(Recording(interrupt), output_of(path), interrupts)
    assert json.loads(path.read_bytes())["otherData"]["end"]["why"] == BY_USER


def test_jsonl_to_the_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    keep(Recording(lambda: None), output_of(Path("-")))
    lines = capfdbinary.readouterr().out.splitlines()
    assert len(lines) == 25 + 2
    assert json.loads(lines[0])["rcdbg_trace"] == 1


def test_without_a_file_events_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    keep(Recording(lambda: None), output_of(None))
    assert numbers(capsys.readouterr().out) == list(range(1, 26))
