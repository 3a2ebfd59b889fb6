"""What a story has told so far: events under their numbers, and the lines that were printed."""

from collections import deque
from dataclasses import replace

from rcdbg.trace.record import TraceEvent

MAX_HISTORY = 200_000
"""Events that are kept: the last ones."""


class History:
    """The events of a story in their order; `events` are the last MAX_HISTORY of them."""

    def __init__(self) -> None:
        self.events: deque[TraceEvent] = deque(maxlen=MAX_HISTORY)
        self._told = 0
        self._heard = 0

    def tell(self, event: TraceEvent) -> TraceEvent:
        """Add an event, under the next number; returns it as it was added."""
        self._told += 1
        told = replace(event, seq=self._told)
        self.events.append(told)
        return told

    def pass_over(self, console: str) -> None:
        """What was printed so far is no part of the story."""
        self._heard = len(console)

    def hear(self, console: str, ticks: int) -> None:
        """Add the lines that were printed since the last time; `ticks` is the time now."""
        end = console.rfind("\n") + 1
        if end <= self._heard:
            return
        for line in console[self._heard : end].splitlines():
            if line.strip():
                self.tell(_heard(line.rstrip("\r"), ticks))
        self._heard = end


def _heard(line: str, ticks: int) -> TraceEvent:
    """A line that was printed some time before the present stop."""
    fields = {"text": line}
    return TraceEvent(0, "console", ticks, None, 0, None, 0, "", fields, ("heard at this stop",))
