"""Whether the guest behind gdb runs: the one place that knows, by what gdb tells."""

import contextlib
import threading
from collections.abc import Iterator

from rcdbg.machine.gdb.mi import GdbError, Record
from rcdbg.machine.gdb.records import exit_code_of, stop_of
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stop import Stop


class GuestState:
    """Runs, stands (and why), or is gone with gdb; `follow` is told, the others may ask."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = False
        self._stop: Stop | None = None
        self._gone = False

    @property
    def running(self) -> bool:
        """Whether it runs, as far as gdb has told."""
        with self._changed:
            return self._running

    @property
    def readable(self) -> bool:
        """Whether it is there and stands."""
        with self._changed:
            ended = self._stop is not None and self._stop.reason == "exited"
            return not (self._gone or ended or self._running)

    def follow(self, record: Record | None) -> None:
        """Take what gdb tells, in order; None is gdb's own end."""
        with self._changed:
            # With several that were tried, the last one counts.
            self._gone = record is None
            if record is None:
                self._running = False
            elif record.kind in ("notify", "result"):
                self._understand(record)
            self._changed.notify_all()

    def _understand(self, record: Record) -> None:
        payload = record.payload or {}
        # As a notification or as a command's result, whichever comes first.
        if record.message == "running":
            self._running, self._stop = True, None
        elif record.message == "stopped":
            self._running, self._stop = False, stop_of(payload)
        elif record.message == "thread-group-exited" and (
            self._stop is None or self._stop.reason != "exited"
        ):
            # A machine that is killed says no more than this.
            self._running, self._stop = False, Stop("exited", exit_status=exit_code_of(payload))

    @contextlib.contextmanager
    def set_going(self) -> Iterator[None]:
        """Within it the guest is set going: the last stop is over, unless that fails."""
        with self._changed:
            before, self._stop = self._stop, None
        try:
            yield
        except BaseException:
            with self._changed:
                if not self._running and self._stop is None:
                    self._stop = before
            raise

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        deadline = Deadline(timeout)
        with self._changed:
            while self._stop is None:
                if self._gone:
                    raise GdbError("gdb has ended")
                if not self._changed.wait(deadline.remaining) and deadline.expired:
                    raise DeadlineError(f"the guest did not stop within {timeout:g} s")
            return self._stop

    def stands_within(self, seconds: float) -> bool:
        """Whether it does not run any more, at the latest after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)
