"""What holds for the events of every trace."""

from collections.abc import Iterable

from rcdbg.trace.record import TraceEvent


def in_order(events: Iterable[TraceEvent]) -> bool:
    """Whether sequence numbers have no gap and time never goes back."""
    seq, ticks = 0, -1
    for event in events:
        if event.seq != seq + 1 or (event.ticks is not None and event.ticks < ticks):
            return False
        seq, ticks = event.seq, ticks if event.ticks is None else event.ticks
    return True
