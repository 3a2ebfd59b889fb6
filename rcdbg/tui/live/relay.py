"""What gdb tells, for the screen: that the guest runs, stands, or is gone."""

import contextlib
import threading
from collections.abc import Iterator

from rcdbg.machine.gdb.mi import Record
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.tui.live.rig import Rig
from rcdbg.tui.session import Listener

STOP_SECONDS = 5.0


class Relay:
    """Hears one machine, and tells one listener, from the moment that there is one."""

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._telling = threading.Lock()
        self._end_reason: str | None = None
        self._quiet = False

    def attach(self, listener: Listener, rig: Rig) -> None:
        """Tell `listener` how things stand, and from now on how they change."""
        rig.qemu.console.subscribe(listener.on_console_text)
        with self._telling:
            self._listener = listener
            if self._end_reason is not None:
                listener.on_exit(self._end_reason)
                return
            try:
                rig.gdb.wait_stop(0)
            except DeadlineError:
                listener.on_running()
            else:
                listener.on_stop()

    def cut(self) -> None:
        """Tell nobody any more."""
        with self._telling:
            self._listener = None

    def end(self, reason: str) -> None:
        """QEMU or gdb is gone."""
        with self._telling:
            self._end_reason = reason
            if self._listener is not None:
                self._listener.on_exit(reason)

    def take(self, record: Record) -> None:
        """gdb tells something, from its thread."""
        with self._telling:
            if self._quiet or record.kind != "notify" or self._listener is None:
                return
            if record.message == "running":
                self._listener.on_running()
            elif record.message == "stopped":
                why = (record.payload or {}).get("reason", "")
                # A machine that ends says so by itself: nothing can be read from it any more.
                if not why.startswith("exited"):
                    self._listener.on_stop()

    @contextlib.contextmanager
    def standing(self, rig: Rig) -> Iterator[None]:
        """Hold a running guest for a moment, unnoticed; one that stops by itself stays so."""
        if not rig.gdb.running:
            yield
            return
        self._quiet = True
        reason = ""
        try:
            rig.gdb.interrupt()
            reason = rig.gdb.wait_stop(STOP_SECONDS).reason
            yield
            if reason == "interrupt":
                rig.gdb.resume()
        finally:
            with self._telling:
                self._quiet = False
                if self._listener is not None and reason not in ("", "interrupt", "exited"):
                    self._listener.on_stop()
