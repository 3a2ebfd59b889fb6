"""When a recording is over: after an event, a number of events, or a stretch of guest time."""

import re
from dataclasses import dataclass
from fractions import Fraction

from rcdbg.errors import UsageError
from rcdbg.trace.moment import TIME_OVER, TIMEBASE_HZ
from rcdbg.trace.patterns import Matcher, pattern
from rcdbg.trace.record import COUNTED, EVENT_SEEN, TraceEvent

_TIME = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(s|ms|us|t)")
_UNITS = {"s": Fraction(1), "ms": Fraction(1, 1000), "us": Fraction(1, 1_000_000)}


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a recording: the `count`-th event that the `matcher` means, if there is one.

    `after_ticks` is guest time since the recording's start instead, so that a recorder can also end
    one in which nothing happens any more. `text` is how the user said it.
    """

    text: str
    matcher: Matcher | None = None
    count: int = 1
    after_ticks: int | None = None

    @property
    def why(self) -> str:
        """Why a recording is over that came to it by an event."""
        if self.after_ticks is not None:
            return TIME_OVER
        return COUNTED if self.matcher is None else EVENT_SEEN


class Countdown:
    """Looks for the end among the events of one recording; None never comes."""

    def __init__(self, ending: Ending | None) -> None:
        self._ending = ending
        self._seen = 0

    def reached(self, event: TraceEvent) -> bool:
        """Whether the recording ends with this event; asked about each in turn."""
        ending = self._ending
        if ending is None:
            return False
        if ending.after_ticks is not None:
            return event.ticks is not None and event.ticks >= ending.after_ticks
        if ending.matcher is None or ending.matcher.matches(event):
            self._seen += 1
        return self.came

    @property
    def came(self) -> bool:
        """Whether as many events as were asked for have been seen."""
        return self._ending is not None and self._seen >= self._ending.count


def after_events(count: int) -> Ending:
    """After so many events of any kind."""
    return Ending(f"{count:,} events" if count > 1 else "1 event", count=count)


def after_ticks(ticks: int) -> Ending:
    """At that guest time, in ticks of the timebase."""
    return Ending(f"{ticks}t of guest time", after_ticks=ticks)


def at(wanted: Matcher) -> Ending:
    """At the first event that is meant."""
    return Ending(str(wanted), wanted)


def parse_until(text: str, timebase_hz: int | None = TIMEBASE_HZ) -> Ending:
    """What `--until` says: a pattern of events, `1000` events, or `2s`, `500ms`, `20us`, `1000t`.

    `t` are ticks of the guest's timebase. Raises UsageError.
    """
    text = text.strip()
    if re.fullmatch("[0-9]{1,15}", text):
        if int(text) < 1:
            raise UsageError(f"--until {text}: at least one event")
        return after_events(int(text))
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
