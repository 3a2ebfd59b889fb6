"""Choosing some of a trace's events: by kind, thread, sequence number, time, and words."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rcdbg.errors import UsageError
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.until import parse_ticks


@dataclass(frozen=True, slots=True)
class Bound:
    """A place in a trace: the event with a sequence number, or an instant in ticks."""

    unit: Literal["seq", "ticks"]
    value: int

    def order(self, event: TraceEvent) -> int | None:
        """How far the event is behind it (0: there); None if the event has no time."""
        at = event.seq if self.unit == "seq" else event.ticks
        return None if at is None else at - self.value


def parse_bound(text: str, timebase_hz: int | None) -> Bound:
    """What `--from` or `--to` says: `120` is an event, `5ms`, `1s` or `20000t` an instant."""
    if re.fullmatch("[0-9]{1,15}", text.strip()):
        return Bound("seq", int(text))
    ticks = parse_ticks(text.strip(), timebase_hz)
    if ticks is None:
        raise UsageError(f"{text}: neither an event's number (120) nor a time (5ms, 1s, 20000t)")
    return Bound("ticks", ticks)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: None is no condition. `after` and `before` are both inclusive."""

    kinds: tuple[str, ...] | None = None
    threads: tuple[int | None, ...] | None = None
    after: Bound | None = None
    before: Bound | None = None
    words: re.Pattern[str] | None = None
    last: int | None = None

    def of(
        self, events: Iterable[TraceEvent], text: Callable[[TraceEvent], str]
    ) -> Iterator[TraceEvent]:
        """Those of `events` that are chosen; `text` says what the words are looked for in."""
        chosen = (event for event in self._until(events) if self._takes(event, text))
        return iter(deque(chosen, maxlen=self.last)) if self.last is not None else chosen

    def _until(self, events: Iterable[TraceEvent]) -> Iterator[TraceEvent]:
        for event in events:
            behind = None if self.before is None else self.before.order(event)
            if behind is not None and behind > 0:
                return
            yield event

    def _takes(self, event: TraceEvent, text: Callable[[TraceEvent], str]) -> bool:
        if self.kinds is not None and event.kind not in self.kinds:
            return False
        if self.threads is not None and event.thread not in self.threads:
            return False
        if self.after is not None:
            behind = self.after.order(event)
            if behind is None or behind < 0:
                return False
        return self.words is None or self.words.search(text(event)) is not None
