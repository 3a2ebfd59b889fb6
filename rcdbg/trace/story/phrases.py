"""Times, ends and events of a story, in the words of its failures."""

from rcdbg.trace.moment import TIMEBASE_HZ
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.story.happenings import Ended
from rcdbg.trace.story.waiting import OverdueError

_TICKS_PER_MS = TIMEBASE_HZ // 1000


def when(event: TraceEvent) -> str:
    """`at 598.905 ms, in thread 2, as event 9 (switch)`."""
    time = "" if event.ticks is None else f"at {event.ticks / _TICKS_PER_MS:.3f} ms, "
    whose = "in no thread" if event.thread is None else f"in thread {event.thread}"
    return f"{time}{whose}, as event {event.seq} ({event.kind})"


def duration(ticks: int) -> str:
    """`1,000,000 ticks (100 ms)`."""
    seconds = ticks / TIMEBASE_HZ
    said = f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"
    return f"{ticks:,} ticks ({said})"


def ended(end: Ended, console: str) -> str:
    """The end, and the last line that was printed before it."""
    lines = [line for line in console.splitlines() if line.strip()]
    return f"{end}; it said: {lines[-1].strip()}" if lines else str(end)


def overdue(error: OverdueError, place: str) -> str:
    """`within 500,000 ticks (50 ms); the kernel is at ...`."""
    limit, where = error.limit, f"the kernel is at {place}"
    if error.by_host:
        went = duration(error.ticks - limit.begun)
        return (
            f"within {limit.host.seconds:g} s of the host's time ({went} of the guest's); {where}"
        )
    return f"within {duration(limit.ticks - limit.begun)}; {where}"
