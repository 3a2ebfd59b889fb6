"""Guest time for formats that need one for each event, and never one that goes back."""

from rcdbg.trace.moment import TIMEBASE_HZ
from rcdbg.trace.record import TraceEvent

NANOSECONDS = 10**9
"""In a second."""

_WITHOUT_A_CLOCK = 1000


class EventClock:
    """Nanoseconds of guest time since the machine's start, of one event after the other.

    Where a trace has no times, an event takes a microsecond.
    """

    def __init__(self, timebase_hz: int | None) -> None:
        self._hz = timebase_hz or TIMEBASE_HZ
        self._now = 0

    def at(self, event: TraceEvent) -> int:
        """When it was: not before the event before it."""
        if event.ticks is None:
            now = event.seq * _WITHOUT_A_CLOCK
        else:
            now = event.ticks * NANOSECONDS // self._hz
        self._now = max(self._now, now)
        return self._now
