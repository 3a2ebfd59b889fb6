"""The guest's serial line, collected as it is written."""

import codecs
import logging
import os
import re
import select
import threading
from collections.abc import Callable

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import Deadline, DeadlineError

_LOG = logging.getLogger(__name__)

MAX_CHARACTERS = 8 << 20
"""Of the text, this much is kept; a guest that prints for hours must not fill the host."""

_TYPING_SECONDS = 10.0


class SerialConsole:
    """The text that the guest has printed so far, and a way to type to it.

    Filled by the machine's reader thread. Bytes that are not UTF-8 become U+FFFD.
    `keyboard` is the descriptor to type to, non-blocking, or None where there is no way in.
    """

    def __init__(self, keyboard: int | None) -> None:
        self._keyboard = keyboard
        self._refusal = "this machine's serial line has no input: boot it with serial='socket'"
        self._changed = threading.Condition()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._chunks: list[str] = []
        self._ended = False
        self._subscribers: list[Callable[[str], None]] = []

    @property
    def text(self) -> str:
        """All that was printed so far, or the last `MAX_CHARACTERS` of it."""
        with self._changed:
            return self._joined()

    @property
    def ended(self) -> bool:
        """Whether no more can come: the machine has ended and all it printed has been read."""
        with self._changed:
            return self._ended

    def wait_for(
        self, pattern: str | re.Pattern[str], timeout: float, *, start: int = 0
    ) -> re.Match[str]:
        """Wait until `text` matches, from index `start` on; a `str` is taken literally.

        `match.end()` is the `start` for what comes after it. Raises DeadlineError after `timeout`
        seconds, and MachineError when the machine ends without having printed it.
        """
        wanted = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
        deadline = Deadline(timeout)
        with self._changed:
            while True:
                text = self._joined()
                match = wanted.search(text, start)
                if match is not None:
                    return match
                if self._ended:
                    raise MachineError(
                        f"the machine ended before it printed {wanted.pattern!r}: {_tail(text)}"
                    )
                if not self._changed.wait(deadline.remaining) and deadline.expired:
                    raise DeadlineError(
                        f"no {wanted.pattern!r} on the console in {timeout:g} s: {_tail(text)}"
                    )

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with all text so far, then with each new piece; returns the way out.

        New pieces come from the machine's reader thread, so the callback must be quick; one may
        still be on its way when the way out has been taken.
        """
        with self._changed:
            text = self._joined()
            if text:
                callback(text)
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._changed:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def write(self, data: bytes) -> None:
        """Type `data`; raises MachineError if this serial line has no input, or has ended.

        A machine that stands takes some 100 KiB; a DeadlineError says that it took no more.
        """
        deadline = Deadline(_TYPING_SECONDS)
        while data:
            if self._keyboard is None:
                raise MachineError(self._refusal)
            if self._ended:
                raise MachineError("cannot type to the guest: the machine has ended")
            try:
                data = data[os.write(self._keyboard, data) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._keyboard, select.POLLOUT)
                if not poll.poll(deadline.remaining * 1000):
                    raise DeadlineError("the guest does not read what is typed to it") from None
            except OSError as error:
                raise MachineError("cannot type to the guest: the machine has ended") from error

    def feed(self, data: bytes) -> None:
        """Take what the guest printed; an empty `data` is the end. For the reader thread."""
        with self._changed:
            text = self._decoder.decode(data, final=not data)
            if text:
                self._chunks.append(text)
                self._trim()
            self._ended = not data
            self._changed.notify_all()
            subscribers = list(self._subscribers) if text else []
        # Called without the lock: a listener may wait for a thread that reads `text`.
        for callback in subscribers:
            try:
                callback(text)
            except Exception:  # noqa: BLE001
                # A broken listener must not end the console.
                _LOG.exception("a console subscriber failed")

    def detach_keyboard(self) -> None:
        """Refuse further typing; the descriptor is about to be closed."""
        self._refusal = "cannot type to the guest: the machine has been closed"
        self._keyboard = None

    def _joined(self) -> str:
        if len(self._chunks) > 1:
            self._chunks = ["".join(self._chunks)]
        return self._chunks[0] if self._chunks else ""

    def _trim(self) -> None:
        excess = sum(map(len, self._chunks)) - MAX_CHARACTERS
        if excess > MAX_CHARACTERS // 4:  # seldom, since it copies all
            self._chunks = [self._joined()[excess:]]


def _tail(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return f"its last line is {lines[-1]!r}" if lines else "it printed nothing"
