"""Headers, events and ends of traces as JSON objects, and back, believing nothing.

What is read here may be any file at all: each value is of the type that its name promises, or
ValueError says which is not.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from rcdbg.model.serial.state import document
from rcdbg.trace.kinds import KINDS, EventField, FieldType
from rcdbg.trace.moment import Clock
from rcdbg.trace.record import FORMAT, Trace, TraceEnd, TraceEvent, TraceHeader

MAGIC: Final = "rcdbg_trace"
"""The key of a trace's first line that has the version of the format."""

_MAX_DEPTH = 40
_MAX_NAME = 64
_WORD = 1 << 64
_COUNT = 1 << 63

_TYPES: Final[dict[FieldType, type]] = {
    "number": int,
    "text": str,
    "flag": bool,
    "numbers": list,
    "values": dict,
}
"""What JSON has for the types of fields."""


def header_document(header: TraceHeader) -> dict[str, Any]:
    """The header as a JSON object."""
    return {
        MAGIC: FORMAT,
        "backend": header.backend,
        "clock": header.clock,
        "deterministic": header.deterministic,
        "kinds": list(header.kinds),
        "hits": list(header.hits),
        "kernel": header.kernel,
        "build_id": header.build_id,
        "append": header.append,
        "timebase_hz": header.timebase_hz,
        "unseen": dict(sorted(header.unseen.items())),
    }


def end_document(end: TraceEnd) -> dict[str, Any]:
    """The end as a JSON object."""
    return {
        "why": end.why,
        "events": end.events,
        "lost": end.lost,
        "repeats": end.repeats,
        "exit_status": end.exit_status,
    }


def event_document(event: TraceEvent) -> dict[str, Any]:
    """The event as a JSON object whose keys come in one order, whoever made the event."""
    document = event.document()
    known = KINDS[event.kind].by_name if event.kind in KINDS else {}
    fields = event.fields
    names = [*(n for n in known if n in fields), *sorted(n for n in fields if n not in known)]
    document["fields"] = {name: _finite_only(fields[name]) for name in names}
    return document


def _finite_only(value: Any) -> Any:
    """The value, but what JSON has no number for as text: a guest may have any float."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite_only(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_only(one) for one in value]
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no value of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse(text[:_MAX_NAME])
    return value


def parsed(raw: bytes) -> Any:
    """One line of JSON; raises ValueError for whatever else it is."""
    try:
        text = raw.decode()
        if text.count("[") + text.count("{") > _MAX_DEPTH:
            _check_depth(text)
        return json.loads(text, parse_constant=_refuse, parse_float=_finite) if text else None
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("no UTF-8") from error


def _check_depth(text: str) -> None:
    depth = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif character in "]}":
            depth -= 1


def is_count(value: Any) -> bool:
    """Whether it is a number of something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _COUNT


def _get(document: Mapping[str, Any], name: str, *types: type, null: bool = False) -> Any:
    """A value of one of these types; raises ValueError. Numbers are not negative."""
    if name not in document:
        raise ValueError(f"no {name}")
    value = document[name]
    if value is None and null:
        return None
    if (isinstance(value, bool) and bool not in types) or not isinstance(value, types):
        raise ValueError(f"{name} is not {' or '.join(one.__name__ for one in types)}")
    if isinstance(value, int) and not 0 <= value < _WORD:
        raise ValueError(f"{name} is out of range")
    return value


def _check(field: EventField, value: Any) -> None:
    """Raises ValueError for what is not of the field's type, or has more than 64 bits."""
    wanted, given = _TYPES[field.type], value
    if (isinstance(value, bool) and wanted is not bool) or not isinstance(value, wanted):
        raise ValueError(f"the field {field.name} is not {wanted.__name__}")
    numbers: list[Any] = [given] if field.type == "number" else []
    if field.type == "numbers":
        numbers = given
    if not all(_is_word(one) for one in numbers):
        raise ValueError(f"the field {field.name} is out of range")


def _is_word(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_WORD < value < _WORD


def _strings(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = _get(document, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(values)


def made_header(document: Mapping[str, Any]) -> TraceHeader:
    """The header that `header_document` made this of; raises ValueError for nonsense."""
    clock = _get(document, "clock", str)
    if clock not in get_args(Clock):
        raise ValueError(f"no clock {clock[:_MAX_NAME]!r}")
    unseen = _get(document, "unseen", dict)
    if not all(isinstance(why, str) for why in unseen.values()):
        raise ValueError("unseen is not in words")
    timebase = _get(document, "timebase_hz", int, null=True)
    if timebase == 0:
        raise ValueError("a timebase of 0 Hz")
    return TraceHeader(
        backend=_get(document, "backend", str),
        clock=cast(Clock, clock),
        deterministic=_get(document, "deterministic", bool),
        kinds=_strings(document, "kinds"),
        hits=_strings(document, "hits"),
        kernel=_get(document, "kernel", str),
        build_id=_get(document, "build_id", str),
        append=_get(document, "append", str),
        timebase_hz=timebase,
        unseen=unseen,
    )


def made_end(document: Any) -> TraceEnd:
    """The end that `end_document` made this of; raises ValueError for nonsense."""
    if not isinstance(document, dict):
        raise ValueError("the end is no object")
    status = document.get("exit_status")
    if status is not None and (not isinstance(status, int) or not -_COUNT < status < _COUNT):
        raise ValueError("the exit status is no number")
    return TraceEnd(
        why=_get(document, "why", str),
        events=_get(document, "events", int),
        lost=_get(document, "lost", int),
        repeats=_get(document, "repeats", int),
        exit_status=status,
    )


def made_event(document: Mapping[str, Any]) -> TraceEvent:
    """The event that `TraceEvent.document()` made this of; raises ValueError for nonsense."""
    kind = _get(document, "kind", str)
    if not kind.isidentifier() or not kind.isascii() or len(kind) > _MAX_NAME:
        raise ValueError("the kind is no name")
    fields = _get(document, "fields", dict)
    for field in KINDS[kind].fields if kind in KINDS else ():
        if fields.get(field.name) is not None:
            _check(field, fields[field.name])
    return TraceEvent(
        seq=_get(document, "seq", int),
        kind=kind,
        ticks=_get(document, "ticks", int, null=True),
        instructions=_get(document, "instructions", int) if "instructions" in document else None,
        hart=_get(document, "hart", int),
        thread=_get(document, "thread", int, null=True),
        pc=_get(document, "pc", int),
        place=_get(document, "place", str),
        fields=fields,
        marks=_strings(document, "marks") if "marks" in document else (),
    )


def trace_document(trace: Trace, note: str | None = None) -> dict[str, Any]:
    """A trace as one document; `note` says what is the matter with a file."""
    content = {
        "header": header_document(trace.header),
        "events": [event_document(event) for event in trace.events],
        "end": end_document(trace.end) if trace.end is not None else None,
        "note": note,
    }
    return document("trace", content)
