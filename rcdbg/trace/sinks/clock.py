"""Guest time for formats that need one for each event, and never one that goes back."""

from fractions import Fraction

from rcdbg.trace.moment import TIMEBASE_HZ
from rcdbg.trace.record import TraceEvent

_WITHOUT_A_CLOCK = Fraction(1, 1_000_000)


class SecondsClock:
    """Seconds of guest time since the machine's start, of one event after the other.

    Where a trace has no times, an event takes a microsecond.
    """

    def __init__(self, timebase_hz: int | None) -> None:
        self._tick = Fraction(1, timebase_hz or TIMEBASE_HZ)
        self._now = Fraction(0)

    def at(self, event: TraceEvent) -> Fraction:
        """When it was: not before the event before it."""
        now = event.seq * _WITHOUT_A_CLOCK if event.ticks is None else event.ticks * self._tick
        self._now = max(self._now, now)
        return self._now
