"""Text from a thread that may print faster than anybody can read."""

import threading
from collections import deque

MAX_CHARACTERS = 16_000
"""Kept between two looks: a few screens, painted in some 10 ms."""


class Mailbox:
    """Pieces of text, put in by one thread and taken out by another, the newest of them kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: deque[str] = deque()
        self._size = 0
        self._dropped = 0

    def put(self, text: str) -> bool:
        """Add `text`; returns whether there was nothing before."""
        with self._lock:
            first = not self._pieces
            if len(text) > MAX_CHARACTERS:
                self._dropped += len(text) - MAX_CHARACTERS
                text = text[-MAX_CHARACTERS:]
            self._pieces.append(text)
            self._size += len(text)
            while self._size > MAX_CHARACTERS:
                oldest = self._pieces.popleft()
                self._size -= len(oldest)
                self._dropped += len(oldest)
            return first

    def take(self) -> str:
        """All that is there, after a line that says how much is not."""
        with self._lock:
            text, dropped = "".join(self._pieces), self._dropped
            self._pieces.clear()
            self._size = self._dropped = 0
        if not dropped:
            return text
        return f"\n[{dropped:,} characters left out: they came too fast]\n{text}"
