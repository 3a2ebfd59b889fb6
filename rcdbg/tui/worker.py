"""The one thread that talks to the debugged kernel, so that the screen never waits for it."""

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Worker:
    """Runs jobs one after the other in a thread of its own.

    A job that raises gives the exception to `on_error`, in that thread, and the next one follows.
    """

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._on_error = on_error
        self._thread = threading.Thread(target=self._run, name="rcdbg-session", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Do `job` when all that was asked for before is done."""
        self._jobs.put(job)

    def close(self, seconds: float) -> bool:
        """Let the thread end after what it has to do; returns whether it did in that time."""
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001
                # Whatever went wrong, the user is told, and can go on.
                self._on_error(error)
