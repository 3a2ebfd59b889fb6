"""Watching processes that are not children of the test."""

import os
import select
import signal
from contextlib import ExitStack

SECONDS = 20.0
"""How long anything may take before a test gives up."""


class Watch:
    """Waits for the ends of processes, and leaves none of them behind."""

    def __init__(self, cleanup: ExitStack) -> None:
        self._cleanup = cleanup
        self._descriptors: dict[int, int] = {}

    def __call__(self, *pids: int) -> None:
        """Watch these from now on; they must run."""
        for pid in pids:
            descriptor = os.pidfd_open(pid)
            self._cleanup.callback(os.close, descriptor)
            self._cleanup.callback(_kill, descriptor)
            self._descriptors[pid] = descriptor

    def ended(self, *pids: int) -> bool:
        """Whether all of them end in time."""
        return all(self._ended(self._descriptors[pid]) for pid in pids)

    @staticmethod
    def _ended(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(SECONDS * 1000))


def _kill(descriptor: int) -> None:
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
