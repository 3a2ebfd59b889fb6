"""A listener that remembers, and can be waited for."""

import threading
import time
from collections.abc import Callable

_SECONDS = 60.0


class Recorder:
    """What a session has told."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[str] = []
        self.printed = ""

    def _add(self, event: str) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def on_running(self) -> None:
        self._add("running")

    def on_stop(self) -> None:
        self._add("stop")

    def on_console_text(self, text: str) -> None:
        with self._changed:
            self.printed += text
            self._changed.notify_all()

    def on_exit(self, reason: str) -> None:
        self._add(reason)

    def wait(self, condition: Callable[["Recorder"], object]) -> None:
        """Until the condition holds of this."""
        end = time.monotonic() + _SECONDS
        with self._changed:
            while not condition(self):
                left = end - time.monotonic()
                assert left > 0, f"only {self.events}, and the kernel said:\n{self.printed}"
                self._changed.wait(left)

    def wait_stops(self, count: int) -> None:
        """Until so many stops have come."""
        self.wait(lambda me: me.events.count("stop") >= count)

    def clear(self) -> None:
        """Forget what has been told."""
        with self._changed:
            self.events.clear()
