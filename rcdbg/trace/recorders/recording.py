"""Recording a run: from a boot to a stream of events, by whichever backend fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from rcdbg.errors import UsageError
from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.image.elf import Image, load_image
from rcdbg.kernels.recognise import describe as description_of
from rcdbg.trace.headers import make_header
from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.moment import BACKENDS, SHUT_DOWN, TIME_OVER, Backend, Recorder
from rcdbg.trace.observers.arguments import needs_memory
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import Plan, plan
from rcdbg.trace.record import BY_USER, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.recorders.log_recorder import LogRecorder, Pace
from rcdbg.trace.recorders.replay_recorder import ReplayRecorder
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.until import Countdown
from rcdbg.trace.wanted import Wanted


class OwnedRecorder(Recorder, Protocol):
    """A recorder that has a machine of its own, whose memory it lets others read."""

    @property
    def target(self) -> Target:
        """Physical memory."""

    @property
    def console(self) -> str:
        """What was printed so far."""

    @property
    def repeats(self) -> int:
        """How many moments were taken out as repeats."""

    @property
    def ended(self) -> str:
        """Why there are no more moments, if it knows."""

    @property
    def exit_status(self) -> int | None:
        """QEMU's exit status, once it has ended."""


@dataclass(slots=True)
class Recording:
    """A recording in progress: iterate over it for the events, then look at `end`.

    A context manager: leaving it ends the machine. KeyboardInterrupt within the iteration ends it
    as well, with what was recorded kept.
    """

    header: TraceHeader
    _recorder: OwnedRecorder
    _observer: Observer
    _wanted: Wanted
    _countdown: Countdown
    end: TraceEnd | None = None
    events: int = 0
    _overdue: str = ""

    def __iter__(self) -> Iterator[TraceEvent]:
        """The events as they come; raises MachineError if the machine fails."""
        why = ""
        try:
            for event in self._each():
                self.events += 1
                yield event
                why = self._reached(event)
                if why:
                    break
            else:
                why = self._overdue
        except KeyboardInterrupt:
            why = BY_USER
        self.end = TraceEnd(
            why or self._recorder.ended or SHUT_DOWN,
            self.events,
            self._recorder.lost + self._observer.lost,
            # How often QEMU interrupts itself depends on the host.
            0 if self.header.deterministic else self._recorder.repeats,
            self._recorder.exit_status,
        )

    def _each(self) -> Iterator[TraceEvent]:
        limit = self._wanted.limit_ticks
        for moment in self._recorder.moments():
            if limit is not None and moment.ticks is not None and moment.ticks >= limit:
                self._overdue = TIME_OVER
                break
            yield from self._observer.feed(moment)
        yield from self._observer.finish()

    def _reached(self, event: TraceEvent) -> str:
        until = self._wanted.until
        return until.why if until is not None and self._countdown.reached(event) else ""

    @property
    def target(self) -> Target:
        """Physical memory as it is now, and the registers of the moment of the last event."""
        return self._recorder.target

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self._recorder.console

    @property
    def missed(self) -> bool:
        """Whether it was to end at a certain event that has not come."""
        until = self._wanted.until
        return until is not None and until.matcher is not None and not self._countdown.came

    def close(self) -> None:
        """End the machine. May be called again."""
        self._recorder.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def record(boot: Boot, wanted: Wanted | None = None, *, image: Image | None = None) -> Recording:
    """Boot a kernel and record what is `wanted`.

    The backend "auto" takes the log, which the guest does not wait for, unless something needs
    more: "stub" for a deterministic run, whose times are then exact, or "held", which makes the
    guest wait at each moment, for a function with an argument that is not all in registers, and
    for system calls. A kernel that lists its threads is recorded by "stub", too: memory says who
    runs.
    Raises ImageError, MachineError, and UsageError for a backend or function that does not exist.
    """
    wanted = wanted or Wanted()
    image = image or load_image(boot.kernel)
    made = plan(image, boot.overlay, wanted.kinds, wanted.hits)
    recorder = _recorder(_choose(wanted.backend, made, boot, image), boot, wanted, image)
    try:
        observer = Observer(image, boot.overlay, made, _Memory(recorder))
        recorder.watch(observer.addresses)
    except BaseException:
        recorder.__exit__(None, None, None)
        raise
    header = make_header(
        image,
        made,
        backend=recorder.name,
        clock=recorder.clock,
        deterministic=boot.deterministic,
        append=boot.append,
    )
    return Recording(header, recorder, observer, wanted, Countdown(wanted.until))


def _choose(backend: str, made: Plan, boot: Boot, image: Image) -> Backend:
    """What the run needs: exact times, or memory as it is: an argument, or who runs, lies there."""
    named = next((one for one in BACKENDS if one == backend), None)
    if named is None:
        raise UsageError(f"no backend {backend!r}; known: {', '.join(BACKENDS)}")
    if named != "auto":
        return named
    if boot.deterministic:
        return "stub"
    hits = [probe.function for probe in made.probes if probe.what == "hit"]
    in_memory = any(f is not None and needs_memory(f, image.types) for f in hits)
    # Where threads are listed, memory alone says who runs. A guest that is held while so much is
    # read would find its next timer due before it has done anything.
    names = description_of(image, boot.overlay)
    if names.thread.list or names.process.threads:
        # With several harts each of them stops at a place of all: that took minutes.
        alone = boot.own is None or boot.own.smp in (None, "", "1")
        return "stub" if alone else "held"
    # Among all other kinds they are marked instead: nobody has asked for them.
    calls = made.kinds != DEFAULT_KINDS and bool({"syscall", "syscall_end"} & {*made.kinds})
    return "held" if in_memory or calls else "log"


def _recorder(backend: Backend, boot: Boot, wanted: Wanted, image: Image) -> OwnedRecorder:
    limit = wanted.limit_ticks
    if backend != "stub":
        pace: Pace = "held" if backend == "held" else "close"
        return LogRecorder(boot, image, pace=pace, limit_ticks=limit)
    if boot.deterministic:
        return ReplayRecorder(boot, image, limit_ticks=limit)
    return StubRecorder(Run(boot, image), limit_ticks=limit, owns=True)


class _Memory:
    """The memory of a machine that the recorder starts only when it knows where to look."""

    def __init__(self, recorder: OwnedRecorder) -> None:
        self._recorder = recorder

    @property
    def ram(self) -> Ram | None:
        """Main memory."""
        return self._recorder.target.ram

    def read_phys(self, address: int, size: int) -> bytes:
        """Physical memory, as it is now; raises MemoryReadError."""
        return self._recorder.target.read_phys(address, size)

    def registers(self) -> Registers:
        """The registers of the last moment."""
        return self._recorder.target.registers()
