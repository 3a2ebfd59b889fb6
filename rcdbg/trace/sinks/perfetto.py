"""Traces for Perfetto and chrome://tracing: the Trace Event Format, its JSON Object Format.

A track for each thread, with a slice for each time that it runs and, nested in it, one for each
trap; other events as instants, and a counter of the frames that are taken.
"""

import json
from typing import Any, BinaryIO, Final

from rcdbg.trace.kinds import KINDS, hexadecimal_fields
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.clock import EventClock
from rcdbg.trace.sinks.documents import end_document, event_document, header_document

_PROCESS: Final = 1
_NOBODY: Final = 1
"""The track of what happens in no thread; a thread's is its id and `_FIRST`."""
_FIRST: Final = 2
_MAX_ID: Final = (1 << 31) - _FIRST - 1


class PerfettoSink:
    """Writes a trace to a binary stream, event by event; the caller closes the stream.

    Time is in microseconds of the guest; where a trace has no time, an event is a microsecond.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._header: TraceHeader | None = None
        self._clock = EventClock(None)
        self._first = True
        self._now: int | float = 0
        self._tracks: set[int] = set()
        self._open: dict[int, list[str]] = {}
        self._running: int | None = None
        self._frames = 0

    def header(self, header: TraceHeader) -> None:
        """Begin."""
        self._header = header
        self._clock = EventClock(header.timebase_hz)
        self._stream.write(b'{"displayTimeUnit":"ns","traceEvents":[\n')
        name = header.kernel or "kernel"
        self._meta("process_name", 0, {"name": f"{name} {header.append}".strip()})

    def event(self, event: TraceEvent) -> None:
        """Write an event."""
        now = self._clock.at(event)
        self._now = now / 1000 if now % 1000 else now // 1000
        if event.kind == "switch":
            self._switch(event)
        elif event.kind == "trap_enter":
            cause = str(event.fields.get("cause") or "trap")
            self._begin(self._track(event.thread), cause, "trap", _arguments(event))
        elif event.kind == "trap_leave":
            self._leave(self._track(event.thread))
        else:
            self._instant(event)
        if event.kind in ("frame_alloc", "frame_free"):
            self._count(event)

    def end(self, end: TraceEnd) -> None:
        """Close all slices and the document."""
        for track in sorted(self._open):
            while self._open[track]:
                self._finish(track)
        other: dict[str, Any] = {"end": end_document(end)}
        if self._header is not None:
            other |= header_document(self._header)
        tail = json.dumps(other, separators=(",", ":"), allow_nan=False)
        self._stream.write(b'\n],"otherData":' + tail.encode() + b"}\n")

    def _switch(self, event: TraceEvent) -> None:
        if self._running is not None:
            while self._open.get(self._running):
                self._finish(self._running)
        to = event.fields.get("to")
        self._running = None if to is None else self._track(to)
        if self._running is not None:
            self._begin(self._running, "run", "run", _arguments(event))

    def _leave(self, track: int) -> None:
        opened = self._open.get(track)
        if opened and opened[-1] == "trap":
            self._finish(track)

    def _instant(self, event: TraceEvent) -> None:
        known = KINDS.get(event.kind)
        text = event.fields.get(known.main) if known is not None else None
        name = f"{event.kind}: {text}" if isinstance(text, str) else event.kind
        self._put("i", self._track(event.thread), name, event.kind, {"s": "t"}, _arguments(event))

    def _count(self, event: TraceEvent) -> None:
        if event.kind == "frame_free":
            self._frames -= 1
        elif event.fields.get("ppn") is not None:
            self._frames += 1
        self._put("C", 0, "frames taken", "frames", {}, {"frames": self._frames})

    def _begin(self, track: int, name: str, category: str, arguments: dict[str, Any]) -> None:
        self._open.setdefault(track, []).append(category)
        self._put("B", track, name, category, {}, arguments)

    def _finish(self, track: int) -> None:
        self._open[track].pop()
        self._put("E", track, None, None, {}, None)

    def _track(self, thread: int | None) -> int:
        track = _NOBODY if thread is None or not 0 <= thread <= _MAX_ID else thread + _FIRST
        if track not in self._tracks:
            self._tracks.add(track)
            name = "no thread" if track == _NOBODY else f"thread {thread}"
            self._meta("thread_name", track, {"name": name})
            self._meta("thread_sort_index", track, {"sort_index": track})
        return track

    def _meta(self, name: str, track: int, arguments: dict[str, Any]) -> None:
        self._put("M", track, name, None, {}, arguments)

    def _put(self, phase: str, track: int, name: str | None, category: str | None,
             more: dict[str, Any], arguments: dict[str, Any] | None) -> None:  # fmt: skip
        entry: dict[str, Any] = {"ph": phase, "pid": _PROCESS, "tid": track, "ts": self._now}
        if name is not None:
            entry["name"] = name
        if category is not None:
            entry["cat"] = category
        entry |= more
        if arguments is not None:
            entry["args"] = arguments
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False)
        self._stream.write((b"" if self._first else b",\n") + line.encode())
        self._first = False


def _arguments(event: TraceEvent) -> dict[str, Any]:
    """What a click on it shows; 64-bit values as text, since JavaScript would round them."""
    hexadecimal = hexadecimal_fields(event.kind)
    shown: dict[str, Any] = {"event": event.seq, "place": event.place, "pc": f"{event.pc:#x}"}
    for name, value in event_document(event)["fields"].items():
        shown[name] = _shown(value, name in hexadecimal)
    if event.instructions is not None:
        shown["instructions"] = event.instructions
    if event.marks:
        shown["not certain"] = "; ".join(event.marks)
    return shown


def _shown(value: Any, hexadecimal: bool = False) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:#x}" if hexadecimal or abs(value) >= 1 << 53 else value
    if isinstance(value, list | tuple):
        return [_shown(one, hexadecimal) for one in value]
    if isinstance(value, dict):
        return {str(key): _shown(one) for key, one in value.items()}
    return value
