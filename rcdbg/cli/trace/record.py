"""A recording on its way from the recorder into a file, or onto the screen."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from rcdbg.cli.door import remark, tell
from rcdbg.errors import RcdbgError
from rcdbg.trace.record import BY_USER, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.formats import Output, kept, opened
from rcdbg.trace.sinks.sink import Sink
from rcdbg.trace.wanted import Wanted

if TYPE_CHECKING:
    from rcdbg.trace.run import Boot

_INTERRUPTED = 128 + signal.SIGINT
_PROGRESS_SECONDS = 0.2
MISSED = 1
"""Exit status where the event of --until did not come."""


class EventSource(Protocol):
    """A recording that is going on."""

    @property
    def header(self) -> TraceHeader:
        """What it is made of."""

    @property
    def end(self) -> TraceEnd | None:
        """How it ended; None as long as it goes on."""

    def __iter__(self) -> Iterator[TraceEvent]:
        """The events as they come."""


def sink_for(output: Output) -> contextlib.AbstractContextManager[Sink]:
    """The sink for an output, which is closed afterwards."""
    if output.format is not None:
        return opened(output.format, output.path)
    from rcdbg.views.trace.live_listing import LiveListing

    return contextlib.nullcontext(LiveListing())


class _Interrupts:
    """Ctrl-C while the recorder is waited for ends the waiting; while an event is written, it waits
    until that is done, so that no line is cut in the middle."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False

    def _handle(self, *_: object) -> None:
        again, self.asked = self.asked, True
        if self._waiting or again:
            raise KeyboardInterrupt

    def next(self, events: Iterator[TraceEvent]) -> TraceEvent | None:
        """The next event; None at the end, or when the user wants no more."""
        if self.asked:
            return None
        try:
            self._waiting = True
            return next(events, None)
        except KeyboardInterrupt:
            return None
        finally:
            self._waiting = False

    def __enter__(self) -> "_Interrupts":
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


class Progress:
    """A line on stderr that is written over again and again, if that is a terminal."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._start = self._shown = time.monotonic()
        self._width = 0

    def events(self, count: int, ticks: int | None, timebase_hz: int | None) -> None:
        """So many events by now."""
        now = time.monotonic()
        if not self._wanted or now - self._shown < _PROGRESS_SECONDS:
            return
        self._shown = now
        rate = count / (now - self._start)
        guest = f", {ticks / timebase_hz:.2f} s of guest time" if ticks and timebase_hz else ""
        self._write(f"{count:,} events, {rate:,.0f}/s{guest}; Ctrl-C ends it")

    def clear(self) -> None:
        """Remove the line."""
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(text)


def record_to(boot: "Boot", wanted: Wanted, output: Output) -> int:
    """Record, and say what was kept; returns the exit status. Raises RcdbgError."""
    from rcdbg.trace.recorders.recording import record

    with _Interrupts() as interrupts, record(boot, wanted) as recording:
        end = keep(recording, output, interrupts)
    say_kept(end, output)
    if output.path is not None and recording.header.disturbed:
        tell(recording.header.disturbed)
    # Where there is a file, Ctrl-C is how a recording without --until is meant to end.
    meant = output.path is not None and wanted.until is None
    if interrupts.asked:
        return 0 if meant else _INTERRUPTED
    if recording.missed and wanted.until is not None:
        remark(f"{wanted.until.text} did not come")
        return MISSED
    return 0


def keep(recording: EventSource, output: Output, interrupts: Any = None) -> TraceEnd:
    """Take all events of a recording, up to Ctrl-C; returns how it ended.

    If the recorder fails, what it had told is kept, with the reason, before its error is raised.
    """
    interrupts = interrupts or _Interrupts()
    events = iter(recording)
    header = recording.header
    progress = Progress(output.format is not None)
    count = 0
    with sink_for(output) as sink:
        sink.header(header)
        try:
            while (event := interrupts.next(events)) is not None:
                sink.event(event)
                count += 1
                progress.events(count, event.ticks, header.timebase_hz)
        except RcdbgError as error:
            sink.end(TraceEnd(str(error), count))
            raise
        finally:
            progress.clear()
        end = recording.end
        if end is None or end.events != count:
            end = TraceEnd(BY_USER, count)
        elif interrupts.asked:
            end = replace(end, why=BY_USER)
        sink.end(end)
    return end


def say_kept(end: TraceEnd, output: Output) -> None:
    """Say what went into a file; a listing has said so itself."""
    if output.format is None:
        return
    said = kept(end, output)
    if output.path is None:
        remark(said)
    else:
        tell(said)
