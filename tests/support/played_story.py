"""Stories that play on a recording, or on a machine that hangs, instead of on a machine in QEMU."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rcdbg.errors import MachineError
from rcdbg.image.elf import Image
from rcdbg.kernels.description import Description
from rcdbg.kernels.reading import NOTHING
from rcdbg.kernels.recognise import describe
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.model.kernel import Kernel
from rcdbg.model.read import read_state
from rcdbg.model.state import KernelState
from rcdbg.trace.story.course import Course
from rcdbg.trace.story.history import History
from rcdbg.trace.story.story import DEFAULT_KINDS, Rule, Story
from rcdbg.trace.story.watching import Watch
from tests.support.recordings import Played, Recorded, image, recorded

NOT_HERE: Any = None


class PlayedRunner:
    """Runs from breakpoint to breakpoint of a recording."""

    def __init__(self, played: Played) -> None:
        self.played = played
        self.running = False
        self.breakpoints: dict[int, int] = {}
        self._numbers = 0

    def insert_breakpoint(self, address: int) -> int:
        assert address in self.played.recording.places, f"nobody looked at {address:#x}"
        self._demand_standing()
        self._numbers += 1
        self.breakpoints[self._numbers] = address
        return self._numbers

    def remove_breakpoint(self, number: int) -> None:
        self._demand_standing()
        del self.breakpoints[number]

    def has_breakpoint(self, address: int | None) -> bool:
        return address in self.breakpoints.values()

    def resume(self) -> None:
        self._demand_standing()
        self.running = True

    def interrupt(self) -> None:
        raise AssertionError("a recording never lets anybody wait")

    def wait_stop(self, timeout: float) -> Stop:
        self.running = False
        if self.played.forward(tuple(self.breakpoints.values())):
            assert self.played.at is not None
            return Stop("breakpoint", self.played.at.pc)
        return Stop("exited")

    def ticks(self) -> int:
        self._demand_standing()
        return 0 if self.played.at is None else self.played.at.ticks

    def _demand_standing(self) -> None:
        if self.running:
            raise MachineError("the guest runs")


class HangingRunner(PlayedRunner):
    """A guest that never stops of itself; between two looks at its clock, that goes on by `step`.

    `lasts` is how many waits are in vain before it ends all the same.
    """

    def __init__(self, played: Played, step: int, lasts: int = 1000) -> None:
        super().__init__(played)
        self.step, self.lasts = step, lasts
        self.waits: list[float] = []
        self._now = 0
        self._asked = False

    def interrupt(self) -> None:
        self._asked = True

    def wait_stop(self, timeout: float) -> Stop:
        if self._asked:
            self._asked = self.running = False
            self._now += self.step
            return Stop("interrupt", 0x1000)
        self.waits.append(timeout)
        if len(self.waits) > self.lasts:
            self.running = False
            return Stop("exited")
        raise DeadlineError("nothing yet")

    def ticks(self) -> int:
        return self._now


@dataclass
class PlayedStage:
    """A recording as the machine of a story."""

    played: Played
    runner: PlayedRunner
    image: Image = field(default_factory=image)
    deterministic: bool = True

    @property
    def description(self) -> Description:
        return describe(self.image)

    @property
    def console(self) -> str:
        return self.played.console

    def kernel(self) -> Kernel:
        return self.played.kernel()

    def state(self) -> KernelState:
        return read_state(self.kernel())

    def settle(self) -> None:
        """It is settled."""

    def end(self) -> int:
        return self.played.recording.exit_status


def story_of(
    name: str | Recorded, kinds: Sequence[str] = DEFAULT_KINDS, rules: Sequence[Rule] = ()
) -> Story:
    """The story that a recording tells; its memory and registers cannot be changed."""
    played = Played(recorded(name) if isinstance(name, str) else name)
    stage: Any = PlayedStage(played, PlayedRunner(played))
    watch = Watch(stage.image, NOTHING, played, kinds)
    history = History()
    course = Course(stage, watch, history)
    return Story(NOT_HERE, stage, stage.image, NOT_HERE, NOT_HERE, history.events, course,
                 list(rules))  # fmt: skip
