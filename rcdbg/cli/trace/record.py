"""A recording on its way from the recorder into a file, or onto the screen."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rcdbg.errors import RcdbgError, UsageError
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.files import JsonLines, Sink, TraceFileError
from rcdbg.trace.sinks.perfetto import ChromeTrace
from rcdbg.trace.until import Ending

if TYPE_CHECKING:
    from rcdbg.trace.run import Boot
    from rcdbg.views.render import Printer

_INTERRUPTED = 128 + signal.SIGINT
_PROGRESS_SECONDS = 0.2
MISSED = 1
"""Exit status where the event of --until did not come."""
BY_USER = "Ctrl-C"
"""Why a recording ended that the user ended."""

Output = tuple[Literal["jsonl", "chrome", "listing"], Path | None]
"""What is made of a recording, and the file; None for the standard output."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to record."""

    boot: "Boot"
    kinds: tuple[str, ...]
    hits: tuple[str, ...]
    until: Ending | None
    backend: str


class Recording(Protocol):
    """A recording that is going on."""

    @property
    def header(self) -> TraceHeader:
        """What it is made of."""

    @property
    def end(self) -> TraceEnd | None:
        """How it ended; None as long as it goes on."""

    def __iter__(self) -> Iterator[TraceEvent]:
        """The events as they come."""


def sink_kind(output: Path | None) -> Output:
    """What -o asks for, by the extension; raises UsageError for others."""
    if output is None:
        return "listing", None
    if str(output) == "-":
        return "jsonl", None
    kinds: dict[str, Literal["jsonl", "chrome"]] = {".jsonl": "jsonl", ".json": "chrome"}
    if output.suffix not in kinds:
        raise UsageError(f"-o {output}: .jsonl is JSON Lines, .json is for ui.perfetto.dev")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no directory {output.parent}")
    return kinds[output.suffix], output


class Listing:
    """Prints events as they come, on a terminal unless there is another `printer`."""

    def __init__(self, printer: "Printer | None" = None) -> None:
        from rcdbg.views.render import Printer

        self._printer = printer or Printer()
        self._header: TraceHeader | None = None

    def header(self, header: TraceHeader) -> None:
        """Print what is recorded, and the heads of the columns."""
        from rcdbg.views.trace import listing as trace_listing

        self._header = header
        self._printer.show(trace_listing.heading(header))
        self._printer.show(trace_listing.columns(header))

    def event(self, event: TraceEvent) -> None:
        """Print a line."""
        from rcdbg.views.trace import listing as trace_listing

        if self._header is not None:
            line = trace_listing.event_line(event, self._header)
            self._printer.line(line, trace_listing.INDENT)

    def end(self, end: TraceEnd) -> None:
        """Print how it ended."""
        from rcdbg.views.trace import listing as trace_listing

        self._printer.show(trace_listing.ending(end))


@contextlib.contextmanager
def opened(output: Output) -> Iterator[Sink]:
    """The sink for an output, closed afterwards; raises TraceFileError if it cannot be written."""
    kind, path = output
    if kind == "listing":
        yield Listing()
        return
    made = JsonLines if kind == "jsonl" else ChromeTrace
    if path is None:
        yield made(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with path.open("wb") as stream:
            yield made(stream)
    except OSError as error:
        raise TraceFileError(f"cannot write {path}: {error.strerror}") from error


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


def record_to(request: Request, output: Output) -> int:
    """Record, and say what was kept; returns the exit status. Raises RcdbgError."""
    from rcdbg.trace.recorders.recording import Until, Wanted, record

    until = request.until
    limits = Until() if until is None else Until(ticks=until.after_ticks, matches=until.reached)
    wanted = Wanted(request.kinds, request.hits)
    with (
        _Interrupts() as interrupts,
        record(request.boot, wanted, backend=request.backend, until=limits) as recording,
    ):
        end = keep(recording, output, interrupts)
    say_kept(end, output)
    # Where there is a file, Ctrl-C is how a recording without --until is meant to end.
    meant = output[1] is not None and until is None
    if interrupts.asked:
        return 0 if meant else _INTERRUPTED
    if until is not None and until.matcher is not None and not until.came:
        print(f"rcdbg: {until.text} did not come", file=sys.stderr)
        return MISSED
    return 0


def keep(recording: Recording, output: Output, interrupts: Any = None) -> TraceEnd:
    """Take all events of a recording, up to Ctrl-C; returns how it ended.

    If the recorder fails, what it had told is kept, with the reason, before its error is raised.
    """
    interrupts = interrupts or _Interrupts()
    events = iter(recording)
    header = recording.header
    progress = Progress(output[0] != "listing")
    count = 0
    with opened(output) as sink:
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
    kind, path = output
    if kind == "listing":
        return
    lost = f", {end.lost:,} lost" if end.lost else ""
    said = f"{path or 'standard output'}: {end.events:,} events{lost} ({end.why})"
    if path is None:
        print(f"rcdbg: {said}", file=sys.stderr)
    elif kind == "jsonl":
        print(f"{said}; rcdbg trace show {path}")
    else:
        print(f"{said}; open it at https://ui.perfetto.dev")
