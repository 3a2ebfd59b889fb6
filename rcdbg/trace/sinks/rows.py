"""Traces as comma-separated values, for spreadsheets and data frames: a row an event.

The columns are the same in every file: what all events have, then the fields of all kinds, each
once, then what this rcdbg does not know. Quoted as RFC 4180 says. A spreadsheet takes a cell that
begins with `=` and the like for a formula, and what a kernel prints may begin with anything: such a
text has an apostrophe before it, and so has one that begins with an apostrophe.
"""

import csv
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from rcdbg.trace.kinds import KINDS, hexadecimal_fields
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.clock import NANOSECONDS, EventClock
from rcdbg.trace.sinks.documents import event_document

BEFORE: Final = ("seq", "kind", "seconds", "ticks", "instructions", "hart", "thread", "pc", "place")
BEHIND: Final = ("other", "marks")

_FORMULA = tuple("=+-@\t\r＝＋－＠'")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGITS = 9


def columns() -> tuple[str, ...]:
    """The names of all columns, in order."""
    fields = dict.fromkeys(name for kind in KINDS.values() for name in kind.names)
    return (*BEFORE, *fields, *BEHIND)


class CsvRows:
    """Writes a trace to a binary stream, row by row, in UTF-8; the caller closes the stream.

    Addresses and the like are hexadecimal; `seconds` is guest time, with nanoseconds; what is not
    known is empty; lists have blanks between their values, other things are JSON. Characters that
    no spreadsheet shows are written as `\\x1b`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._writer = csv.writer(_Utf8(stream))
        self._clock = EventClock(None)
        self._columns: tuple[str, ...] = ()

    def header(self, header: TraceHeader) -> None:
        """Write the names of the columns."""
        self._clock = EventClock(header.timebase_hz)
        self._columns = columns()
        self._writer.writerow(self._columns)

    def event(self, event: TraceEvent) -> None:
        """Write a row."""
        cells = dict(self._cells(event))
        self._writer.writerow([cells.get(name, "") for name in self._columns])

    def end(self, end: TraceEnd) -> None:
        """Nothing: every row is an event."""

    def _cells(self, event: TraceEvent) -> Iterator[tuple[str, str]]:
        at = self._clock.at(event)
        yield "seq", str(event.seq)
        yield "kind", event.kind
        if event.ticks is not None:
            yield "seconds", _decimal(at)
            yield "ticks", str(event.ticks)
        if event.instructions is not None:
            yield "instructions", str(event.instructions)
        yield "hart", str(event.hart)
        yield "thread", "" if event.thread is None else str(event.thread)
        yield "pc", f"{event.pc:#x}"
        yield "place", _text(event.place)
        declared = KINDS[event.kind].names if event.kind in KINDS else ()
        hexadecimal = hexadecimal_fields(event.kind)
        fields = event_document(event)["fields"]
        other = {name: value for name, value in fields.items() if name not in declared}
        for name, value in fields.items():
            if name in declared:
                yield name, _cell(value, name in hexadecimal)
        yield "other", _text(json.dumps(other)) if other else ""
        yield "marks", _text("; ".join(event.marks))


def _decimal(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{whole}.{rest:0{_DIGITS}d}"


def _cell(value: Any, is_hexadecimal: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return _text(f"{value:#x}") if is_hexadecimal else str(value)
    if isinstance(value, list) and all(isinstance(one, int) for one in value):
        return _text(" ".join(_cell(one, is_hexadecimal) for one in value))
    return _text(value if isinstance(value, str) else json.dumps(value))


def _text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


class _Utf8:
    """What a `csv.writer` writes to."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(text.encode())
