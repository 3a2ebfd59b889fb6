"""Traces for people: at every width, without colours, and whatever texts are in them."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Group, RenderableType

from rcdbg.trace.analysis.diff import EventChange, compare
from rcdbg.trace.analysis.stats import statistics
from rcdbg.trace.analysis.timeline import timeline
from rcdbg.trace.kinds import KINDS
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent
from rcdbg.views.render import render_text
from rcdbg.views.trace import listing as trace_listing
from rcdbg.views.trace import report as trace_report
from rcdbg.views.trace import svg as trace_svg
from rcdbg.views.trace import timeline as trace_timeline
from rcdbg.views.trace.axis import axis_marks, duration, instant
from tests.unit.trace.events import event, header, story, trap
from tests.unit.views.samples import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


def hostile() -> Trace:
    events: list[TraceEvent] = []
    for kind in KINDS:
        events.append(event(kind, len(events) + 1, None, 1 << 60, place=HOSTILE, marks=(HOSTILE,)))
        fields = {"cause": HOSTILE, "text": HOSTILE, "symbol": HOSTILE,
                  "arguments": {HOSTILE: [{}]}, "stack": [1], "flags": {"a": None},
                  "to": -5, "id": None, "why": HOSTILE,
                  "depth": 1 << 63, HOSTILE: HOSTILE * 50}  # fmt: skip
        events.append(event(kind, len(events) + 1, 1 << 62, -3, **fields))  # type: ignore[arg-type]
    head = header(kernel=HOSTILE, append=HOSTILE, unseen={HOSTILE: HOSTILE})
    return Trace(head, tuple(events), None)


TRACES = {"story": story(), "hostile": hostile(), "empty": Trace(header(), (), TraceEnd("?", 0))}


def listing(trace: Trace) -> RenderableType:
    lines = [trace_listing.event_line(one, trace.header) for one in trace.events]
    ending = trace_listing.ending(trace.end)
    return Group(trace_listing.heading(trace.header), *lines, ending)


def report(trace: Trace) -> RenderableType:
    return trace_report.stats_view(trace.header, statistics(trace.header, trace.events))


def difference(trace: Trace) -> RenderableType:
    other = story()
    found = compare((trace.header, trace.events), (other.header, other.events[:9]))
    return trace_report.diff_view(
        (HOSTILE, trace.header), ("b", other.header), found, (EventChange("end", HOSTILE, None),)
    )


def picture(trace: Trace) -> RenderableType:
    return trace_timeline.view(timeline(trace.header, trace.events))


VIEWS = {"listing": listing, "report": report, "difference": difference, "picture": picture}


@pytest.mark.parametrize("width", [24, 40, 80, 160])
@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_and_keeps_what_is_hostile_harmless(
    view: str, name: str, width: int, color: bool
) -> None:
    text = render_text(VIEWS[view](TRACES[name]), width, color)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", plain)
    assert max(map(len, plain.splitlines())) <= width


def test_an_event_is_one_line_that_tells_all() -> None:
    hit = event("hit", 7, 12345, 3, place="os::f", symbol="os::f",
                arguments={"page": 0x80300, "name": "stack"}, marks=("stale",))  # fmt: skip
    line = trace_listing.event_line(hit, header()).plain
    assert line.split() == [
        "7",
        "1.2345",
        "3",
        "hit",
        "os::f(page=0x80300,",
        "name=stack)",
        "?",
        "stale",
    ]
    sampled = trace_listing.event_line(trap(1, 10, None), header(clock="sampled")).plain
    assert "~0.0010" in sampled
    assert "from S 0xffffffff80200400" in sampled
    assert "≥" in trace_listing.event_line(trap(1, 10, 1), header(clock="bound")).plain


@pytest.mark.parametrize("width", [80, 160])
def test_the_timeline_shows_who_ran_where_in_the_middle_of_each_slice(width: int) -> None:
    trace = story()
    drawn = timeline(trace.header, trace.events)
    lines = render_text(trace_timeline.view(drawn), width).splitlines()
    label = len("no thread ")
    for row in drawn.rows:
        line = next(one for one in lines if one.startswith(row.name))
        for piece in row.slices:
            middle = (piece.start + piece.end) / 2
            cell = int((middle - drawn.start) / (drawn.end - drawn.start) * (width - label))
            shown = line.ljust(width)[label + cell]
            assert shown in ("█▓▒" if piece.doing == "run" else "─░"), (row.name, piece)


def test_every_mark_in_the_picture_is_in_its_legend() -> None:
    text = render_text(trace_timeline.view(timeline(header(), story().events)), 100)
    for words in ("x exit", "+ new thread", "t timer interrupt", "c console line", "f firmware"):
        assert words in text
    assert "exception" not in text


def test_many_threads_are_cut_and_that_is_said() -> None:
    events = [event("thread_add", n + 1, n, None, id=n) for n in range(300)]
    drawn = timeline(header(), events)
    assert "64 of 300 threads" in render_text(trace_timeline.view(drawn), 80)
    assert "200 more threads are not drawn" in trace_svg.svg(drawn)


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("width", [1, 700, 1200])
def test_the_svg_is_valid_xml_whatever_is_in_the_trace(name: str, width: int) -> None:
    trace = TRACES[name]
    root = ElementTree.fromstring(trace_svg.svg(timeline(trace.header, trace.events), width))
    assert root.tag == f"{SVG}svg"
    defined = {one.get("id") for one in root.iter(f"{SVG}path")}
    for use in root.iter(f"{SVG}use"):
        assert (use.get("href") or "")[1:] in defined


def test_the_svg_names_threads_times_and_marks() -> None:
    root = ElementTree.fromstring(trace_svg.svg(timeline(header(), story().events)))
    texts = {one.text for one in root.iter(f"{SVG}text")}
    assert {"thread 1", "thread 2", "no thread", "100 µs", "timer interrupt", "runs"} <= texts
    titles = [one.text or "" for one in root.iter(f"{SVG}title")]
    assert "thread 1 runs 84 µs from 0.0200 ms, then timer" in titles
    bars = [r for r in root.iter(f"{SVG}rect") if r.get("height") == "18"]
    assert len(bars) == 7 + 1  # seven runs, and one in the legend


def test_a_long_trace_makes_a_bounded_picture() -> None:
    events = [event("switch", 1, 0, None, from_=None, to=0, why="start")]
    for n in range(1, 20_000):
        events.append(trap(2 * n, 10 * n, n % 2))
        events.append(event("switch", 2 * n + 1, 10 * n, None, to=n % 2, why="timer"))
    assert len(trace_svg.svg(timeline(header(), events))) < 1_000_000


@pytest.mark.parametrize(
    ("ticks", "hz", "text"),
    [(0, 10**7, "0 s"), (1, 10**7, "0.1 µs"), (15_000, 10**7, "1.5 ms"), (10**8, 10**7, "10 s"),
     (5, None, "5 ticks")],
)  # fmt: skip
def test_durations(ticks: int, hz: int | None, text: str) -> None:
    assert duration(ticks, hz) == text


def test_instants_keep_every_digit_of_the_clock() -> None:
    assert instant(12_345_678, 10_000_000) == "1234.5678"
    assert instant(3, 1000) == "3"
    assert (instant(3, None), instant(None, 1)) == ("3t", "-")


@pytest.mark.parametrize("span", [1, 7, 99, 1234, 10**6, 10**9, 1 << 62])
def test_axes_have_few_round_numbers_inside(span: int) -> None:
    drawn = replace(timeline(header(), story().events), start=5, end=5 + span)
    for axis in ("ticks", "events"):
        marks = axis_marks(replace(drawn, axis=axis), 8)
        assert len(marks) <= 10
        assert all(5 <= at <= 5 + span for at, _ in marks)
        assert len({text for _, text in marks}) == len(marks)


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_recording_that_changes_what_it_measures_says_so(deterministic: bool) -> None:
    words = "the recording itself slows the kernel down"
    shown = render_text(trace_listing.heading(header(deterministic=deterministic)), 300)
    assert (words in shown) is not deterministic
