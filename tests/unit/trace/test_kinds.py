"""What is declared of each kind of event, and that everything takes it from there."""

import csv
import io
import json
from pathlib import Path

import pytest

from rcdbg.kernels.description import CallsConcept
from rcdbg.trace.analysis.diff import compare
from rcdbg.trace.analysis.timeline import timeline
from rcdbg.trace.kinds import GROUPS, KINDS, TICKS, EventField, EventKind, Sight, parse_kinds
from rcdbg.trace.patterns import COMMON, pattern
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent
from rcdbg.trace.sinks.files import TraceFileError, read_trace, write_trace
from rcdbg.trace.sinks.formats import EXPORTED, TraceFormat
from rcdbg.trace.sinks.sink import pour
from rcdbg.trace.until import Countdown, parse_until
from rcdbg.views.render import render_text
from rcdbg.views.trace.drawings import DRAWINGS, GENERIC, SORTS, drawing, sort_of
from rcdbg.views.trace.kinds import kinds_view
from rcdbg.views.trace.listing import event_line
from rcdbg.views.trace.svg import svg
from rcdbg.views.trace.timeline import view
from tests.unit.trace.events import event, header, story

LOCK = EventKind(
    "lock_wait",
    "a thread waits for a lock",
    (
        EventField("name", "of the lock", "text", compared="part"),
        EventField("at", "its address", base="hexadecimal", moves=True),
        EventField("until", "when it gives up", unit=TICKS),
        EventField("id", "of the thread that has it"),
    ),
    main="name",
    group="threads",
    seen_at=(Sight("lock_wait", "lock_acquire", "entry"),),
)


def waits(seq: int, thread: int, name: str, at: int = 0xFFFF_FFFF_8000_1000,
          until: int = 7) -> TraceEvent:  # fmt: skip
    return event("lock_wait", seq, 100 * seq, thread, name=name, at=at, until=until, id=9)


TRACE = Trace(
    header(kinds=("lock_wait",)),
    (waits(1, 3, "frames"), waits(2, 4, "the heap's"), waits(3, 5, "frames")),
    TraceEnd("enough", 3),
)


@pytest.fixture
def lock_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, LOCK.name, LOCK)


def exported(trace: Trace, of: TraceFormat) -> str:
    stream = io.BytesIO()
    pour(trace, of.make(stream))
    return stream.getvalue().decode()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_declaration_is_whole(kind: EventKind) -> None:
    assert kind.name.isidentifier()
    assert kind.meaning
    assert all(field.meaning for field in kind.fields)
    assert len(set(kind.names)) == len(kind.names)
    assert not set(kind.names) & set(COMMON)
    assert kind.main in kind.names
    assert kind.subject in ("", *kind.names)
    assert kind.seen_at
    for sight in kind.seen_at:
        assert not sight.call or hasattr(CallsConcept(), sight.call)
        assert (sight.found_by == "code") or sight.call
    for field in kind.fields:
        assert field.compared == "whole" or field.type == "text"


def test_every_kind_but_hit_is_in_one_group() -> None:
    named = [name for group, names in GROUPS.items() if group != "all" for name in names]
    assert sorted([*named, "hit"]) == sorted(KINDS)


def test_every_kind_has_a_drawing_and_every_mark_a_sort_of_its_own() -> None:
    assert set(DRAWINGS) == set(KINDS)
    for name, kind in KINDS.items():
        assert drawing(name) is not GENERIC
        assert kind.marked == (DRAWINGS[name].sort is not GENERIC.sort), name
    looks = [(sort.character, sort.words) for sort in SORTS]
    assert len({character for character, _ in looks}) == len(looks)


def test_the_list_of_kinds_has_all_that_is_declared() -> None:
    text = render_text(kinds_view(tuple(KINDS.values())), 200)
    for kind in KINDS.values():
        assert f"{kind.name} " in text
        assert kind.meaning in text
        for field in kind.fields:
            assert f"{'▸' if field.name == kind.main else ' '} {field.name} " in text


@pytest.mark.usefixtures("lock_kind")
class TestANewKind:
    def test_is_chosen_and_waited_for(self) -> None:
        assert parse_kinds("lock_wait,switch") == ("switch", "lock_wait")
        found = pattern("lock_wait:heap")
        assert [one.seq for one in TRACE.events if found.matches(one)] == [2]
        assert [e.seq for e in TRACE.events if pattern("lock_wait:at=0xffffffff80001000,thread=5")
                .matches(e)] == [3]  # fmt: skip
        countdown = Countdown(parse_until("lock_wait:frames:2"))
        assert next(one.seq for one in TRACE.events if countdown.reached(one)) == 3

    def test_is_listed_with_its_bases_by_its_name(self) -> None:
        line = event_line(TRACE.events[0], TRACE.header).plain
        assert "lock_wait   name=frames at=0xffffffff80001000 until=7 id=9  at os::handler" in line

    def test_is_drawn_by_its_name(self) -> None:
        drawn = timeline(TRACE.header, TRACE.events)
        assert "o lock_wait" in render_text(view(drawn), 100)
        picture = svg(drawn)
        assert "lock_wait: the heap's" in picture.replace("&#x27;", "'")
        assert "console line" not in picture

    def test_is_written_read_and_checked(self, tmp_path: Path) -> None:
        path = tmp_path / "t.jsonl"
        write_trace(path, TRACE)
        assert read_trace(path) == TRACE
        wrong = event("lock_wait", 1, 0, 1, name="x", at="here", until=1, id=1)
        write_trace(path, Trace(TRACE.header, (wrong,), TraceEnd("", 1)))
        with pytest.raises(TraceFileError, match="the field at is not int"):
            read_trace(path)

    def test_is_exported(self) -> None:
        perfetto, ftrace, rows = (exported(TRACE, of) for of in EXPORTED)
        marks = [e for e in json.loads(perfetto)["traceEvents"] if e["ph"] == "i"]
        assert marks[0]["name"] == "lock_wait: frames"
        assert marks[0]["args"]["at"] == "0xffffffff80001000"
        assert "lock_wait: name=frames at=0xffffffff80001000 until=7 id=9 place=" in ftrace
        row = next(csv.DictReader(io.StringIO(rows)))
        assert (row["kind"], row["name"], row["at"]) == (
            "lock_wait",
            "frames",
            "0xffffffff80001000",
        )

    def test_is_compared_but_for_times_and_what_a_build_moves(self) -> None:
        again = Trace(
            header(kinds=("lock_wait",), build_id="another"),
            tuple(waits(one.seq, one.thread or 0, one.fields["name"], 0x1000, until=8)
                  for one in TRACE.events),
        )  # fmt: skip
        one, other = (TRACE.header, TRACE.events), (again.header, again.events)
        found = compare(one, other)
        assert (found.equal, found.same) == (True, 3)
        assert any("at are not compared" in note for note in found.notes)
        timed = compare(one, other, times=True).divergence
        assert timed is not None
        assert [change.name for change in timed.changes] == ["until"]
        same_build = compare(one, (TRACE.header, again.events)).divergence
        assert same_build is not None
        assert [change.name for change in same_build.changes] == ["at"]


def test_a_kind_of_a_newer_rcdbg_is_drawn_by_its_name_and_never_as_a_console_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "newer.jsonl"
    odd = event("wormhole", 4, 400, 3, depth=[1, {"a": None}], text=2.5, interrupt="no", note="x")
    events = (*TRACE.events, odd)
    write_trace(path, Trace(TRACE.header, events, TraceEnd("enough", 4)))
    trace = read_trace(path)
    assert trace.events == events
    listed = event_line(trace.events[0], trace.header).plain
    assert "lock_wait   at=0xffffffff80001000 id=9 name=frames until=7" in listed
    assert "depth=[1, {a=-}] text=2.5 interrupt=no note=x" in event_line(odd, trace.header).plain
    drawn = timeline(trace.header, trace.events)
    assert {sort_of(mark).name for row in drawn.rows for mark in row.marks} == {"other"}
    text = render_text(view(drawn), 100)
    assert "o lock_wait, wormhole" in text
    assert "console" not in text
    for of in EXPORTED:
        assert "wormhole" in exported(trace, of)


def test_many_kinds_of_a_newer_rcdbg_make_a_short_legend() -> None:
    events = [event(f"kind_{n}", n, n, 1) for n in range(1, 50)]
    text = render_text(view(timeline(header(), events)), 200)
    assert "o kind_1, kind_2, kind_3, kind_4 and 45 kinds more" in text


@pytest.mark.parametrize("name", ["boot", "sleepers"])
def test_what_the_first_version_recorded_is_read(name: str) -> None:
    path = Path(__file__).parent / "data" / f"{name}.jsonl"
    trace = read_trace(path)
    assert trace.end is not None
    assert len(trace.events) == trace.end.events > 8
    assert {one.kind for one in trace.events} <= set(KINDS)
    for one in trace.events:
        known = KINDS[one.kind]
        assert set(known.names) - {"sepc_place"} <= set(one.fields)
    assert json.loads(path.read_bytes().splitlines()[0])["rcdbg_trace"] == 1


def test_the_recordings_of_the_first_version_have_every_kind() -> None:
    data = Path(__file__).parent / "data"
    found = {one.kind for path in data.glob("*.jsonl") for one in read_trace(path).events}
    assert found == set(KINDS) - {"syscall", "syscall_end"}, "these came later"


def test_the_story_has_marks_of_the_kinds_that_are_marked() -> None:
    drawn = timeline(header(), story().events)
    kinds = {mark.kind for row in drawn.rows for mark in row.marks}
    assert kinds == {one.kind for one in story().events if KINDS[one.kind].marked}
