"""A kernel's story, told and judged: the vocabulary of tests over what a kernel does.

    run.until(trap_enter(cause="timer"))             # it comes; the kernel stands there
    run.collect(switch(), count=6)                   # these, in order
    run.expect_order(sleep(1), wake(1))              # one after the other
    run.never(thread_exit(), until=console("done"))  # does not come before that
    run.eventually(switch(to=2), ticks=1_000_000)    # has come, or comes in time
    with run.within(ticks=500_000): ...              # all of it in 50 ms of the guest's time

What is awaited is an event of the trace (`rcdbg.trace.patterns`), or a condition of
`rcdbg.trace.conditions`. The kernel stands at each event until the next word; its state,
memory and registers can be read and changed there.
"""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol, Self, overload

from rcdbg.image.elf import Image
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.programs.explained import place_now
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState
from rcdbg.model.threads.call_stacks import HartStack, read_hart_stack
from rcdbg.trace.conditions import Condition
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.patterns import Matcher
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.run import Boot, MissedError, Run, describe
from rcdbg.trace.story import faults, phrases
from rcdbg.trace.story.course import Course
from rcdbg.trace.story.happenings import Awaited, Ended, Happening, is_end, is_it
from rcdbg.trace.story.history import History
from rcdbg.trace.story.waiting import OverdueError
from rcdbg.trace.story.watching import Watch

HOST_SECONDS = 120.0
"""For a guest whose own time does not go on."""

DEFAULT_KINDS = parse_kinds("traps,threads,satp")
"""What is recorded of every story: little enough to cost little, and what tests ask for."""


class StoryError(MissedError):
    """The story went another way than the test says; the first line says how."""


StoryError.__module__ = "rcdbg.testing"  # from where tests have it, and shorter in their reports


class Rule(Protocol):
    """What has to hold at the events of a story; see `rcdbg.trace.story.invariants`."""

    @property
    def name(self) -> str:
        """What it is called in a failure."""

    def broken(self, run: "Story", event: TraceEvent, /) -> str | None:
        """What is wrong after that event, in words; None if it holds."""


@dataclass(slots=True, eq=False)
class Story:
    """What a kernel does, event by event, and the words to say what it should have done.

    `machine` is the kernel that the story is about; `history` has the events so far, and the lines
    that the kernel printed among them.
    """

    boot: Boot
    machine: Run
    image: Image
    memory: faults.Memory
    registers: faults.RegisterFile
    history: deque[TraceEvent]
    course: Course = field(repr=False)
    rules: list[Rule] = field(repr=False)
    _moment: Kernel | None = field(default=None, init=False, repr=False)
    """The kernel while rules look at it: what one of them has decoded, the next one need not."""

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
        for found in _happenings(self, [event], f"expected {event}", ticks, seconds):
            if isinstance(found, Ended):
                _demand(is_end(event, found), f"expected {event}, but {_ended(self, found)}")
                return None
            if not is_it(found, event):
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
        endless = count is None and until is None
        wanted = f"expected {count} x {event}" if count is not None else f"expected {until}"
        awaited = [event, *([until] if until is not None else [])]
        window = endless and ticks is not None
        with contextlib.suppress(_WindowOverError):
            for one in _happenings(self, awaited, None if window else wanted, ticks):
                if isinstance(one, Ended):
                    got = f", after {len(found)} x {event}" if found else ""
                    expected = endless or is_end(until, one)
                    _demand(expected, f"{wanted}, but {_ended(self, one)}{got}")
                elif until is not None and is_it(one, until):
                    return found
                elif isinstance(one, TraceEvent) and event.matches(one):
                    found.append(one)
                    if len(found) == count:
                        return found
        return found

    def expect_order(self, *events: Matcher, ticks: int | None = None) -> list[TraceEvent]:
        """These events come, one after the other, and none of them out of turn; returns them.

        Other events may come between. Raises StoryError.
        """
        __tracebackhide__ = True
        expected = f"expected {', then '.join(map(str, events))}"
        found: list[TraceEvent] = []
        if not events:
            return found
        for one in _happenings(self, events, expected, ticks):
            awaited = events[len(found)]
            if isinstance(one, Ended):
                _fail(f"{expected}, but {_ended(self, one)} before {awaited}")
            if not isinstance(one, TraceEvent):
                continue
            if awaited.matches(one):
                found.append(one)
                if len(found) == len(events):
                    return found
            else:
                early = next((e for e in events if e.matches(one)), None)
                if early is not None:
                    came = f"{early} came before {awaited}, {phrases.when(one)}"
                    _fail(f"{expected}, but {came}")
        return found

    def never(
        self, event: Matcher, *, until: Awaited | None = None, ticks: int | None = None
    ) -> None:
        """`event` does not come before `until`, in `ticks`, or at all; raises StoryError."""
        __tracebackhide__ = True
        limit = f" before {until}" if until is not None else ""
        limit = f" in {phrases.duration(ticks)}" if ticks and not limit else limit
        window = ticks is not None and until is None
        awaited = [event, *([until] if until is not None else [])]
        expected = None if window else f"expected {until}"
        with contextlib.suppress(_WindowOverError):
            for one in _happenings(self, awaited, expected, ticks):
                if isinstance(one, Ended):
                    right = until is None or is_end(until, one)
                    _demand(right, f"expected {until}, but {_ended(self, one)}")
                elif isinstance(one, TraceEvent) and event.matches(one):
                    _fail(f"expected no {event}{limit}, but it came {phrases.when(one)}")
                elif until is not None and is_it(one, until):
                    return

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
        outer, end = self.course.latest, self.ticks + ticks
        self.course.latest = end if outer is None else min(end, outer)
        try:
            yield self
        finally:
            self.course.latest = outer
        took = self.ticks - end + ticks
        said = f"within {phrases.duration(ticks)}, but it took {phrases.duration(took)}"
        _demand(took <= ticks, f"expected all of it {said}")

    def always(self, *rules: Rule) -> None:
        """From here on these have to hold, at every event."""
        self.rules += rules

    # What there is at a stop

    @property
    def ticks(self) -> int:
        """The guest's time, in ticks of its timebase (10 MHz); at its end after it."""
        return self.course.ticks

    @property
    def exit_status(self) -> int | None:
        """Of a machine that has ended; None until then."""
        return self.course.exit_status

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self.machine.console

    def kernel(self) -> Kernel:
        """The kernel as it stands now; for all rules at an event it is the same one."""
        return self._moment or self.machine.kernel()

    def state(self) -> KernelState:
        """Everything decoded, as it stands now."""
        return read_state(self.kernel())

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
        self._moment = None

    def type(self, text: str) -> None:
        """Type to the kernel's console. The kernel gets it when it runs and reads."""
        self.machine.qemu.console.write(text.encode())


def begin(
    boot: Boot,
    image: Image | None = None,
    *,
    kinds: Sequence[str] = DEFAULT_KINDS,
    rules: Iterable[Rule] = (),
) -> Story:
    """Boot a kernel whose story is told from its first instruction; it has not run yet.

    `kinds` are watched from the start, and `rules` have to hold at every event. Close the story's
    `machine` to end it. Raises ImageError for an unusable ELF, MachineError without a QEMU.
    """
    machine = Run(boot, image)
    memory = faults.Memory(machine.stub, machine.kernel)
    watch = Watch(machine.image, machine.overlay, machine.target, kinds)
    history = History()
    course = Course(machine, watch, history)
    registers = faults.RegisterFile(machine.stub)
    return Story(
        boot, machine, machine.image, memory, registers, history.events, course, list(rules)
    )


class _WindowOverError(Exception):
    """The time in which a word was to look is over: no failure."""


def _happenings(
    story: Story,
    awaited: Sequence[Awaited],
    expected: str | None,
    ticks: int | None,
    seconds: float = HOST_SECONDS,
) -> Iterator[Happening]:
    """What happens from here on; an end is the last. At each event the rules hold.

    When the time is over: StoryError that this was `expected`, or _WindowOverError for None.
    """
    __tracebackhide__ = True
    try:
        for found in story.course.happenings(awaited, ticks, seconds):
            if isinstance(found, TraceEvent):
                _check(story, found)
            yield found
        return
    except OverdueError as error:
        overdue = error
    if expected is None:
        raise _WindowOverError
    kernel = story.kernel()
    place = describe(place_now(kernel))
    _fail(f"{expected} {phrases.overdue(overdue, place)}")


def _check(story: Story, event: TraceEvent) -> None:
    __tracebackhide__ = True
    story._moment = story.machine.kernel() if story.rules else None
    try:
        for rule in story.rules:
            broken = rule.broken(story, event)
            if broken is not None:
                _fail(f"{rule.name} is broken: {broken}; seen {phrases.when(event)}")
    finally:
        story._moment = None


def _ended(story: Story, end: Ended) -> str:
    return phrases.ended(end, story.console)


def _demand(holds: bool, otherwise: str) -> None:
    __tracebackhide__ = True
    if not holds:
        _fail(otherwise)


def _fail(message: str) -> NoReturn:
    __tracebackhide__ = True
    raise StoryError(message)
