"""Which events are meant: patterns of kinds and fields, from code or from a line of text.

    switch(to=3)                       pattern("switch:to=3")
    trap_enter(cause="timer")          pattern("trap_enter:timer")
    hit("map_one", thread=2)           pattern("hit:map_one,thread=2")
    console(re.compile(r"tick \\d+"))   pattern("console:/tick \\d+/")

A field is compared with a value, a predicate (called with what the event has) or a regular
expression (searched in its text). Some texts are compared as people say them, as the declaration of
their kind has it: a `cause` by a part of its words, the `text` of a console line by a part of it, a
`symbol` or `place` also without the path before it and without the offset behind it; others are
compared whole, but for their case.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rcdbg.errors import UsageError
from rcdbg.trace.kinds import KINDS, Comparison
from rcdbg.trace.record import TraceEvent

COMMON = ("seq", "ticks", "instructions", "hart", "thread", "pc", "place")
"""What every event has, whatever its kind."""

Wanted = int | str | bool | None | re.Pattern[str] | Mapping[str, Any] | Callable[[Any], bool]
"""What a field is compared with."""

_TIMES = re.compile(r"(?:^|(?<=[^:]):)([0-9]+)$")
_NEXT_FIELD = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=)")
_FIELD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)
_OFFSET = re.compile(r"\+(?:0x[0-9a-f]+|[0-9]+)$")
_MISSING = object()


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()
"""The default of the constructors' arguments: whatever the field is."""


class Matcher(Protocol):
    """Whatever can tell whether an event is meant."""

    def matches(self, event: TraceEvent) -> bool:
        """Whether it is."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Events of a kind (None: of any) whose fields are as wanted.

    `times`: which of the matching events is meant where one is waited for, counted from 1.
    Raises UsageError for a kind or a field that does not exist.
    """

    kind: str | None
    fields: Mapping[str, Wanted]
    times: int = 1

    def __post_init__(self) -> None:
        if self.times < 1:
            raise UsageError(f"{self}: events are counted from 1")
        if self.kind is not None and self.kind not in KINDS:
            raise UsageError(f"no kind of event {self.kind!r}; known: {', '.join(KINDS)}")
        known = (*(KINDS[self.kind].names if self.kind else ()), *COMMON)
        for name in self.fields:
            if name not in known:
                whose = self.kind or "an event of any kind"
                raise UsageError(f"{whose} has no field {name!r}; known: {', '.join(known)}")

    def matches(self, event: TraceEvent) -> bool:
        """Whether this event is meant."""
        if self.kind is not None and event.kind != self.kind:
            return False
        return all(
            _fits(_compared(event.kind, name), w, _value(event, name))
            for name, w in self.fields.items()
        )

    def __or__(self, other: Matcher) -> "Either":
        return Either((self, other))

    def __str__(self) -> str:
        fields = ",".join(f"{name}={_said(wanted)}" for name, wanted in self.fields.items())
        text = f"{self.kind or 'any'}:{fields}" if fields else self.kind or "any"
        return f"{text}:{self.times}" if self.times != 1 else text


@dataclass(frozen=True, slots=True)
class Either:
    """Events that any of several matchers means."""

    matchers: tuple[Matcher, ...]

    def matches(self, event: TraceEvent) -> bool:
        """Whether one of them means this event."""
        return any(matcher.matches(event) for matcher in self.matchers)

    def __or__(self, other: Matcher) -> "Either":
        return Either((*self.matchers, other))

    def __str__(self) -> str:
        return " or ".join(str(matcher) for matcher in self.matchers)


def _value(event: TraceEvent, name: str) -> Any:
    if name in COMMON:
        return getattr(event, name)
    return event.fields.get(name, _MISSING)


def _compared(kind: str, name: str) -> Comparison:
    """How a text is compared with what an event of that kind has under that name."""
    if name == "place":
        return "name"
    known = KINDS[kind].field(name) if kind in KINDS and name not in COMMON else None
    return "whole" if known is None else known.compared


def _fits(how: Comparison, wanted: Any, actual: Any) -> bool:
    if actual is _MISSING:
        return False
    if isinstance(wanted, re.Pattern):
        return actual is not None and wanted.search(str(actual)) is not None
    if isinstance(wanted, Mapping):
        if not isinstance(actual, Mapping):
            return False
        return all(_fits("whole", w, actual.get(key, _MISSING)) for key, w in wanted.items())
    if callable(wanted):
        return bool(wanted(actual))
    if isinstance(wanted, str):
        return _same_text(how, wanted, actual)
    if isinstance(actual, list | tuple) and isinstance(wanted, list | tuple):
        return list(actual) == list(wanted)
    return bool(actual == wanted)


def _same_text(how: Comparison, wanted: str, actual: Any) -> bool:
    if isinstance(actual, Mapping | list | tuple):
        return False
    if actual is None or isinstance(actual, bool):
        return wanted.casefold() in (
            ("none", "null") if actual is None else (str(actual).casefold(),)
        )
    if isinstance(actual, int):
        return _number(wanted) == actual
    text = str(actual)
    if how == "words":
        return _plain(wanted) in _plain(text)
    if how == "part":
        return wanted in text
    if how == "name":
        whole, bare = text, _OFFSET.sub("", text)
        return any(known == wanted or known.endswith(f"::{wanted}") for known in (whole, bare))
    return text.casefold() == wanted.casefold()


def _plain(words: str) -> str:
    return " ".join(words.casefold().replace("_", " ").replace("-", " ").split())


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _said(wanted: Any) -> str:
    if isinstance(wanted, re.Pattern):
        return f"/{wanted.pattern}/"
    if isinstance(wanted, Mapping):
        return "{" + ",".join(f"{key}={_said(value)}" for key, value in wanted.items()) + "}"
    if callable(wanted):
        return getattr(wanted, "__name__", repr(wanted))
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0xFFFF:
        return f"{wanted:#x}"
    return str(wanted)


def pattern(text: str) -> Pattern:
    """The pattern that `KIND[:FIELD=VALUE,...][:N]` says; raises UsageError.

    `N` is for the n-th such event. A value without a name is for the field that tells most of its
    kind; `/.../` is a regular expression; of `hit`, names that are no fields are its arguments.

    >>> str(pattern("trap_enter:timer:5"))
    'trap_enter:cause=timer:5'
    """
    kind, _, rest = text.strip().partition(":")
    kind = kind.strip()
    if kind != "any" and kind not in KINDS:
        raise UsageError(f"no kind of event {kind!r}; known: {', '.join(KINDS)}")
    times = 1
    if found := _TIMES.search(rest):
        times, rest = _small(found[1], text), rest[: found.start()]
    named: dict[str, Wanted] = {}
    arguments: dict[str, Wanted] = {}
    for part in _NEXT_FIELD.split(rest) if rest.strip() else ():
        field = _FIELD.fullmatch(part)
        name, value = (field[1], field[2]) if field else (_main(kind), part)
        if not name or (not field and named) or name in named or not value.strip():
            raise UsageError(f"{text!r}: expected KIND[:FIELD=VALUE,...][:N], as in switch:to=3")
        known = kind != "hit" or name in COMMON or name in KINDS["hit"].names
        (named if known else arguments)[name] = _wanted(value.strip(), text)
    if arguments:
        named["arguments"] = arguments
    return Pattern(None if kind == "any" else kind, named, times)


def _main(kind: str) -> str:
    return KINDS[kind].main if kind in KINDS else ""


def _small(digits: str, text: str) -> int:
    if len(digits) > 12:
        raise UsageError(f"{text!r}: that many events never come")
    return int(digits)


def _wanted(value: str, text: str) -> Wanted:
    if len(value) > 1 and value[0] == value[-1] == "/":
        try:
            return re.compile(value[1:-1])
        except re.error as error:
            raise UsageError(f"{text!r}: no regular expression: {error}") from error
    return value


def _made(kind: str | None, fields: Mapping[str, Any]) -> Pattern:
    named = {name.rstrip("_"): wanted for name, wanted in fields.items() if wanted is not ANY}
    return Pattern(kind, named)


def event(**fields: Any) -> Pattern:
    """Events of any kind, by what all have: `thread`, `hart`, `place`, ..."""
    return _made(None, fields)


def trap_enter(cause: Any = ANY, **fields: Any) -> Pattern:
    """Traps: any, or those with this cause in words or a part of them (also `sepc`, `depth`)."""
    return _made("trap_enter", {"cause": cause, **fields})


def trap_leave(**fields: Any) -> Pattern:
    """Ends of traps (`sepc`, `privilege`, `depth`)."""
    return _made("trap_leave", fields)


def syscall(name: Any = ANY, **fields: Any) -> Pattern:
    """User code asks for something (`number`, `arguments`, `text`, `process`)."""
    return _made("syscall", {"name": name, **fields})


def syscall_end(name: Any = ANY, **fields: Any) -> Pattern:
    """A system call is over (`number`, `result`, `text`, `process`)."""
    return _made("syscall_end", {"name": name, **fields})


def switch(to: Any = ANY, from_: Any = ANY, why: Any = ANY, **fields: Any) -> Pattern:
    """Another thread goes on: `to` this one, `from_` that one, `why` (timer, sleep, exit, ...)."""
    return _made("switch", {"to": to, "from_": from_, "why": why, **fields})


def thread_add(id: Any = ANY, **fields: Any) -> Pattern:  # noqa: A002
    """A new thread becomes ready."""
    return _made("thread_add", {"id": id, **fields})


def thread_exit(id: Any = ANY, why: Any = ANY, **fields: Any) -> Pattern:  # noqa: A002
    """A thread ends; `why` is exit or fault."""
    return _made("thread_exit", {"id": id, "why": why, **fields})


def sleep(id: Any = ANY, **fields: Any) -> Pattern:  # noqa: A002
    """The running thread goes to sleep."""
    return _made("sleep", {"id": id, **fields})


def wake(id: Any = ANY, **fields: Any) -> Pattern:  # noqa: A002
    """A sleeping thread becomes ready."""
    return _made("wake", {"id": id, **fields})


def frame_alloc(ppn: Any = ANY, **fields: Any) -> Pattern:
    """A frame is taken; `ppn=None` for one that was not to be had."""
    return _made("frame_alloc", {"ppn": ppn, **fields})


def frame_free(ppn: Any = ANY, **fields: Any) -> Pattern:
    """A frame is given back."""
    return _made("frame_free", {"ppn": ppn, **fields})


def mapped(va: Any = ANY, **fields: Any) -> Pattern:
    """A page is mapped (`pa`, `flags`): events of the kind `map`."""
    return _made("map", {"va": va, **fields})


def unmapped(va: Any = ANY, **fields: Any) -> Pattern:
    """Pages are unmapped (`pages`): events of the kind `unmap`."""
    return _made("unmap", {"va": va, **fields})


def satp(root_ppn: Any = ANY, **fields: Any) -> Pattern:
    """Another page table is active."""
    return _made("satp", {"root_ppn": root_ppn, **fields})


def timer_set(deadline: Any = ANY, **fields: Any) -> Pattern:
    """The next timer interrupt is asked for."""
    return _made("timer_set", {"deadline": deadline, **fields})


def sbi(name: Any = ANY, **fields: Any) -> Pattern:
    """A call of the firmware (`extension`, `function`)."""
    return _made("sbi", {"name": name, **fields})


def console(text: Any = ANY, **fields: Any) -> Pattern:
    """A line on the console with this text in it, or in which this regular expression is found."""
    return _made("console", {"text": text, **fields})


def hit(symbol: Any = ANY, /, **fields: Any) -> Pattern:
    """A function that was asked for is entered; other names than `thread`, ... are arguments."""
    common = {name: wanted for name, wanted in fields.items() if name in COMMON}
    arguments = {name: wanted for name, wanted in fields.items() if name not in COMMON}
    extra = {"arguments": arguments} if arguments else {}
    return _made("hit", {"symbol": symbol, **common, **extra})
