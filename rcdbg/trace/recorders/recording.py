"""Recording a run: from a boot to a stream of events, by whichever backend fits."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from rcdbg.errors import UsageError
from rcdbg.guest.protocol import Ram, Registers, Target
from rcdbg.image.elf import Image, load_image
from rcdbg.kernels.recognise import describe
from rcdbg.trace.kinds import DEFAULT_KINDS
from rcdbg.trace.moment import BACKENDS, SHUT_DOWN, TIME_OVER, TIMEBASE_HZ, Backend, Recorder
from rcdbg.trace.observers.arguments import needs_memory
from rcdbg.trace.observers.observer import Observer
from rcdbg.trace.observers.probes import plan
from rcdbg.trace.record import TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.recorders.log_recorder import LogRecorder, Pace
from rcdbg.trace.recorders.replay_recorder import ReplayRecorder
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot, Run

COUNTED, EVENT_SEEN, INTERRUPTED = (
    "as many events as were asked for",
    "the event that was waited for",
    "interrupted",
)


class OwnedRecorder(Recorder, Protocol):
    """A recorder that has a machine of its own, whose memory it lets others read."""

    @property
    def target(self) -> Target:
        """Physical memory."""

    @property
    def repeats(self) -> int:
        """How many moments were taken out as repeats."""

    @property
    def ended(self) -> str:
        """Why there are no more moments, if it knows."""

    @property
    def exit_status(self) -> int | None:
        """QEMU's exit status, once it has ended."""


@dataclass(frozen=True, slots=True)
class Until:
    """When to stop: after so many events, at guest time `ticks`, or at an event that `matches`."""

    events: int | None = None
    ticks: int | None = None
    matches: Callable[[TraceEvent], bool] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to record: kinds of events, and functions whose entries are `hit` events."""

    kinds: Sequence[str] = DEFAULT_KINDS
    hits: Sequence[str] = ()

    @property
    def every_kind(self) -> tuple[str, ...]:
        """The kinds, with `hit` if functions are named."""
        return (*self.kinds, *(("hit",) if self.hits and "hit" not in self.kinds else ()))


@dataclass(slots=True)
class Recording:
    """A recording in progress: iterate over it for the events, then look at `end`.

    A context manager: leaving it ends the machine. KeyboardInterrupt within the iteration ends it
    as well, with what was recorded kept, if `keep_on_interrupt`.
    """

    header: TraceHeader
    _recorder: OwnedRecorder
    _observer: Observer
    _until: Until
    keep_on_interrupt: bool = True
    end: TraceEnd | None = None
    events: int = 0
    started: float = field(default_factory=time.monotonic)
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
            if not self.keep_on_interrupt:
                raise
            why = INTERRUPTED
        self.end = TraceEnd(
            why or self._recorder.ended or SHUT_DOWN,
            self.events,
            self._recorder.lost + self._observer.lost,
            # How often QEMU interrupts itself depends on the host.
            0 if self.header.deterministic else self._recorder.repeats,
            self._recorder.exit_status,
        )

    def _each(self) -> Iterator[TraceEvent]:
        limit = self._until.ticks
        for moment in self._recorder.moments():
            if limit is not None and moment.ticks is not None and moment.ticks >= limit:
                self._overdue = TIME_OVER
                break
            yield from self._observer.feed(moment)
        yield from self._observer.finish()

    def _reached(self, event: TraceEvent) -> str:
        until = self._until
        if until.matches is not None and until.matches(event):
            return EVENT_SEEN
        if until.events is not None and self.events >= until.events:
            return COUNTED
        return ""

    def close(self) -> None:
        """End the machine. May be called again."""
        self._recorder.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def record(
    boot: Boot,
    wanted: Wanted | None = None,
    *,
    backend: str = "auto",
    until: Until | None = None,
    image: Image | None = None,
) -> Recording:
    """Boot a kernel and record it. `backend` is one of `BACKENDS`, "auto" to take what fits.

    "auto" takes the log, which the guest does not wait for, unless something needs more: "stub" for
    a deterministic run, whose times are then exact, or "held", which makes the guest wait at each
    moment, for a function with an argument that is not all in registers.
    Raises ImageError, MachineError, and UsageError for a backend or function that does not exist.
    """
    wanted, until = wanted or Wanted(), until or Until()
    image = image or load_image(boot.kernel)
    chosen = _choose(backend, wanted, boot, image)
    recorder, observer = (
        _by_stub(boot, wanted, until, image)
        if chosen == "stub"
        else _by_log(boot, wanted, until, image, "held" if chosen == "held" else "close")
    )
    header = TraceHeader(
        backend=recorder.name,
        clock=recorder.clock,
        deterministic=boot.deterministic,
        kinds=tuple(wanted.every_kind),
        hits=tuple(wanted.hits),
        kernel=boot.kernel.name,
        build_id=image.build_id,
        append=boot.append,
        timebase_hz=TIMEBASE_HZ,
        unseen=dict(observer.unseen),
    )
    return Recording(header, recorder, observer, until)


def _choose(backend: str, wanted: Wanted, boot: Boot, image: Image) -> Backend:
    """What the run needs: exact times, or memory as it is when an argument lies there."""
    named = next((one for one in BACKENDS if one == backend), None)
    if named is None:
        raise UsageError(f"no backend {backend!r}; known: {', '.join(BACKENDS)}")
    if named != "auto":
        return named
    if boot.deterministic:
        return "stub"
    description = describe(image, boot.overlay)
    made = plan(image, description, ("hit",), wanted.hits) if wanted.hits else None
    hits = [p.function for p in made.probes if p.what == "hit"] if made is not None else []
    in_memory = any(f is not None and needs_memory(f, image.types) for f in hits)
    return "held" if in_memory else "log"


def _by_stub(
    boot: Boot, wanted: Wanted, until: Until, image: Image
) -> tuple[OwnedRecorder, Observer]:
    recorder: OwnedRecorder
    if boot.deterministic:
        recorder = ReplayRecorder(boot, image, limit_ticks=until.ticks)
    else:
        recorder = StubRecorder(Run(boot, image), limit_ticks=until.ticks, owns=True)
    return _observed(recorder, boot, wanted, image)


def _by_log(
    boot: Boot, wanted: Wanted, until: Until, image: Image, pace: Pace
) -> tuple[OwnedRecorder, Observer]:
    recorder = LogRecorder(boot, image, pace=pace, limit_ticks=until.ticks)
    return _observed(recorder, boot, wanted, image)


def _observed(
    recorder: OwnedRecorder, boot: Boot, wanted: Wanted, image: Image
) -> tuple[OwnedRecorder, Observer]:
    try:
        memory = _Memory(recorder)
        observer = Observer(image, boot.overlay, wanted.kinds, wanted.hits, memory)
        recorder.watch(observer.addresses)
    except BaseException:
        recorder.__exit__(None, None, None)
        raise
    return recorder, observer


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
