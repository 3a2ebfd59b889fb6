"""Events of a kernel that runs under gdb, seen from breakpoints of ours that gdb does not list.

At each of the observer's places gdb calls `stop`, which looks at the machine, has the observer say
what that means, and lets gdb go on. Nothing there changes the machine: gdb is in the midst of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import gdb

from gdbscripts.machine.connection import demand_machine
from gdbscripts.machine.interrupts import Interrupts, resume
from gdbscripts.machine.step_mode import set_step_mode, step_mode
from gdbscripts.machine.target import GdbTarget
from rcdbg.errors import RcdbgError
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.machine.stub.dialect import STEP_ALONE
from rcdbg.trace.moment import SHUT_DOWN, TIME_OVER, TIMEBASE_HZ, Moment
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.record import BY_USER, TraceEnd, TraceEvent
from rcdbg.trace.until import Countdown

if TYPE_CHECKING:
    from rcdbg.trace.sinks.sink import Sink
    from rcdbg.trace.until import Ending

ENDED = "the machine has ended"
"""As far as gdb can tell: that somebody ended it, or that its connection broke."""

_CYCLES = "mcycle"
_AGAIN_SECONDS = 0.5


class GdbMemory:
    """The memory of the machine as it stands now; nothing is kept from one stop to the next."""

    def __init__(self) -> None:
        self.stop = GdbTarget()

    @property
    def ram(self) -> Ram | None:
        """Not known over this protocol."""
        return None

    def read_phys(self, address: int, size: int) -> bytes:
        """Physical memory; raises MemoryReadError."""
        return self.stop.read_phys(address, size)

    def registers(self) -> Registers:
        """The registers of the hart that is selected; raises TargetError."""
        return self.stop.registers()


class _Place(gdb.Breakpoint):
    """A breakpoint of ours at one of the observer's places."""

    def __init__(self, address: int, recorder: GdbRecorder) -> None:
        super().__init__(f"*{address:#x}", internal=True)
        self.silent = True  # gdb's own report would say "Breakpoint -1"
        self._address = address
        self._recorder = recorder

    def stop(self) -> bool:
        """Whether the recording ends here; gdb goes on otherwise."""
        return self._recorder.came_to(self._address)


class GdbRecorder:
    """Lets the kernel run from where it stands, and gives its events to a sink.

    `memory` is what the observer reads. `limit_ticks` is guest time at which the recording ends,
    whatever happens.
    """

    def __init__(
        self,
        observer: Observer,
        memory: GdbMemory,
        sink: Sink,
        until: Ending | None,
        limit_ticks: int | None = None,
    ) -> None:
        self._observer = observer
        self._memory = memory
        self._sink = sink
        self._until = until
        self._countdown = Countdown(until)
        self._limit = limit_ticks
        self._csrs = _needed(observer)
        self._interrupts = Interrupts()
        self.events = 0
        self._repeats = 0
        self._last: tuple[Registers, int] | None = None
        self._why = ""
        self._error: Exception | None = None

    def record(self) -> TraceEnd:
        """Run; the kernel stands afterwards, unless it has ended.

        Raises RcdbgError or gdb.error where it cannot be looked at.
        """
        told = _Told()
        connected = True
        with self._interrupts, _settings(), told, self._breakpoints():
            registers = self._memory.stop.some_registers(("satp", "scause"))
            self._observer.join(Moment(registers))
            # Where it stands counts: the instruction there has not been executed yet.
            if registers.pc not in self._csrs or not self.came_to(registers.pc):
                connected = self._run(told)
            alive = bool(gdb.selected_inferior().pid)
        if self._error is not None and (alive or isinstance(self._error, OSError)):
            raise self._error  # else it is that the machine does not answer any more
        if not self._why:
            self._why = self._what_stopped_it(told, connected, alive)
        return TraceEnd(
            self._why, self.events, self._observer.lost, self._repeats, told.exit_status
        )

    def _run(self, told: _Told) -> bool:
        while True:
            with _alarm(self._seconds_left()) as alarm:
                connected = resume()
            if not (connected and alarm.rang and told.is_interrupt) or self._interrupts.asked:
                return connected
            if self._why or self._error is not None or not gdb.selected_inferior().pid:
                return connected
            if not self._seconds_left():
                self._why = TIME_OVER
                return connected

    def _seconds_left(self) -> float | None:
        """Seconds of guest time up to the limit; None without one."""
        now = GdbTarget().ticks()
        if self._limit is None or now is None:
            return None
        return max(self._limit - now, 0) / TIMEBASE_HZ

    def _what_stopped_it(self, told: _Told, connected: bool, alive: bool) -> str:
        if not alive:
            for event in self._observer.finish():
                self._tell(event)
            return SHUT_DOWN if connected and told.has_exited else ENDED
        return BY_USER if self._interrupts.asked else told.why

    def came_to(self, address: int) -> bool:
        """The hart is about to execute what is there; whether that is the end of the recording."""
        try:
            self._look(address)
        except (RcdbgError, gdb.error, OSError) as error:
            self._error = error
            return True
        return bool(self._why) or self._interrupts.asked

    def _look(self, address: int) -> None:
        stop = self._memory.stop = GdbTarget()
        registers = stop.some_registers((*self._csrs[address], _CYCLES))
        # QEMU may stop there, and stop once more before it has executed anything.
        this = registers, registers.csrs[_CYCLES]
        if this == self._last:
            self._repeats += 1
            return
        self._last = this
        ticks = stop.ticks()
        for event in self._observer.feed(Moment(registers, ticks)):
            self._tell(event)
            if self._limit is None and self._until and self._countdown.reached(event):
                self._why = self._until.why
                break
        if self._limit is not None and ticks is not None and ticks >= self._limit:
            self._why = TIME_OVER

    def _tell(self, event: TraceEvent) -> None:
        self.events += 1
        self._sink.event(event)

    @contextmanager
    def _breakpoints(self) -> Iterator[None]:
        places: list[_Place] = []
        try:
            for address in self._observer.addresses:
                places.append(_Place(address, self))
            yield
        finally:
            for place in places:
                with suppress(RuntimeError, gdb.error):  # gdb took it away itself
                    place.delete()


def _needed(observer: Observer) -> Mapping[int, tuple[str, ...]]:
    """The CSRs that have to be known at each place."""
    found: dict[int, dict[str, None]] = {}
    for probe in observer.places:
        found.setdefault(probe.address, {}).update(dict.fromkeys(probe.csrs))
    return {address: tuple(names) for address, names in found.items()}


class _Told:
    """What gdb tells of the last stop, while it is entered."""

    def __init__(self) -> None:
        self.why = "gdb stopped it"
        self.is_interrupt = False
        self.has_exited = False
        self.exit_status: int | None = None

    def _stopped(self, event: gdb.StopEvent) -> None:
        self.is_interrupt = False
        if isinstance(event, gdb.BreakpointEvent):
            numbers = sorted(b.number for b in event.breakpoints if b.number > 0)
            names = f"breakpoint {', '.join(map(str, numbers))}"
            self.why = f"{names} of yours" if numbers else "a breakpoint"
        elif isinstance(event, gdb.SignalEvent):
            self.why = f"signal {event.stop_signal}"
            self.is_interrupt = event.stop_signal == "SIGINT"

    def _exited(self, event: gdb.ExitedEvent) -> None:
        self.has_exited = True
        status = getattr(event, "exit_code", None)
        self.exit_status = None if status is None else int(status)

    def __enter__(self) -> _Told:
        gdb.events.stop.connect(self._stopped)
        gdb.events.exited.connect(self._exited)
        return self

    def __exit__(self, *_: object) -> None:
        gdb.events.stop.disconnect(self._stopped)
        gdb.events.exited.disconnect(self._exited)


@contextmanager
def _settings() -> Iterator[None]:
    """No questions in the midst of it, and steps that end behind the instruction; then as before.

    While gdb waits for somebody to turn the page the kernel stands.
    """
    connection = demand_machine()
    pages = bool(gdb.parameter("pagination"))
    mode = step_mode(connection)
    gdb.execute("set pagination off")
    # An interrupt must not take a step over a breakpoint. Refused in a replay, where none does.
    set_step_mode(connection, STEP_ALONE)
    try:
        yield
    finally:
        if pages:
            gdb.execute("set pagination on")
        if gdb.selected_inferior().pid:
            with suppress(gdb.error, ValueError):
                set_step_mode(connection, mode)


class _Alarm:
    rang = False


@contextmanager
def _alarm(seconds: float | None) -> Iterator[_Alarm]:
    """Has the kernel stop after so many seconds of the host, though nothing happens in it."""
    alarm = _Alarm()
    if seconds is None:
        yield alarm
        return

    def stop() -> None:
        thread = gdb.selected_thread()
        if over.is_set() or thread is None or not thread.is_valid() or not thread.is_running():
            return
        alarm.rang = True
        with suppress(gdb.error):  # it has stopped by itself
            gdb.execute("interrupt")

    def ring() -> None:
        wait: float = seconds
        # The byte may have come while QEMU stepped over a breakpoint, and have been dropped.
        while not over.wait(wait):
            gdb.post_event(stop)
            wait = _AGAIN_SECONDS

    over = threading.Event()
    ringer = threading.Thread(target=ring, daemon=True)
    ringer.start()
    try:
        yield alarm
    finally:
        over.set()
        ringer.join()
