"""Whatever an accepted trace file has in its events, it can be listed, drawn and exported."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.trace.analysis.diff import compare
from rcdbg.trace.analysis.stats import statistics
from rcdbg.trace.analysis.timeline import timeline
from rcdbg.trace.kinds import KINDS
from rcdbg.trace.record import Trace, TraceEnd
from rcdbg.trace.sinks.files import TraceFileError, read_trace, write_trace
from rcdbg.trace.sinks.formats import FORMATS
from rcdbg.trace.sinks.sink import pour
from rcdbg.views.render import render_text
from rcdbg.views.trace.listing import event_line
from rcdbg.views.trace.report import diff_view, stats_view
from rcdbg.views.trace.svg import svg
from rcdbg.views.trace.timeline import view
from tests.unit.trace.events import event, header
from tests.unit.trace.test_files import JSON

NAMES = sorted({name for kind in KINDS.values() for name in kind.names})
VALUES = {
    "number": st.integers(-(1 << 64), 1 << 64) | st.integers(0, 5),
    "text": st.text(max_size=8),
    "flag": st.booleans(),
    "numbers": st.lists(st.integers(0, 1 << 64), max_size=3),
    "values": st.dictionaries(st.text(max_size=5), JSON, max_size=3),
}


@st.composite
def fields(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Mostly what the kind declares, and some of it something else."""
    found = {}
    for field in KINDS[kind].fields if kind in KINDS else ():
        found[field.name] = draw(st.none() | VALUES[field.type] | VALUES[field.type] | JSON)
    return found | draw(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=2))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    events = []
    for seq in range(1, draw(st.integers(1, 6)) + 1):
        kind = draw(st.sampled_from([*KINDS, "wormhole"]))
        made = event(kind, seq, draw(st.none() | st.integers(0, 1 << 63)), draw(st.none()
                     | st.integers(0, 1 << 63)))  # fmt: skip
        object.__setattr__(made, "fields", draw(fields(kind)))
        events.append(made)
    return Trace(header(), tuple(events), TraceEnd("?", len(events)))


@given(traces())
def test_what_is_read_can_be_shown_and_converted(
    tmp_path_factory: pytest.TempPathFactory, made: Trace
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.jsonl"
    write_trace(path, made)
    try:
        trace = read_trace(path)
    except TraceFileError:
        return
    head, events = trace.header, trace.events
    for one in events:
        assert one.kind in event_line(one, head).plain
    drawn = timeline(head, events)
    assert render_text(view(drawn), 80)
    assert svg(drawn).endswith("</svg>\n")
    assert render_text(stats_view(head, statistics(head, events)), 80)
    other = [*events[1:], events[0]]
    found = compare((head, events), (head, other))
    assert render_text(diff_view(("a", head), ("b", head), found, ()), 80)
    for of in FORMATS:
        stream = io.BytesIO()
        pour(trace, of.make(stream))
        assert stream.getvalue()
