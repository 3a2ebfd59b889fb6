"""Traces as JSON Lines: a header, then one event a line, then how the recording ended.

    {"rcdbg_trace":1,"backend":"stub","clock":"exact",...}
    {"seq":1,"kind":"trap_enter","ticks":31337,"hart":0,"thread":1,...,"fields":{...}}
    {"end":{"why":"the machine ended","events":1,...}}

The same events are the same bytes: the order of keys is fixed, and there is nothing in a file of
when or where it was made.
"""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.documents import end_document, event_document, header_document


class JsonLines:
    """Writes a trace to a binary stream, line by line; the caller closes the stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def header(self, header: TraceHeader) -> None:
        """Write the first line."""
        self._stream.write(_line(header_document(header)))

    def event(self, event: TraceEvent) -> None:
        """Write an event."""
        self._stream.write(_line(event_document(event)))

    def end(self, end: TraceEnd) -> None:
        """Write the last line."""
        self._stream.write(_line({"end": end_document(end)}))


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"
