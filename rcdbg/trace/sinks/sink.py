"""Where a recording goes: what everything is that takes events as they come."""

from typing import Protocol

from rcdbg.trace.record import Trace, TraceEnd, TraceEvent, TraceHeader


class Sink(Protocol):
    """Takes the header first, then each event, then the end."""

    def header(self, header: TraceHeader) -> None:
        """Take what the trace is made of."""

    def event(self, event: TraceEvent) -> None:
        """Take the next event."""

    def end(self, end: TraceEnd) -> None:
        """Take how it ended. Without it, the trace is one that was cut off."""


class KeptTrace:
    """A sink that keeps all of it."""

    def __init__(self) -> None:
        self._header: TraceHeader | None = None
        self._events: list[TraceEvent] = []
        self._end: TraceEnd | None = None

    def header(self, header: TraceHeader) -> None:
        """Keep it."""
        self._header = header

    def event(self, event: TraceEvent) -> None:
        """Keep it."""
        self._events.append(event)

    def end(self, end: TraceEnd) -> None:
        """Keep it."""
        self._end = end

    @property
    def trace(self) -> Trace | None:
        """All of it; None if it never began."""
        return None if self._header is None else Trace(self._header, tuple(self._events), self._end)


def pour(trace: Trace, sink: Sink) -> None:
    """Give a whole trace to a sink."""
    sink.header(trace.header)
    for event in trace.events:
        sink.event(event)
    if trace.end is not None:
        sink.end(trace.end)
