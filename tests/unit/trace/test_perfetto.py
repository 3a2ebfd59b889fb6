"""Traces for Perfetto: what the Trace Event Format asks for, and what is to be seen in them."""

import io
import json
from typing import Any

import pytest

from rcdbg.trace.record import Trace, TraceEnd, TraceEvent
from rcdbg.trace.sinks.perfetto import PerfettoSink
from tests.unit.trace.events import event, header, leave, story, trap


def chrome(events: tuple[TraceEvent, ...]) -> dict[str, Any]:
    stream = io.BytesIO()
    sink = PerfettoSink(stream)
    sink.header(header())
    for one in events:
        sink.event(one)
    sink.end(TraceEnd("stopped", len(events)))
    document: dict[str, Any] = json.loads(stream.getvalue())
    return document


METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}
"""What the metadata events that are used here have among their arguments."""


def check(document: dict[str, Any]) -> None:
    """The rules of the Trace Event Format, "JSON Object Format", for the phases used here."""
    assert document["displayTimeUnit"] in ("ms", "ns")
    assert isinstance(document["traceEvents"], list)
    open_slices: dict[int, int] = {}
    last: dict[int, float] = {}
    for entry in document["traceEvents"]:
        check_entry(entry)
        assert entry["ts"] >= last.get(entry["tid"], 0) or entry["ph"] == "M"
        last[entry["tid"]] = entry["ts"]
        change = {"B": 1, "E": -1}.get(entry["ph"], 0)
        open_slices[entry["tid"]] = open_slices.get(entry["tid"], 0) + change
        assert open_slices[entry["tid"]] >= 0
    assert not any(open_slices.values())


def check_entry(entry: dict[str, Any]) -> None:
    """The rules for one event."""
    assert set(entry) <= {"ph", "pid", "tid", "ts", "name", "cat", "s", "args"}
    assert entry["ph"] in ("B", "E", "i", "C", "M")
    assert type(entry["pid"]) is type(entry["tid"]) is int
    assert type(entry["ts"]) in (int, float)
    assert isinstance(entry.get("args", {}), dict)
    if entry["ph"] != "E":
        assert isinstance(entry["name"], str)
        assert entry["name"]
    if entry["ph"] in ("B", "i", "C"):
        assert isinstance(entry["cat"], str)
    if entry["ph"] == "i":
        assert entry["s"] in ("t", "p", "g")
    if entry["ph"] == "C":
        assert all(type(value) in (int, float) for value in entry["args"].values())
        assert entry["args"]
    if entry["ph"] == "M":
        assert METADATA[entry["name"]] in entry["args"]


def slices(document: dict[str, Any], category: str) -> list[tuple[str, float, float]]:
    """(track, start, end) of the slices of a category."""
    names = {e["tid"]: e["args"]["name"] for e in document["traceEvents"]
             if e["name" if e["ph"] == "M" else "ph"] == "thread_name"}  # fmt: skip
    stacks: dict[int, list[dict[str, Any]]] = {}
    found = []
    for entry in document["traceEvents"]:
        if entry["ph"] == "B":
            stacks.setdefault(entry["tid"], []).append(entry)
        elif entry["ph"] == "E":
            begin = stacks[entry["tid"]].pop()
            if begin["cat"] == category:
                found.append((names[entry["tid"]], begin["ts"], entry["ts"]))
    return sorted(found, key=lambda one: one[1])


def test_threads_have_tracks_with_slices_of_when_they_ran() -> None:
    document = chrome(story().events)
    check(document)
    # 10 ticks of the 10 MHz clock are a microsecond.
    assert slices(document, "run") == [
        ("thread 1", 20, 104),
        ("thread 2", 104, 204),
        ("thread 1", 204, 304),
        ("thread 2", 304, 404),
        ("thread 1", 404, 475),
        ("thread 2", 475, 520),
    ]
    assert slices(document, "trap")[0] == ("thread 1", 100, 104)


def test_frames_are_counted() -> None:
    document = chrome(story().events)
    counts = [(e["ts"], e["args"]) for e in document["traceEvents"] if e["ph"] == "C"]
    assert counts == [(30, {"frames": 1}), (450, {"frames": 0})]


@pytest.mark.parametrize(
    "events",
    [
        (),
        (trap(1, 5, None), trap(2, 4, None, depth=2), leave(3, 9, 7)),
        (leave(1, 1, 1), leave(2, 2, 1), event("switch", 3, 3, 1, from_=1, to=1, why="?")),
        (trap(1, 5, 1), event("switch", 2, 6, 1, from_=1, to=2), event("switch", 3, 7)),
        (event("frame_free", 1, None, ppn=1), event("hit", 2, None, 1 << 70, arguments={"a": 1})),
    ],
)
def test_slices_are_nested_whatever_the_events(events: tuple[TraceEvent, ...]) -> None:
    check(chrome(events))


def test_values_of_64_bits_survive_javascript() -> None:
    document = chrome((event("hit", symbol="f", arguments={"page": (1 << 64) - 1}),))
    hit = next(e for e in document["traceEvents"] if e["ph"] == "i")
    assert hit["args"]["arguments"] == {"page": "0xffffffffffffffff"}
    assert hit["args"]["pc"] == f"{event('hit').pc:#x}"


def test_it_says_where_it_comes_from() -> None:
    trace: Trace = story()
    other = chrome(trace.events)["otherData"]
    assert (other["backend"], other["clock"]) == ("stub", "exact")
    assert other["end"]["why"] == "stopped"
