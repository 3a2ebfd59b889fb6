"""Traces as the text of Linux's ftrace, for tools that read that: trace-cmd's, Perfetto, scripts.

Source: Linux's Documentation/trace/ftrace.rst, "Output format": a line an event, of the task, the
processor, flags, seconds and the event's name and text. Task and PID are a thread of the kernel:

    thread-1       [000] X.... 1.234567: trap_enter: cause="breakpoint" scause=0x3 place=__interrupt

Switches and wake-ups are called, and put, as Linux's scheduler has them: `sched_switch` and
`sched_wakeup` are what tools know tasks by.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Final

from rcdbg.trace.kinds import hexadecimal_fields
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.sinks.clock import EventClock
from rcdbg.trace.sinks.documents import event_document

NO_THREAD: Final = ("none", 1 << 22)
"""The task of what happens in no thread: a PID that no task of Linux has (PID_MAX_LIMIT)."""

_TASK = "thread"
_PRIORITY = 120
"""Of a task that is nothing special; a kernel of ours may have no priorities at all."""

_MICROSECONDS = 1_000_000
"""In a second."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.:<>*&$#@/()~")

_HEADS = r"""
#                                _-----=> irqs-off
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""


class FtraceText:
    """Writes a trace to a binary stream, line by line; the caller closes the stream.

    Of the flags only `h` is known, for what happens inside of an interrupt. `X` is what Linux has
    where it cannot be told whether interrupts are off.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._clock = EventClock(None)
        self._traps: dict[int, list[bool]] = {}

    def header(self, header: TraceHeader) -> None:
        """Write the lines before the events."""
        self._clock = EventClock(header.timebase_hz)
        about = f"{header.kernel or 'kernel'} {header.append}".strip()
        lines = ["# tracer: nop", "#", f"# {_escaped(about)}, recorded by rcdbg", "#"]
        self._write("\n".join(lines) + _HEADS)

    def event(self, event: TraceEvent) -> None:
        """Write a line."""
        task, pid = _task(event.thread)
        seconds, rest = divmod(self._clock.at(event) // 1000, _MICROSECONDS)
        flags = f"X.{'h' if self._in_interrupt(event) else '.'}.."
        name, text = _told(event)
        self._write(
            f"{task:>16}-{pid:<7} [{event.hart:03d}] {flags} {seconds:5d}.{rest:06d}: "
            f"{name}: {text}\n"
        )

    def end(self, end: TraceEnd) -> None:
        """Write how it ended, as a comment."""
        lost = f", {end.lost} lost" if end.lost else ""
        self._write(f"# {_escaped(end.why)}: {end.events} events{lost}\n")

    def _in_interrupt(self, event: TraceEvent) -> bool:
        """Whether it happens inside of one; a trap's own entry and end do."""
        traps = self._traps.setdefault(event.hart, [])
        depth = event.fields.get("depth")
        if event.kind == "trap_enter":
            if isinstance(depth, int) and depth >= 1:
                del traps[depth - 1 :]  # those that were never left
            traps.append(event.fields.get("interrupt") is True)
        inside = any(traps)
        if event.kind == "trap_leave" and isinstance(depth, int):
            del traps[max(0, depth - 1) :]
        elif event.kind == "switch":
            traps.clear()
        return inside

    def _write(self, text: str) -> None:
        self._stream.write(text.encode("ascii"))


def _task(thread: int | None) -> tuple[str, int]:
    return NO_THREAD if thread is None else (_TASK, thread)


def _told(event: TraceEvent) -> tuple[str, str]:
    """Name and text of an event: as Linux has them, where it has such an event."""
    if event.kind == "switch":
        return "sched_switch", _switch(event.fields)
    if event.kind == "wake":
        task, pid = _task(event.fields.get("id"))
        cpu = f"target_cpu={event.hart:03d}"
        return "sched_wakeup", f"comm={task} pid={pid} prio={_PRIORITY} {cpu}"
    hexadecimal = hexadecimal_fields(event.kind)
    fields = event_document(event)["fields"]
    parts = [f"{_word(name)}={_value(fields[name], name in hexadecimal)}" for name in fields]
    parts.append(f"place={_word(event.place)}")
    if event.marks:
        parts.append(f"uncertain={_word('; '.join(event.marks))}")
    return event.kind, " ".join(parts)


_STATES = {"sleep": "S", "exit": "X", "fault": "X"}
"""Linux's letters for why a task does not run on; R, ready, for the rest."""


def _switch(fields: Mapping[str, Any]) -> str:
    why = str(fields.get("why") or "unknown")
    (before, pid), (after, next_pid) = _task(fields.get("from")), _task(fields.get("to"))
    return (
        f"prev_comm={before} prev_pid={pid} prev_prio={_PRIORITY} "
        f"prev_state={_STATES.get(why, 'R')} ==> "
        f"next_comm={after} next_pid={next_pid} next_prio={_PRIORITY} why={_word(why)}"
    )


def _value(value: Any, is_hexadecimal: bool) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return f"{value:#x}" if is_hexadecimal else str(value)
    if isinstance(value, list) and all(isinstance(one, int) for one in value):
        return _listed(value, is_hexadecimal)
    return _word(value) if isinstance(value, str) else _word(json.dumps(value))


def _listed(values: Iterable[int], is_hexadecimal: bool) -> str:
    return f"{{{','.join(_value(one, is_hexadecimal) for one in values)}}}"


def _word(text: str) -> str:
    """One word of a line: in quotes and escaped, as JSON has it, if it is not plain."""
    return text if text and _PLAIN.issuperset(text) else json.dumps(text)


def _escaped(text: str) -> str:
    """Text for a comment: of one line, and ASCII."""
    return json.dumps(text)[1:-1]
