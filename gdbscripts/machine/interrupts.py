"""Ctrl-C while a command of ours lets the kernel run: not lost, and never in the midst of things.

gdb answers Ctrl-C by a byte to the stub, which QEMU drops if the kernel has just come to a
breakpoint; where a breakpoint's `stop` then says to go on, it goes on for ever. With breakpoints
that are met a few hundred times a second that is what usually happens. So SIGINT is kept from gdb
and taken by a thread, which has `stop` know of it and asks gdb for a stop until there is one.
"""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from typing import Self

import gdb

_AGAIN_SECONDS = 0.2
_SIGINT = frozenset({signal.SIGINT})


class Interrupts:
    """While it is entered, Ctrl-C sets `asked` and stops the kernel, and does nothing else."""

    def __init__(self) -> None:
        self.asked = False
        self._ending = False
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._mask: set[int] = set()

    def __enter__(self) -> Self:
        # A blocked signal goes to the thread that waits for it; gdb's own handler stays in place.
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGINT))
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        if self._listener.ident is not None:
            signal.pthread_kill(self._listener.ident, signal.SIGINT)
        self._over.set()
        self._listener.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _listen(self) -> None:
        signal.sigwait(_SIGINT)
        while not self._ending:
            self.asked = True
            gdb.post_event(self._stop)
            # The byte may have come while QEMU stepped over a breakpoint, and have been dropped.
            self._over.wait(_AGAIN_SECONDS)
        self._over.wait()  # the thread has to be there still when it is sent its last signal

    def _stop(self) -> None:
        thread = gdb.selected_thread()
        if self._ending or thread is None or not thread.is_valid() or not thread.is_running():
            return
        with suppress(gdb.error):  # it has stopped by itself
            gdb.execute("interrupt")


def resume() -> bool:
    """Let the kernel run until gdb says that it stands; False if the connection broke meanwhile."""
    try:
        gdb.execute("continue")
    except gdb.error:
        if gdb.selected_inferior().pid:
            raise
        return False  # "Remote connection closed": the machine has ended
    return True
