"""Waiting for a guest with limits in the guest's own time, and in the host's for safety."""

from dataclasses import dataclass

from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.trace.run import Runner

_FIRST_LOOK_SECONDS = 0.1
_LONGEST_SLICE_SECONDS = 1.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limit:
    """How long to wait: until guest time `ticks`, begun at `begun`, and no longer than `host`."""

    begun: int
    ticks: int
    host: Deadline

    def demand(self, now: int) -> None:
        """Raise OverdueError if that guest time is behind it."""
        if now > self.ticks:
            raise OverdueError(self, now)


class OverdueError(Exception):
    """A limit has passed at guest time `ticks`, and the guest stands; `by_host` if the host's."""

    def __init__(self, limit: Limit, ticks: int) -> None:
        super().__init__(f"overdue at {ticks}")
        self.limit = limit
        self.ticks = ticks
        self.by_host = ticks <= limit.ticks


def wait_stop(runner: Runner, limit: Limit) -> Stop:
    """Why a running guest stands; raises OverdueError, and then it stands too.

    The guest's clock can only be read while it stands: it is stopped for that, seldom, and in a
    deterministic run without a trace in what it does.
    """
    slice_seconds = _FIRST_LOOK_SECONDS
    while True:
        try:
            return runner.wait_stop(min(slice_seconds, limit.host.remaining))
        except DeadlineError:
            runner.interrupt()
            stop = runner.wait_stop(_STOP_SECONDS)
        if stop.reason != "interrupt":
            return stop
        now = runner.ticks()
        limit.demand(now)
        if limit.host.expired:
            raise OverdueError(limit, now)
        if runner.has_breakpoint(stop.pc):
            # Resumed from here, it would pass the breakpoint without having stopped at it.
            return stop
        slice_seconds = min(2 * slice_seconds, _LONGEST_SLICE_SECONDS)
        runner.resume()
