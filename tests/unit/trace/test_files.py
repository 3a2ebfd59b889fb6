"""Traces written to files and read again, and what else may be in a file."""

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.errors import OutputError
from rcdbg.trace.kinds import KINDS
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.files import (
    MAX_LINE_BYTES,
    TraceFileError,
    TraceReader,
    read_trace,
    write_trace,
)
from rcdbg.trace.sinks.jsonl import JsonLines
from rcdbg.trace.sinks.sink import pour
from tests.unit.trace.events import event, header, story

WORDS = st.integers(0, (1 << 64) - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 80), 1 << 80) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                 max_size=3),
    max_leaves=6,
)  # fmt: skip
EVENTS = st.builds(
    TraceEvent,
    seq=st.just(1),
    kind=st.sampled_from(list(KINDS)),
    ticks=st.none() | WORDS,
    instructions=st.none() | WORDS,
    hart=st.integers(0, 7),
    thread=st.none() | WORDS,
    pc=WORDS,
    place=st.text(),
    fields=st.fixed_dictionaries(
        {}, optional={"cause": st.text(), "sepc": WORDS, "to": st.none() | WORDS, "note": JSON,
                      "interrupt": st.booleans(), "stack": st.lists(WORDS, max_size=2)}
    ),
    marks=st.lists(st.text(), max_size=2).map(tuple),
)  # fmt: skip
HEADERS = st.builds(
    TraceHeader,
    backend=st.text(),
    clock=st.sampled_from(["exact", "sampled", "bound"]),
    deterministic=st.booleans(),
    kinds=st.lists(st.text()).map(tuple),
    hits=st.lists(st.text()).map(tuple),
    kernel=st.text(),
    build_id=st.text(),
    append=st.text(),
    timebase_hz=st.none() | st.integers(1, 1 << 40),
    unseen=st.dictionaries(st.text(), st.text(), max_size=3),
)


def written(trace: Trace) -> bytes:
    stream = io.BytesIO()
    pour(trace, JsonLines(stream))
    return stream.getvalue()


@pytest.fixture
def load(tmp_path: Path) -> Callable[[bytes], Trace]:
    def read(data: bytes) -> Trace:
        path = tmp_path / "t.jsonl"
        path.write_bytes(data)
        return read_trace(path)

    return read


@given(HEADERS, st.lists(EVENTS, max_size=4), st.text(), st.none() | st.integers(-5, 255))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    head: TraceHeader,
    events: list[TraceEvent],
    why: str,
    status: int | None,
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.jsonl"
    numbered = tuple(replace(one, seq=n) for n, one in enumerate(events, 1))
    trace = Trace(head, numbered, TraceEnd(why, len(numbered), 3, 4, status))
    write_trace(path, trace)
    assert read_trace(path) == trace


def test_the_order_in_which_fields_were_found_does_not_matter() -> None:
    one = event("map", va=0x1000, pa=0x80300000, flags="rw-", other=1, another=2)
    two = replace(one, fields=dict(sorted(one.fields.items(), reverse=True)))
    assert written(Trace(header(), (one,))) == written(Trace(header(), (two,)))


def test_each_line_is_json_and_the_first_one_says_what_it_is() -> None:
    lines = written(story()).splitlines()
    first, *events, last = map(json.loads, lines)
    assert first["rcdbg_trace"] == 1
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert last["end"]["events"] == len(events)


@pytest.mark.parametrize("lines", [1, 2, 10])
def test_a_file_that_was_cut_off_between_lines_is_read_as_far_as_it_goes(
    tmp_path: Path, lines: int
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(written(story()).splitlines(keepends=True)[:lines]))
    with TraceReader(path) as reader:
        assert tuple(reader) == story().events[: lines - 1]
        assert reader.end is None
        assert reader.cut_off is not None
        assert f"{lines - 1} events" in reader.cut_off


@given(st.data())
def test_wherever_a_file_is_cut_off_it_is_read_so_far_and_said(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = written(story())
    first = whole.index(b"\n") + 1
    size = data.draw(st.integers(first, len(whole) - 1))
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes(whole[:size])
    with TraceReader(path) as reader:
        assert tuple(reader) == story().events[: whole[:size].count(b"\n") - 1]
        assert reader.cut_off is not None


def _changed(number: int, **changes: Any) -> bytes:
    lines = written(story()).splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | changes).encode()
    return b"\n".join(lines) + b"\n"


def _without(number: int) -> bytes:
    lines = written(story()).splitlines(keepends=True)
    return b"".join(lines[:number] + lines[number + 1 :])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is not a trace of rcdbg"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "is not a trace of rcdbg"),
        (b"[1, 2]\n", "is not a trace of rcdbg"),
        (b'{"traceEvents": []}\n', "Perfetto"),
        (b"{" * 100_000 + b"\n", "is not a trace of rcdbg"),
        (b" " * (MAX_LINE_BYTES + 1), "is not a trace of rcdbg"),
        (_changed(0, rcdbg_trace=2), "has format 2.*a newer rcdbg"),
        (_changed(0, rcdbg_trace="one"), "is not a trace"),
        (_changed(0, clock="sundial"), "no clock 'sundial'"),
        (_changed(0, timebase_hz=0), "timebase"),
        (_changed(3, kind=5), ":4: damaged: kind is not str"),
        (_changed(3, kind="\x1b[2J"), "kind is no name"),
        (_changed(3, ticks=-1), "ticks is out of range"),
        (_changed(3, ticks=True), "ticks is not int"),
        (_changed(5, fields={"sepc": "here"}), "sepc is not int"),
        (_changed(1, fields={"stack": [{}]}), "stack is out of range"),
        (_changed(3, seq=9), "event 9 comes after event 2"),
        (_without(4), "event 5 comes after event 3"),
        (_changed(-1, end={"why": "x"}), "no events"),
        (_changed(-1, end=3), "the end is no object"),
        (written(story()) + b"x", "something after the end"),
        (_changed(3, fields={"x": float("inf")}), "Infinity is no value"),
        (_changed(3, fields={"x": 1}).replace(b'"x": 1', b'"x": 1e999'), "1e999 is no value"),
        (_changed(3, place="x" * MAX_LINE_BYTES), "a line of more than"),
        (_changed(3).replace(b'"seq": 3', b'"seq": 3' + b"0" * 5000), "damaged"),
        (_changed(3, place="?").replace(b'"?"', b'"\xff"'), "no UTF-8"),
        (_changed(3, place="?").replace(b'"?"', b"[" * 60_000), "nested too deeply"),
    ],
)
def test_what_is_no_trace_gets_one_line(
    load: Callable[[bytes], Trace], data: bytes, words: str
) -> None:
    with pytest.raises(TraceFileError, match=words) as caught:
        load(data)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_files_that_cannot_be_opened_get_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(TraceFileError, match="cannot read"):
            read_trace(path)
    with pytest.raises(OutputError, match="cannot write"):
        write_trace(tmp_path / "no" / "t.jsonl", story())


@given(st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(written(story()))
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(whole) - 1))
        whole[where : where + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path = tmp_path_factory.getbasetemp() / "damaged.jsonl"
    path.write_bytes(whole)
    with contextlib.suppress(TraceFileError):
        read_trace(path)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode() + b"\n"))
def test_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.jsonl"
    path.write_bytes(data)
    with pytest.raises(TraceFileError):
        read_trace(path)
