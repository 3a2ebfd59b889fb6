"""Recordings for other tools: what their formats ask for, whatever is in a trace."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.cli.main import main
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent
from rcdbg.trace.sinks.files import read_trace, write_trace
from rcdbg.trace.sinks.formats import EXPORTED
from rcdbg.trace.sinks.ftrace import FtraceText
from rcdbg.trace.sinks.perfetto import PerfettoSink
from rcdbg.trace.sinks.rows import CsvRows, columns
from rcdbg.trace.sinks.sink import pour
from tests.unit.trace.events import event, header, leave, story, trap
from tests.unit.trace.test_files import EVENTS
from tests.unit.trace.test_perfetto import check

# Linux's Documentation/trace/ftrace.rst, "Output format" and "Latency trace format": the task's
# name (16 characters and more), its PID, the processor, irqs-off, need-resched, hardirq/softirq,
# preempt-depth and migrate-disable, seconds with microseconds, then the event.
FTRACE_LINE = re.compile(
    r"^ *(?P<comm>\S.*)-(?P<pid>\d+) +\[(?P<cpu>\d{3,})\] "
    r"(?P<irqs>[dX.])(?P<resched>[NnpBbLl.])(?P<irq>[ZzHhs.])(?P<preempt>[0-9a-f.])"
    r"(?P<migrate>[0-9a-f.]) +(?P<seconds>\d+\.\d{6}): (?P<event>\w+): (?P<fields>.+)$"
)
SCHED_SWITCH = re.compile(
    r"prev_comm=(\S+) prev_pid=(\d+) prev_prio=\d+ prev_state=([RSDTtXZPI]) ==> "
    r"next_comm=(\S+) next_pid=(\d+) next_prio=\d+( |$)"
)
FORMULA = "=+-@\t\r＝＋－＠"


def ftrace(trace: Trace) -> str:
    stream = io.BytesIO()
    pour(trace, FtraceText(stream))
    return stream.getvalue().decode("ascii")


def lines(text: str) -> list[dict[str, str]]:
    """The events of an ftrace text; every line is one of them or a comment."""
    assert text.startswith("# tracer: nop\n")
    found = []
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            continue
        match = FTRACE_LINE.match(line)
        assert match is not None, line
        found.append(match.groupdict())
    return found


def rows(trace: Trace) -> list[dict[str, str]]:
    stream = io.BytesIO()
    pour(trace, CsvRows(stream))
    text = io.StringIO(stream.getvalue().decode(), newline="")
    return list(csv.DictReader(text, strict=True))


def one(event: TraceEvent) -> Trace:
    return Trace(header(), (event,), TraceEnd("stopped", 1))


def test_ftrace_has_each_event_with_its_thread_and_time() -> None:
    trace = story()
    found = lines(ftrace(trace))
    assert len(found) == len(trace.events)
    for line, event_ in zip(found, trace.events, strict=True):
        comm = ("none", "4194304") if event_.thread is None else ("thread", str(event_.thread))
        assert (line["comm"], line["pid"]) == comm
        assert float(line["seconds"]) == pytest.approx((event_.ticks or 0) / 10_000_000, abs=1e-6)


def test_ftrace_has_switches_as_linux_has_them() -> None:
    switches = [line for line in lines(ftrace(story())) if line["event"] == "sched_switch"]
    found = [SCHED_SWITCH.match(line["fields"]) for line in switches]
    assert [m and (m[2], m[3], m[5]) for m in found] == [
        ("4194304", "R", "1"),
        ("1", "R", "2"),
        ("2", "R", "1"),
        ("1", "R", "2"),
        ("2", "R", "1"),
        ("1", "X", "2"),
    ]
    (woken,) = lines(ftrace(one(event("wake", 1, 5, 2, id=3))))
    assert woken["event"] == "sched_wakeup"
    assert woken["fields"].split()[:2] == ["comm=thread", "pid=3"]


def test_ftrace_tells_what_happens_inside_of_an_interrupt() -> None:
    events = (
        event("wake", 1, 1, 1, id=2),
        trap(2, 2, 1),
        event("timer_set", 3, 3, 1, deadline=5),
        leave(4, 4, 1),
        trap(5, 5, 1, "breakpoint"),
        event("sleep", 6, 6, 1, id=1),
        trap(7, 7, 1, depth=2),
        leave(8, 8, 1, depth=2),
        event("sleep", 9, 9, 1, id=1),
        event("switch", 10, 10, 1, from_=1, to=2, why="exit"),
        event("sleep", 11, 11, 2, id=2),
    )
    found = lines(ftrace(Trace(header(), events, None)))
    assert "".join(line["irq"] for line in found) == ".hhh..hh..."


def test_ftrace_puts_values_in_words() -> None:
    hit = event("hit", 1, 12_345_678, 3, place="os::f", symbol="os::f", arguments={"a": "b c"},
                marks=("stale",))  # fmt: skip
    (line,) = lines(ftrace(one(hit)))
    assert line["seconds"] == "1.234567"
    assert line["fields"] == (
        r'symbol=os::f arguments="{\"a\": \"b c\"}" place=os::f uncertain=stale'
    )
    (line,) = lines(ftrace(one(event("map", va=0x1000, pa=None, flags="rw-----"))))
    assert line["fields"].startswith("va=0x1000 pa=none flags=rw----- ")


def test_csv_has_the_same_columns_whatever_is_in_it() -> None:
    assert len(set(columns())) == len(columns())
    assert list(rows(story())[0]) == list(columns()) == list(rows(one(event("odd", x=1)))[0])


def test_csv_has_each_event_in_a_row() -> None:
    found = rows(story())
    assert [int(row["seq"]) for row in found] == [one.seq for one in story().events]
    first, switch = found[0], found[7]
    assert (first["kind"], first["thread"], first["id"]) == ("thread_add", "", "1")
    assert first["stack"] == "0x1000000 0x1080000"
    assert first["seconds"] == "0.000010000"
    assert (switch["from"], switch["to"], switch["why"]) == ("1", "2", "timer")
    (row,) = rows(one(event("hit", symbol="f", arguments={"page": 1}, extra=[1])))
    assert json.loads(row["arguments"]) == {"page": 1}
    assert json.loads(row["other"]) == {"extra": [1]}


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x")', "+1", "-1+cmd", "@SUM(A1)", "\tx", "\r=1", "＝1+1", "'quoted",
     "=1,2\n=3", '="a""b"'],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    (row,) = rows(one(event("console", place=text, text=text, marks=(text,))))
    for name in ("text", "place", "marks"):
        assert row[name][0] == "'"
        assert row[name][1:] == text.replace("\r", "\\x0d")


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_whatever_is_in_a_trace_every_format_is_whole(events: list[TraceEvent]) -> None:
    numbered = tuple(
        TraceEvent(n, e.kind, e.ticks, e.instructions, e.hart, e.thread, e.pc, e.place, e.fields,
                   e.marks)
        for n, e in enumerate(events, 1)
    )  # fmt: skip
    trace = Trace(header(), numbered, TraceEnd("x\ny", len(numbered)))
    times = [float(line["seconds"]) for line in lines(ftrace(trace))]
    assert times == sorted(times)
    assert len(times) == len(numbered)
    stream = io.BytesIO()
    pour(trace, PerfettoSink(stream))
    check(json.loads(stream.getvalue()))
    found = rows(trace)
    assert [int(row["seq"]) for row in found] == [e.seq for e in numbered]
    for row in found:
        assert None not in row
        for cell in row.values():
            assert not cell.startswith(tuple(FORMULA)) or re.fullmatch(r"-\d+", cell)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "story.jsonl"
    write_trace(path, story())
    return path


@pytest.mark.parametrize("to", ["perfetto", "ftrace", "csv"])
def test_export_is_what_is_recorded_into_that_format(
    file: Path, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["trace", "export", str(file), "--to", to, "-o", str(out)]) == 0
    assert f"{out}: 25 events" in capsys.readouterr().out
    stream = io.BytesIO()
    pour(story(), next(one for one in EXPORTED if one.name == to).make(stream))
    assert out.read_bytes() == stream.getvalue()
    if to == "perfetto":
        check(json.loads(out.read_bytes()))


def test_export_by_extension_and_to_the_standard_output(
    file: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "story.csv"
    assert main(["trace", "export", str(file), "-o", str(out)]) == 0
    capfdbinary.readouterr()
    assert main(["trace", "export", str(file), "--to", "csv"]) == 0
    assert capfdbinary.readouterr().out == out.read_bytes()


def test_export_of_some_events(file: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = ["--kind", "switch", "--from", "8", "--up-to", "16"]
    assert main(["trace", "export", str(file), "--to", "ftrace", *arguments]) == 0
    found = lines(capsysbinary.readouterr().out.decode())
    assert [line["event"] for line in found] == ["sched_switch"] * 3


def test_export_of_a_recording_that_was_cut_off_is_whole_and_says_so(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(file.read_bytes()[:2000])
    out = tmp_path / "out.json"
    assert main(["trace", "export", str(file), "-o", str(out)]) == 0
    assert "cut off" in capsys.readouterr().err
    document = json.loads(out.read_bytes())
    check(document)
    assert "cut off" in document["otherData"]["end"]["why"]


def test_export_of_a_damaged_recording_keeps_what_was_before(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*whole[:9], b"{}\n", *whole[10:]]))
    out = tmp_path / "out.json"
    assert main(["trace", "export", str(file), "-o", str(out)]) == 2
    assert "damaged" in capsys.readouterr().err
    check(json.loads(out.read_bytes()))


@pytest.mark.parametrize(
    "options",
    [(), ("-o", "x.txt"), ("-o", "/nowhere/x.csv"), ("--to", "csv", "-o", "story.jsonl"),
     ("--to", "csv", "--kind", "nonsense")],
)  # fmt: skip
def test_export_that_makes_no_sense_gets_one_line(
    file: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    assert main(["trace", "export", "story.jsonl", *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert file.read_bytes() == before
    assert read_trace(file) == story()
