"""How a story goes on: the kernel runs from happening to happening, and stands at each."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.kernels.description import Description
from rcdbg.machine.host.deadline import Deadline
from rcdbg.model.kernel import Kernel
from rcdbg.trace.conditions import Condition
from rcdbg.trace.moment import Moment
from rcdbg.trace.record import TraceEvent
from rcdbg.trace.run import NANOSECONDS_PER_INSTRUCTION, NANOSECONDS_PER_TICK, Runner
from rcdbg.trace.story.happenings import Awaited, Ended, Happening, is_condition
from rcdbg.trace.story.history import History
from rcdbg.trace.story.waiting import Limit, OverdueError, wait_stop
from rcdbg.trace.story.watching import Watch

DEFAULT_TICKS = 200_000_000
"""Guest time within which something has to come unless the test says otherwise: 20 s."""


class Stage(Protocol):
    """The machine that a story plays on: a `Run`, or a recording of one."""

    image: Image
    deterministic: bool

    @property
    def description(self) -> Description:
        """What the kernel's things are called."""

    @property
    def runner(self) -> Runner:
        """Lets it run and stops it."""

    @property
    def console(self) -> str:
        """What was printed so far, all of it after `settle`."""

    def kernel(self) -> Kernel:
        """The kernel as it stands."""

    def settle(self) -> None:
        """Wait until what was printed is in `console`."""

    def end(self) -> int:
        """The exit status of a machine that is shut down."""


class Course:
    """Plays a kernel, tells what is watched for into the history, and yields it.

    `exit_status` is None until the machine has ended. `latest`, unless it is None, is the guest
    time by which everything has to have come.
    """

    def __init__(self, stage: Stage, watch: Watch, history: History) -> None:
        self.exit_status: int | None = None
        self.latest: int | None = None
        self._stage = stage
        self._watch = watch
        self._history = history
        self._pending: deque[TraceEvent] = deque()
        self._holding: list[Condition] = []
        self._breakpoints: dict[int, int] = {}
        self._ticks = 0
        self._last_stop: tuple[Registers, int] | None = None
        self._entry = stage.image.physical(stage.image.entry)

    @property
    def ticks(self) -> int:
        """The guest's time, in ticks of its timebase; after its end that of the last stop."""
        if self.exit_status is None:
            self._ticks = self._stage.runner.ticks()
        return self._ticks

    @property
    def watch(self) -> Watch:
        """What is watched for."""
        return self._watch

    def happenings(
        self, awaited: Sequence[Awaited], ticks: int | None, seconds: float
    ) -> Iterator[Happening]:
        """What happens from here on; the kernel stands at each until the next one is asked for.

        An end is the last. Raises OverdueError after `ticks` of the guest's time (None:
        DEFAULT_TICKS) or `seconds` of the host's, and UsageError for what this kernel cannot have.
        """
        __tracebackhide__ = True
        conditions = [a for a in awaited if is_condition(a)]
        self._watch.demand(awaited)
        begun = self.ticks
        limit = Limit(begun, self._end_of_time(begun, ticks), Deadline(seconds))
        self._break_at(conditions)
        try:
            while True:
                yield from self._told(limit)
                if self.exit_status is not None:
                    yield Ended(self.exit_status)
                    return
                self._go_on(conditions, limit)
        except OverdueError:
            self._stage.settle()
            self._hear()
            raise
        finally:
            self._unbreak()

    def _end_of_time(self, now: int, ticks: int | None) -> int:
        ends = [now + (DEFAULT_TICKS if ticks is None else ticks)]
        if self.latest is not None:
            ends = [self.latest] if ticks is None else [*ends, self.latest]
        return min(ends)

    def _told(self, limit: Limit) -> Iterator[Happening]:
        """What has happened at this stop."""
        __tracebackhide__ = True
        while self._pending:
            if (at := self._pending[0].ticks) is not None:
                limit.demand(at)
            yield self._history.tell(self._pending.popleft())
        holding, self._holding = self._holding, []
        for condition in holding:
            limit.demand(self._ticks)
            yield condition

    def _go_on(self, conditions: Sequence[Condition], limit: Limit) -> None:
        """Run to the next stop, and see what has happened by then."""
        stage = self._stage
        stage.runner.resume()
        if wait_stop(stage.runner, limit).reason == "exited":
            self.exit_status = stage.end()
            self._breakpoints.clear()
            self._pending.extend(self._watch.rest())
            self._hear()
            return
        stage.settle()
        kernel = stage.kernel()
        here, now = kernel.registers.pc, self.ticks
        if self._last_stop == (kernel.registers, now):
            return  # not executed the last time, since QEMU looked for timers first
        self._last_stop = kernel.registers, now
        if here == self._entry:
            # What the firmware has printed is not the kernel's story.
            self._history.pass_over(stage.console)
            self._entry = None
            self._break_at(conditions)
        self._hear()
        moment = Moment(kernel.registers, now, self._instructions(now))
        self._pending.extend(self._watch.events(moment))
        for condition in conditions:
            places = condition.places(stage.image, stage.description)
            if here in places and condition.happened(kernel):
                self._holding.append(condition)

    def _instructions(self, ticks: int) -> int | None:
        """How many the hart has executed; under QEMU's -icount the clock is made of them."""
        if not self._stage.deterministic:
            return None
        return ticks * NANOSECONDS_PER_TICK // NANOSECONDS_PER_INSTRUCTION

    def _hear(self) -> None:
        """Take the lines that were printed since the last stop into the history."""
        if "console" not in self._watch.kinds and self._entry is None:
            self._history.hear(self._stage.console, self._ticks)

    def _places(self, conditions: Iterable[Condition]) -> set[int]:
        places = {*self._watch.places, *([] if self._entry is None else [self._entry])}
        for condition in conditions:
            places.update(condition.places(self._stage.image, self._stage.description))
        return places

    def _break_at(self, conditions: Sequence[Condition]) -> None:
        wanted, runner = self._places(conditions), self._stage.runner
        if self.exit_status is not None:
            return
        for address in set(self._breakpoints) - wanted:
            runner.remove_breakpoint(self._breakpoints.pop(address))
        for address in wanted - set(self._breakpoints):
            self._breakpoints[address] = runner.insert_breakpoint(address)

    def _unbreak(self) -> None:
        """Whoever lets the machine run by other means is not to be stopped by a story."""
        numbers, self._breakpoints = self._breakpoints, {}
        runner = self._stage.runner
        if self.exit_status is None and not runner.running:
            with contextlib.suppress(MachineError):
                for number in numbers.values():
                    runner.remove_breakpoint(number)
