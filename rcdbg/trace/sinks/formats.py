"""The formats that a recording can be written in, and what an `-o` or a `--to` means.

Another format is a sink, and a row here: recording into it and converting to it come from that.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from rcdbg.errors import UsageError
from rcdbg.lazy import named
from rcdbg.outputs import growing
from rcdbg.trace.record import TraceEnd
from rcdbg.trace.sinks.sink import Sink


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """A format: its name, the extension of its files, what it is for, and what to do with a file.

    `sink` names what makes the sink of a stream, imported when there is something to write;
    `{}` in `then` is for the file's path.
    """

    name: str
    suffix: str
    words: str
    sink: str
    then: str = ""

    def make(self, stream: BinaryIO) -> Sink:
        """The sink of a stream."""
        made: Sink = named(self.sink)(stream)
        return made


JSONL: Final = TraceFormat(
    "jsonl",
    ".jsonl",
    "JSON Lines, for rcdbg trace show, draw, ...",
    "rcdbg.trace.sinks.jsonl:JsonLines",
    "rcdbg trace show {}",
)
PERFETTO: Final = TraceFormat(
    "perfetto",
    ".json",
    "for ui.perfetto.dev",
    "rcdbg.trace.sinks.perfetto:PerfettoSink",
    "open it at https://ui.perfetto.dev",
)
FTRACE: Final = TraceFormat(
    "ftrace", ".ftrace", "the text of Linux's ftrace", "rcdbg.trace.sinks.ftrace:FtraceText"
)
CSV: Final = TraceFormat(
    "csv", ".csv", "a row an event, for spreadsheets", "rcdbg.trace.sinks.rows:CsvRows"
)

FORMATS: Final = (JSONL, PERFETTO, FTRACE, CSV)
"""All of them."""

EXPORTED: Final = (PERFETTO, FTRACE, CSV)
"""Those that a recording is converted to."""


@dataclass(frozen=True, slots=True)
class Output:
    """What is made of a recording, None for a listing; and the file, None for standard output."""

    format: TraceFormat | None
    path: Path | None = None


def output_of(path: Path | None, of: TraceFormat | None = None) -> Output:
    """What `-o` asks for: the format is `of`, or what the extension says.

    Raises UsageError for an extension that no format has, and for a directory that is not there.
    """
    if path is None:
        return Output(of)
    if str(path) == "-":
        return Output(of or JSONL)
    found = of or next((one for one in FORMATS if one.suffix == path.suffix), None)
    if found is None:
        known = ", ".join(f"{one.suffix} is {one.words}" for one in FORMATS)
        raise UsageError(f"-o {path}: {known}")
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: there is no directory {path.parent}")
    return Output(found, path)


@contextlib.contextmanager
def opened(of: TraceFormat, path: Path | None) -> Iterator[Sink]:
    """The sink for a file, closed afterwards; None is the standard output.

    Raises OutputError if it cannot be written.
    """
    if path is None:
        yield of.make(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with growing(path) as stream:
        yield of.make(stream)


def kept(end: TraceEnd, output: Output) -> str:
    """What to say of a recording that went into a file, or to the standard output."""
    lost = f", {end.lost:,} lost" if end.lost else ""
    said = f"{output.path or 'standard output'}: {end.events:,} events{lost} ({end.why})"
    if output.format is None or output.path is None or not output.format.then:
        return said
    return f"{said}; {output.format.then.format(output.path)}"
