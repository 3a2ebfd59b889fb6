"""A kernel's story, told and judged: the vocabulary of tests over what a kernel does.

    run.until(trap_enter(cause="timer"))             # it comes; the kernel stands there
    run.collect(switch(), count=6)                   # these, in order
    run.expect_order(sleep(1), wake(1))              # one after the other
    run.never(thread_exit(), until=console("done"))  # does not come before that
    run.eventually(switch(to=2), ticks=1_000_000)    # has come, or comes in time
    with run.within(ticks=500_000): ...              # all of it in 50 ms of the guest's time

What is awaited is an event of the trace (`rcdbg.trace.patterns`), or a condition of
`rcdbg.trace.story.conditions`. The kernel stands at each event until the next word; its state,
memory and registers can be read and changed there.
"""

import contextlib
import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeGuard, overload

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.guest.snapshot import write_snapshot
from rcdbg.image.elf import Image
from rcdbg.machine.host.deadline import Deadline
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.threads.call_stacks import HartStack, read_hart_stack
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.moment import TIMEBASE_HZ, Moment
from rcdbg.trace.patterns import Matcher
from rcdbg.trace.record import Trace, TraceEnd, TraceEvent, TraceHeader
from rcdbg.trace.run import (
    NANOSECONDS_PER_INSTRUCTION,
    NANOSECONDS_PER_TICK,
    Boot,
    MissedError,
    Run,
    describe,
    machine_of,
)
from rcdbg.trace.sinks.files import write_trace
from rcdbg.trace.story import faults
from rcdbg.trace.story.conditions import Condition, Exited
from rcdbg.trace.story.invariants import Invariant
from rcdbg.trace.story.waiting import Limit, OverdueError, wait_stop
from rcdbg.trace.story.watching import Watch

DEFAULT_TICKS = 200_000_000
"""Guest time within which an event has to come unless the test says otherwise: 20 s."""

HOST_SECONDS = 120.0
"""For a guest whose own time does not go on."""

DEFAULT_KINDS = parse_kinds("traps,threads,satp")
"""What is recorded of every story: little enough to cost little, and what tests ask for."""

MAX_HISTORY = 200_000
_TICKS_PER_MS = TIMEBASE_HZ // 1000
_EXIT_SECONDS = 10.0

Awaited = Condition | Matcher


class StoryError(MissedError):
    """The story went another way than the test says; the first line says how."""


StoryError.__module__ = "rcdbg.testing"  # from where tests have it, and shorter in their reports


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The machine has ended, with this exit status."""

    status: int

    def __str__(self) -> str:
        return f"the kernel ended with status {self.status}"


Happening = TraceEvent | Condition | Ended


class Story(Run):
    """A `Run` that knows what happened, and the words to say what should have.

    `history` has the events so far, and the lines that the kernel printed among them.
    """

    def __init__(
        self,
        boot: Boot,
        image: Image | None = None,
        *,
        kinds: Sequence[str] = DEFAULT_KINDS,
        invariants: Iterable[Invariant] = (),
    ) -> None:
        super().__init__(boot, image)
        self.boot = boot
        self.history: deque[TraceEvent] = deque(maxlen=MAX_HISTORY)
        self.memory = faults.Memory(self.stub, self.kernel)
        self.registers = faults.RegisterFile(self.stub)
        self.exit_status: int | None = None
        self._watch = Watch(self.image, self.profile, self.target, kinds)
        self._invariants = list(invariants)
        self._pending: deque[TraceEvent] = deque()
        self._reached: list[Condition] = []
        self._breakpoints: dict[int, int] = {}
        self._ticks = 0
        self._told_events = 0
        self._last_stop: tuple[Registers, int] | None = None
        self._within: int | None = None
        self._judged: Kernel | None = None
        self._printed = 0
        self._entry = self.image.physical(self.image.entry)

    def kernel(self) -> Kernel:
        """The kernel as it stands now; the same one for all invariants at an event."""
        return self._judged or super().kernel()

    # What is awaited

    @overload
    def until(
        self, event: Matcher, seconds: float = ..., *, ticks: int | None = ...
    ) -> TraceEvent: ...
    @overload
    def until(
        self, event: Condition, seconds: float = ..., *, ticks: int | None = ...
    ) -> Kernel | None: ...

    def until(
        self, event: Awaited, seconds: float = HOST_SECONDS, *, ticks: int | None = None
    ) -> TraceEvent | Kernel | None:
        """Run to the next `event`; the kernel stands there afterwards.

        Returns it, or for a condition the kernel at that moment; None after a shutdown that was
        waited for. Raises StoryError if the machine ends first, or `ticks` of the guest's time
        pass; UsageError for an event that this kernel cannot have.
        """
        __tracebackhide__ = True
        times = getattr(event, "times", 1)
        for found in self._happenings([event], f"expected {event}", ticks, seconds):
            if isinstance(found, Ended):
                self._demand_end(event, found)
                return None
            if not _is(found, event):
                continue
            times -= 1
            if times < 1:
                return found if isinstance(found, TraceEvent) else self.kernel()
        raise AssertionError("happenings end only by an end")

    def collect(
        self,
        event: Matcher,
        *,
        count: int | None = None,
        until: Awaited | None = None,
        ticks: int | None = None,
    ) -> list[TraceEvent]:
        """All such events from here on: `count` of them, or those before `until`, or in `ticks`.

        Without a limit, up to the machine's end. Raises StoryError if `count` or `until` does not
        come.
        """
        __tracebackhide__ = True
        found: list[TraceEvent] = []
        wanted = f"expected {count} x {event}" if count is not None else f"expected {until}"
        awaited = [event, *([until] if until is not None else [])]
        window = ticks if count is None and until is None else None
        end = self.ticks + window if window is not None else None
        try:
            for one in self._happenings(awaited, wanted, ticks, raw=window is not None):
                if isinstance(one, Ended):
                    if (count is None and until is None) or _ends(until, one):
                        return found
                    got = f", after {len(found)} x {event}" if found else ""
                    self._fail(f"{wanted}, but {self._end_words(one)}{got}")
                if until is not None and _is(one, until):
                    return found
                if isinstance(one, TraceEvent) and event.matches(one):
                    found.append(one)
                    if len(found) == count:
                        return found
        except OverdueError:
            if end is None:
                raise
        return found

    def expect_order(self, *events: Matcher, ticks: int | None = None) -> list[TraceEvent]:
        """These events come, one after the other, and none of them out of turn; returns them.

        Other events may come between. Raises StoryError.
        """
        __tracebackhide__ = True
        order = ", then ".join(map(str, events))
        found: list[TraceEvent] = []
        if not events:
            return found
        for one in self._happenings(list(events), f"expected {order}", ticks):
            awaited = events[len(found)]
            if isinstance(one, Ended):
                self._fail(f"expected {order}, but {self._end_words(one)} before {awaited}")
            if not isinstance(one, TraceEvent):
                continue
            if awaited.matches(one):
                found.append(one)
                if len(found) == len(events):
                    return found
            else:
                early = next((e for e in events if e.matches(one)), None)
                if early is not None:
                    came = f"{early} came before {awaited}"
                    self._fail(f"expected {order}, but {came}, {_when(one)}")
        return found

    def never(
        self, event: Matcher, *, until: Awaited | None = None, ticks: int | None = None
    ) -> None:
        """`event` does not come before `until`, in `ticks`, or at all; raises StoryError."""
        __tracebackhide__ = True
        limit = f" before {until}" if until is not None else f" in {_time(ticks)}" if ticks else ""
        window = ticks is not None and until is None
        awaited = [event, *([until] if until is not None else [])]
        try:
            for one in self._happenings(awaited, f"expected {until}", ticks, raw=window):
                if isinstance(one, Ended):
                    if until is None or _ends(until, one):
                        return
                    self._fail(f"expected {until}, but {self._end_words(one)}")
                if isinstance(one, TraceEvent) and event.matches(one):
                    self._fail(f"expected no {event}{limit}, but it came {_when(one)}")
                if until is not None and _is(one, until):
                    return
        except OverdueError:
            if not window:
                raise

    def eventually(self, event: Matcher, *, ticks: int | None = None) -> TraceEvent:
        """`event` has come already, or comes within `ticks`; returns the first one."""
        __tracebackhide__ = True
        for old in self.history:
            if event.matches(old):
                return old
        return self.until(event, ticks=ticks)

    @contextlib.contextmanager
    def within(self, *, ticks: int) -> Iterator[Self]:
        """What is awaited inside has to come before `ticks` of the guest's time have passed."""
        __tracebackhide__ = True
        outer, end = self._within, self.ticks + ticks
        self._within = end if outer is None else min(end, outer)
        try:
            yield self
        finally:
            self._within = outer
        if self.ticks > end:
            self._fail(f"expected all of it within {_time(ticks)}, "
                       f"but it took {_time(self.ticks - end + ticks)}")  # fmt: skip

    def always(self, *rules: Invariant) -> None:
        """From here on these have to hold, at every event."""
        self._invariants += rules

    # What there is at a stop

    @property
    def ticks(self) -> int:
        """The guest's time, in ticks of its timebase (10 MHz); at its end after it."""
        if self.exit_status is None:
            self._ticks = self.stub.ticks()
        return self._ticks

    def backtrace(self) -> HartStack:
        """The hart's call stack, through traps into the code that they interrupted."""
        return read_hart_stack(self.kernel())

    def heap(self) -> Heap:
        """The kernel's heap."""
        return read_heap(self.kernel())

    def owners(self) -> FrameOwners:
        """Who has each frame."""
        return read_frame_owners(self.kernel())

    def read(self, path: str) -> int:
        """The number at a PATH, as `rcdbg print` has it: a static, or a field inside of it."""
        return faults.value_at(self.kernel(), path)

    def write(self, path: str, number: int) -> None:
        """Change the number at a PATH."""
        faults.write_at(self.kernel(), self.memory, path, number)

    def type(self, text: str) -> None:
        """Type to the kernel's console. The kernel gets it when it runs and reads."""
        self.qemu.console.write(text.encode())

    def save_snapshot(self, path: Path) -> int:
        """Write a snapshot of the kernel as it stands; returns the file's size in bytes."""
        return write_snapshot(path, machine_of(self), self.target.read_phys)

    @property
    def header(self) -> TraceHeader:
        """What the history is made of, as for a recording."""
        return TraceHeader(
            backend="story",
            clock="exact",
            deterministic=self.deterministic,
            kinds=self._watch.kinds,
            hits=self._watch.hits,
            kernel=self.image.path.name,
            build_id=self.image.build_id or "",
            append=self.boot.append,
        )

    def save_trace(self, path: Path) -> None:
        """Write the events so far, for `rcdbg trace`; raises TraceFileError."""
        why = "the test failed" if self.exit_status is None else "the machine was shut down"
        end = TraceEnd(why, len(self.history), exit_status=self.exit_status)
        write_trace(path, Trace(self.header, tuple(self.history), end))

    # How it goes on

    def _happenings(
        self,
        awaited: Sequence[Awaited],
        expected: str,
        ticks: int | None,
        seconds: float = HOST_SECONDS,
        *,
        raw: bool = False,
    ) -> Iterator[Happening]:
        """What happens from here on; the kernel stands at each until the next one is asked for.

        An end is the last. When the time is over: OverdueError if `raw`, else StoryError.
        """
        __tracebackhide__ = True
        conditions = [a for a in awaited if _is_condition(a)]
        self._watch.demand(awaited)
        begun = self.ticks
        limit = Limit(self._end_of_time(begun, ticks), Deadline(seconds))
        self._break_at(conditions)
        try:
            while True:
                yield from self._told(conditions, limit)
                if self.exit_status is not None:
                    yield Ended(self.exit_status)
                    return
                self._go_on(conditions, limit)
        except OverdueError as error:
            self._settle()
            if raw:
                raise
            overdue = error
        finally:
            self._unbreak()
        self._fail(f"{expected} {self._overdue_words(overdue, limit, begun)}")

    def _end_of_time(self, now: int, ticks: int | None) -> int:
        ends = [now + (DEFAULT_TICKS if ticks is None else ticks)]
        if self._within is not None:
            ends = [self._within] if ticks is None else [*ends, self._within]
        return min(ends)

    def _told(self, conditions: Sequence[Condition], limit: Limit) -> Iterator[Happening]:
        __tracebackhide__ = True
        while self._pending:
            event = self._pending[0]
            if event.ticks is not None and event.ticks > limit.ticks:
                raise OverdueError(event.ticks, by_host=False)
            event = self._tell(self._pending.popleft())
            self._check(event)
            yield event
        reached, self._reached = self._reached, []
        for condition in reached:
            if self._ticks > limit.ticks:
                raise OverdueError(self._ticks, by_host=False)
            yield condition

    def _go_on(self, conditions: Sequence[Condition], limit: Limit) -> None:
        self.stub.resume()
        stop = wait_stop(self.stub, limit)
        if stop.reason == "exited":
            self.exit_status = self.qemu.wait(_EXIT_SECONDS)
            self._breakpoints.clear()
            self._take(self._watch.rest())
            self._hear()
            return
        self.qemu.settle()
        kernel = self.kernel()
        here, now = kernel.registers.pc, self.ticks
        if self._last_stop == (kernel.registers, now):
            return  # not executed the last time, since QEMU looked for timers first
        self._last_stop = kernel.registers, now
        if here == self._entry:
            # What the firmware has printed is not the kernel's story.
            self._printed = len(self.console)
            self._entry = None
            self._break_at(conditions)
        self._hear()
        self._take(self._watch.events(Moment(kernel.registers, now, self._instructions(now))))
        for condition in conditions:
            places = condition.places(self.image, self.profile)
            if here in places and condition.happened(kernel):
                self._reached.append(condition)

    def _instructions(self, ticks: int) -> int | None:
        """How many the hart has executed; under QEMU's -icount the clock is made of them."""
        if not self.deterministic:
            return None
        return ticks * NANOSECONDS_PER_TICK // NANOSECONDS_PER_INSTRUCTION

    def _take(self, events: Iterable[TraceEvent]) -> None:
        self._pending.extend(events)

    def _break_at(self, conditions: Sequence[Condition]) -> None:
        wanted = {*self._watch.places, *([] if self._entry is None else [self._entry])}
        for condition in conditions:
            wanted.update(condition.places(self.image, self.profile))
        if self.exit_status is not None:
            return
        for address in set(self._breakpoints) - wanted:
            self.stub.remove_breakpoint(self._breakpoints.pop(address))
        for address in wanted - set(self._breakpoints):
            self._breakpoints[address] = self.stub.insert_breakpoint(address)

    def _unbreak(self) -> None:
        """Whoever lets the machine run by other means is not to be stopped by a story."""
        numbers, self._breakpoints = self._breakpoints, {}
        if self.exit_status is None and self.qemu.alive and not self.stub.running:
            with contextlib.suppress(MachineError):
                for number in numbers.values():
                    self.stub.remove_breakpoint(number)

    def _settle(self) -> None:
        self.qemu.settle()
        self._hear()

    def _hear(self) -> None:
        """Take the lines that were printed since the last stop into the history."""
        if "console" in self._watch.kinds or self._entry is not None:
            return
        text = self.console
        end = text.rfind("\n") + 1
        for line in text[self._printed : end].splitlines() if end > self._printed else ():
            if line.strip():
                self._tell(_heard(line.rstrip("\r"), self._ticks))
        self._printed = max(end, self._printed)

    def _tell(self, event: TraceEvent) -> TraceEvent:
        """Put an event into the history, under the next number."""
        self._told_events += 1
        told = dataclasses.replace(event, seq=self._told_events)
        self.history.append(told)
        return told

    def _check(self, event: TraceEvent) -> None:
        __tracebackhide__ = True
        # One moment for all of them: what one has decoded, the next one need not.
        self._judged = super().kernel() if self._invariants else None
        try:
            for rule in self._invariants:
                broken = rule.broken(self, event)
                if broken is not None:
                    self._fail(f"{rule.name} is broken: {broken}; seen {_when(event)}")
        finally:
            self._judged = None

    # How it fails

    def _demand_end(self, event: Awaited, end: Ended) -> None:
        __tracebackhide__ = True
        if not _ends(event, end):
            self._fail(f"expected {event}, but {self._end_words(end)}")

    def _end_words(self, end: Ended) -> str:
        lines = [line for line in self.console.splitlines() if line.strip()]
        return f"{end}; it said: {lines[-1].strip()}" if lines else str(end)

    def _overdue_words(self, error: OverdueError, limit: Limit, begun: int) -> str:
        where = describe(self.kernel().place(self.stub.registers().pc))
        if error.by_host:
            went = _time(error.ticks - begun)
            return (f"within {limit.host.seconds:g} s of the host's time ({went} of the guest's); "
                    f"the kernel is at {where}")  # fmt: skip
        return f"within {_time(limit.ticks - begun)}; the kernel is at {where}"

    def _fail(self, message: str) -> None:
        __tracebackhide__ = True
        raise StoryError(message)


def _is_matcher(awaited: Awaited) -> TypeGuard[Matcher]:
    return hasattr(awaited, "matches")


def _is_condition(awaited: Awaited) -> TypeGuard[Condition]:
    return hasattr(awaited, "places")


def _is(found: Happening, awaited: Awaited) -> bool:
    if isinstance(found, TraceEvent):
        return _is_matcher(awaited) and awaited.matches(found)
    return found is awaited


def _ends(awaited: Awaited | None, end: Ended) -> bool:
    return isinstance(awaited, Exited) and awaited.status in (None, end.status)


def _when(event: TraceEvent) -> str:
    """`at 598.905 ms, in thread 2, as event 9 (switch)`."""
    time = "" if event.ticks is None else f"at {event.ticks / _TICKS_PER_MS:.3f} ms, "
    whose = "in no thread" if event.thread is None else f"in thread {event.thread}"
    return f"{time}{whose}, as event {event.seq} ({event.kind})"


def _heard(line: str, ticks: int) -> TraceEvent:
    """A line that was printed some time before the present stop."""
    fields = {"text": line}
    return TraceEvent(0, "console", ticks, None, 0, None, 0, "", fields, ("heard at this stop",))


def _time(ticks: int) -> str:
    """`1,000,000 ticks (100 ms)`."""
    seconds = ticks / TIMEBASE_HZ
    said = f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"
    return f"{ticks:,} ticks ({said})"
