"""Waiting for a guest with limits in the guest's own time, and in the host's for safety."""

from dataclasses import dataclass

from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub.client import StubClient

_FIRST_LOOK_SECONDS = 0.1
_LONGEST_SLICE_SECONDS = 1.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limit:
    """How long to wait: until guest time `ticks` (absolute), and no longer than `host`."""

    ticks: int
    host: Deadline


class OverdueError(Exception):
    """A limit has passed, and the guest stands; `by_host` if it was the host's."""

    def __init__(self, ticks: int, *, by_host: bool) -> None:
        super().__init__(f"overdue at {ticks}")
        self.ticks = ticks
        self.by_host = by_host


def wait_stop(stub: StubClient, limit: Limit) -> Stop:
    """Why a running guest stands; raises OverdueError, and then it stands too.

    The guest's clock can only be read while it stands: it is stopped for that, seldom, and in a
    deterministic run without a trace in what it does.
    """
    slice_seconds = _FIRST_LOOK_SECONDS
    while True:
        try:
            return stub.wait_stop(min(slice_seconds, limit.host.remaining))
        except DeadlineError:
            stub.interrupt()
            stop = stub.wait_stop(_STOP_SECONDS)
        if stop.reason != "interrupt":
            return stop
        now = stub.ticks()
        if now > limit.ticks or limit.host.expired:
            raise OverdueError(now, by_host=now <= limit.ticks)
        if stub.has_breakpoint(stop.pc):
            # Resumed from here, it would pass the breakpoint without having stopped at it.
            return stop
        slice_seconds = min(2 * slice_seconds, _LONGEST_SLICE_SECONDS)
        stub.resume()
