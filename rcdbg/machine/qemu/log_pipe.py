"""A log in a pipe, drained by a thread: QEMU waits for a slow reader, and for nothing else."""

import fcntl
import os
import select
import threading
import time
from collections import deque

from rcdbg.machine.qemu.reader import unread

_READ = 1 << 20


class LogPipe:
    """Our end of a log: a duplicate of `file`. One thread reads it, any may end it.

    QEMU waits when `most` bytes are kept for the reader and the pipe is full.
    """

    def __init__(self, file: int, most: int) -> None:
        self._most = most
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._kept = 0
        self._changed = threading.Condition()
        self._released = False
        # Its own descriptor: the machine may be closed while this still reads.
        self._file = os.dup(file)
        self._open = True
        self.capacity: int = fcntl.fcntl(self._file, fcntl.F_GETPIPE_SZ)
        """Bytes that the pipe takes before QEMU waits."""
        self._thread = threading.Thread(target=self._drain, name="rcdbg-log", daemon=True)
        self._thread.start()

    def read(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """When it was read (`time.monotonic_ns`) and what was logged; empty at the end.

        None if nothing comes within `timeout` seconds.
        """
        with self._changed:
            if timeout == 0 and not self._chunks and self.unread:
                self._take()
            if not self._changed.wait_for(lambda: self._chunks, timeout):
                return None
            when, data = self._chunks.popleft()
            self._kept -= len(data)
            self._changed.notify_all()
            return when, data

    @property
    def unread(self) -> int:
        """Bytes in the pipe; the thread may come and take them."""
        with self._changed:
            return unread(self._file) if self._open else 0

    def release(self) -> None:
        """From now on QEMU does not wait for the reader."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the log's end, that is, QEMU's."""
        self._thread.join()

    def _drain(self) -> None:
        try:
            poll = select.poll()
            poll.register(self._file, select.POLLIN)
            while events := poll.poll():
                with self._changed:
                    if not unread(self._file) and not events[0][1] & select.POLLHUP:
                        continue  # the reader has taken it
                    if not self._take():
                        return
                    self._changed.wait_for(lambda: self._kept < self._most or self._released)
        finally:
            with self._changed:
                os.close(self._file)
                self._open = False
                self._chunks.append((0, b""))
                self._changed.notify_all()

    def _take(self) -> bool:
        """Read once from the pipe, in which there is something; False at its end."""
        data = os.read(self._file, _READ)
        if data:
            self._chunks.append((time.monotonic_ns(), data))
            self._kept += len(data)
            self._changed.notify_all()
        return bool(data)
