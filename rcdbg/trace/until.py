"""When a recording is over: after an event, a number of events, or a stretch of guest time."""

import re
from dataclasses import dataclass, field
from fractions import Fraction

from rcdbg.errors import UsageError
from rcdbg.trace.moment import TIMEBASE_HZ
from rcdbg.trace.patterns import Matcher, pattern
from rcdbg.trace.record import TraceEvent

_TIME = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(s|ms|us|t)")
_UNITS = {"s": Fraction(1), "ms": Fraction(1, 1000), "us": Fraction(1, 1_000_000)}


@dataclass(slots=True)
class Ending:
    """The end of a recording; asked about each event in turn, it remembers what it has seen.

    `after_ticks` is guest time since the machine's start, so that a recorder can also end a
    recording in which nothing happens any more.
    """

    text: str
    matcher: Matcher | None = None
    count: int = 1
    after_ticks: int | None = None
    _seen: int = field(default=0, init=False, repr=False)

    def reached(self, event: TraceEvent) -> bool:
        """Whether the recording ends with this event."""
        if self.after_ticks is not None:
            return event.ticks is not None and event.ticks >= self.after_ticks
        if self.matcher is None or self.matcher.matches(event):
            self._seen += 1
        return self._seen >= self.count

    @property
    def came(self) -> bool:
        """Whether as many events as were asked for have been seen."""
        return self._seen >= self.count


def parse_until(text: str, timebase_hz: int | None = TIMEBASE_HZ) -> Ending:
    """What `--until` says: a pattern of events, `1000` events, or `2s`, `500ms`, `20us`, `1000t`.

    `t` are ticks of the guest's timebase. Raises UsageError.
    """
    text = text.strip()
    if re.fullmatch("[0-9]{1,15}", text):
        if int(text) < 1:
            raise UsageError(f"--until {text}: at least one event")
        return Ending(f"{int(text):,} events" if int(text) > 1 else "1 event", count=int(text))
    if (ticks := parse_ticks(text, timebase_hz)) is not None:
        return Ending(f"{text} of guest time", after_ticks=ticks)
    try:
        wanted = pattern(text)
    except UsageError as error:
        raise UsageError(
            f"--until {text}: neither an event (switch:to=3), nor a number of events (1000), "
            f"nor guest time (2s, 500ms, 1000000t): {error}"
        ) from error
    return Ending(text, wanted, wanted.times)


def parse_ticks(text: str, timebase_hz: int | None = TIMEBASE_HZ) -> int | None:
    """A time such as `2s`, `1.5ms`, `20us` or `1000t` in ticks; None if it is no time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    amount = Fraction(found[1])
    if found[2] != "t":
        amount *= _UNITS[found[2]] * (timebase_hz or TIMEBASE_HZ)
    return int(amount)
