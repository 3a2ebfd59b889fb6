"""What happens in a story, and what its test waits for."""

from dataclasses import dataclass
from typing import TypeGuard

from rcdbg.trace.conditions import Condition, Exited
from rcdbg.trace.patterns import Matcher
from rcdbg.trace.record import TraceEvent


@dataclass(frozen=True, slots=True)
class Ended:
    """The machine has ended, with this exit status."""

    status: int

    def __str__(self) -> str:
        return f"the kernel ended with status {self.status}"


Awaited = Condition | Matcher
"""An event of the trace, by a pattern, or a condition."""

Happening = TraceEvent | Condition | Ended
"""An event, a condition that holds, or the end, which is the last one."""


def is_condition(awaited: Awaited) -> TypeGuard[Condition]:
    """Whether it names places to stop at."""
    return hasattr(awaited, "places")


def is_matcher(awaited: Awaited) -> TypeGuard[Matcher]:
    """Whether it is compared with events."""
    return hasattr(awaited, "matches")


def is_it(found: Happening, awaited: Awaited) -> bool:
    """Whether what has happened is what was waited for; an end never is: see `is_end`."""
    if isinstance(found, TraceEvent):
        return is_matcher(awaited) and awaited.matches(found)
    return found is awaited


def is_end(awaited: Awaited | None, end: Ended) -> bool:
    """Whether this end was waited for."""
    return isinstance(awaited, Exited) and awaited.status in (None, end.status)
