"""QEMU's monitor, asked from ordinary (not asynchronous) code.

Protocol: QEMU Machine Protocol Specification; commands: QEMU QMP Reference Manual. The library
`qemu.qmp` speaks it on an event loop of its own, in a thread of its own.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from qemu.qmp import ExecInterruptedError, QMPClient, QMPError, Runstate
from qemu.qmp.qmp_client import ExecuteError

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import DeadlineError

ANSWER_SECONDS = 20.0
"""How long a command may take unless the caller says otherwise; `savevm` takes 0.03."""

_LOG = logging.getLogger(__name__)
# The library reports a closed connection as an error in the log; to us it is no news. Without any
# handler Python would print it, in the middle of a TUI.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())

_T = TypeVar("_T")
Event = Mapping[str, Any]
"""A QMP event: `event` is its name, `data` its content if it has any."""


class MonitorError(MachineError):
    """The monitor is gone, or refuses a command; the message is QEMU's own."""


class Monitor:
    """A connection to QMP; all methods may be called from any thread.

    `where` is the path of QMP's unix socket, or a connected socket on which greeting and
    capabilities have been dealt with; it is owned by this object from then on.
    Raises MonitorError if nothing that speaks QMP listens there.
    """

    def __init__(self, where: Path | socket.socket) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._closed = False
        self._loop = asyncio.new_event_loop()
        # What fails in the library's own tasks reaches us as the error of a command, if at all.
        self._loop.set_exception_handler(lambda _, context: _LOG.debug("%s", context["message"]))
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="rcdbg-monitor", daemon=True
        )
        self._thread.start()
        try:
            self._client = self._run(self._connect(where), ANSWER_SECONDS)
        except BaseException:
            self._stop_loop()
            raise

    def execute(
        self, command: str, *, timeout: float = ANSWER_SECONDS, **arguments: object
    ) -> object:
        """What `command` returns; an underscore in an argument's name stands for a hyphen.

        Raises MonitorError if QEMU refuses or ends, DeadlineError after `timeout` seconds.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self._run(self._client.execute(command, named), timeout)

    def hmp(self, line: str, *, timeout: float = ANSWER_SECONDS) -> str:
        """What the human monitor prints for `line`, such as "info mem"; also its complaints."""
        answer = self.execute("human-monitor-command", timeout=timeout, command_line=line)
        return str(answer).replace("\r\n", "\n")

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event, from the monitor's thread; returns the way out.

        Events of the time before the connection are kept by QEMU and come first.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):  # done already
                self._listeners.remove(listener)

        return unsubscribe

    def close(self) -> None:
        """Disconnect; QEMU goes on. May be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            # An error here is the connection's old one: it is over in any case.
            with contextlib.suppress(MachineError):
                self._run(self._disconnect(), ANSWER_SECONDS, closing=True)
        finally:
            self._stop_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _connect(self, where: Path | socket.socket) -> QMPClient:
        client = QMPClient("rcdbg")
        if isinstance(where, socket.socket):
            client.await_greeting = client.negotiate = False
            where.setblocking(False)
        address = where if isinstance(where, socket.socket) else str(where)
        try:
            await client.connect(address)
        except AssertionError as error:
            # How the library notices that the other side hung up at once: it raises why.
            await client.disconnect()
            raise EOFError from error
        self._events = asyncio.create_task(self._dispatch(client))
        return client

    async def _disconnect(self) -> None:
        self._events.cancel()
        if self._client.runstate != Runstate.IDLE:
            await self._client.disconnect()

    async def _dispatch(self, client: QMPClient) -> None:
        async for event in client.events:
            for listener in list(self._listeners):
                try:
                    listener(event)
                except Exception:  # noqa: BLE001
                    # A broken listener must not end the others.
                    _LOG.exception("a listener to QEMU's events failed")

    def _run(self, work: Coroutine[Any, Any, _T], timeout: float, *, closing: bool = False) -> _T:
        if self._closed and not closing:
            work.close()
            raise MonitorError("the connection to QEMU's monitor is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise DeadlineError(f"QEMU's monitor gave no answer in {timeout:g} s") from error
        except ExecuteError as error:
            raise MonitorError(f"QEMU says: {error}") from error
        except (ExecInterruptedError, QMPError, EOFError, OSError) as error:
            raise MonitorError("QEMU has ended, or closed its monitor") from error

    def _stop_loop(self) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_tasks(), self._loop).result(ANSWER_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
