"""Waiting with an end: no wait in this layer is without one."""

import time

from rcdbg.errors import MachineError


class DeadlineError(MachineError):
    """What was waited for did not happen in time."""


class Deadline:
    """A moment in the future, so that one limit can cover several waits."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining == 0.0
