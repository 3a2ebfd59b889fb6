"""Traces in files, read again: JSON Lines, as `rcdbg.trace.sinks.jsonl` writes them.

A file is not trusted: lines are bounded, and every value is checked, so that whoever reads a trace
need not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

from rcdbg.errors import RcdbgError
from rcdbg.outputs import growing
from rcdbg.trace.record import FORMAT, Trace, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.documents import (
    MAGIC,
    is_count,
    made_end,
    made_event,
    made_header,
    parsed,
)
from rcdbg.trace.sinks.jsonl import JsonLines
from rcdbg.trace.sinks.sink import pour

MAX_LINE_BYTES: Final = 1 << 20
"""No event is longer; the console lines in them are bounded by the recorders."""


class TraceFileError(RcdbgError):
    """The file is not a trace, is damaged, or is of a newer format."""


def write_trace(path: Path, trace: Trace) -> None:
    """Write a whole trace; raises OutputError if the file cannot be written."""
    with growing(path) as stream:
        pour(trace, JsonLines(stream))


class TraceReader:
    """A trace file, read as far as is asked for; a context manager that closes it.

    `header` is there at once; iterating gives the events, raising TraceFileError at the first line
    that is none. After the last one, `end` is how the recording ended, or None for a file that was
    cut off; `cut_off` says so in words.
    """

    def __init__(self, path: Path | str) -> None:
        self._name = str(path)
        self.end: TraceEnd | None = None
        self.cut_off: str | None = None
        self._events = 0
        self._number = 0
        try:
            self._stream: BinaryIO = Path(path).open("rb")  # noqa: SIM115
        except OSError as error:
            raise TraceFileError(f"cannot read {path}: {error.strerror}") from error
        try:
            self.header = self._header()
        except BaseException:
            self._stream.close()
            raise

    def _header(self) -> TraceHeader:
        foreign = f"{self._name} is not a trace of rcdbg"
        try:
            raw = self._read()
            document = parsed(raw)
        except ValueError as error:
            raise TraceFileError(foreign) from error
        if not raw:
            raise TraceFileError(f"{self._name} is empty: not even a trace's first line")
        if isinstance(document, dict) and "traceEvents" in document:
            raise TraceFileError(
                f"{self._name} is a trace for Perfetto (ui.perfetto.dev); "
                "rcdbg reads those that are recorded with -o FILE.jsonl"
            )
        if not isinstance(document, dict) or MAGIC not in document:
            raise TraceFileError(foreign)
        version = document[MAGIC]
        if not is_count(version):
            raise TraceFileError(foreign)
        if version != FORMAT:
            newer = "a newer rcdbg made it" if version > FORMAT else "no rcdbg made it"
            raise TraceFileError(
                f"{self._name} has format {version}, and this rcdbg reads {FORMAT}: {newer}"
            )
        try:
            return made_header(document)
        except ValueError as error:
            raise TraceFileError(f"{self._name}:1: damaged header: {error}") from error

    def __iter__(self) -> Iterator[TraceEvent]:
        while True:
            try:
                event = self._next()
            except ValueError as error:
                where = f"{self._name}:{self._number}"
                raise TraceFileError(f"{where}: damaged: {error}") from error
            if event is None:
                return
            yield event

    def _next(self) -> TraceEvent | None:
        raw = self._read()
        if not raw.endswith(b"\n"):
            where = f" in the middle of line {self._number}" if raw else ""
            self.cut_off = f"the file is cut off{where}: {self._events:,} events are there"
            return None
        document = parsed(raw)
        if not isinstance(document, dict):
            raise ValueError("not an event")
        if "end" in document:
            self.end = made_end(document["end"])
            if self.end.events != self._events:
                raise ValueError(f"{self._events} events, and its end says {self.end.events}")
            if self._read():
                raise ValueError("there is something after the end")
            return None
        event = made_event(document)
        if event.seq != self._events + 1:
            raise ValueError(f"event {event.seq} comes after event {self._events}")
        self._events += 1
        return event

    def _read(self) -> bytes:
        self._number += 1
        try:
            raw = self._stream.readline(MAX_LINE_BYTES + 1)
        except OSError as error:
            raise TraceFileError(f"cannot read {self._name}: {error.strerror}") from error
        if len(raw) > MAX_LINE_BYTES:
            raise ValueError(f"a line of more than {MAX_LINE_BYTES:,} bytes")
        return raw

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_trace(path: Path | str) -> Trace:
    """A whole trace; raises TraceFileError. One that was cut off has no `end`."""
    with TraceReader(path) as reader:
        events = tuple(reader)
        return Trace(reader.header, events, reader.end)
