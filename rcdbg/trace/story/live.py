"""A kernel that runs at full speed, looked at as if it stood still.

Decoders read memory for milliseconds, and a kernel changes it meanwhile. So the pages that they
read are copied, the registers taken, the pages copied again: if both copies are equal, they are the
kernel at the instant of the registers, and are decoded from the copy at leisure. If they never
are, the guest is stopped for as long as the copying takes.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rcdbg.guest.protocol import Registers, Target
from rcdbg.guest.recording import CopiedPages, RecordingTarget, copy_pages
from rcdbg.image.elf import Image
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.machine.qemu.live import Pause, paused, registers
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.machine.qemu.timer import mtime_address
from rcdbg.model.kernel import Kernel

LIVE_TRIES = 5
STOP_TRIES = 8
"""Stops in which a page turned out to be missing, since the kernel reads others by then."""

STOP_GOAL_SECONDS = 0.002
"""A stop should be shorter; one that is not, on a host that is busy, is said to be longer."""

T = TypeVar("T")
Ask = Callable[[Kernel], T]


@dataclass(frozen=True, slots=True)
class Sample:
    """How a moment of a running kernel was taken.

    `tries` were made without a stop; `stopped_seconds` is the length of all `stops` that were
    needed (seldom more than one), or None; `longest_stop` that of the longest, in seconds.
    """

    tries: int
    stopped_seconds: float | None = None
    stops: int = 0
    longest_stop: float = 0.0

    @property
    def text(self) -> str:
        """The same in one line."""
        if self.stopped_seconds is None:
            return (
                f"live, no stop: memory did not change while it was read (try {self.tries} of "
                f"{LIVE_TRIES}); pc and general registers are approximate"
            )
        goal = STOP_GOAL_SECONDS
        stops = f" in {self.stops} stops" if self.stops > 1 else ""
        late = f", longer than {goal * 1000:.0f} ms at once" if self.longest_stop >= goal else ""
        return (
            f"live, stopped for {self.stopped_seconds * 1000:.1f} ms{stops}{late}: memory changed "
            f"in {self.tries} of {self.tries} tries without a stop"
        )

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs: the field `sample` of a document."""
        stop = self.stopped_seconds
        return {
            "how": "unchanged" if stop is None else "stopped",
            "tries": self.tries,
            "stops": self.stops,
            "stopped_ms": None if stop is None else round(stop * 1000, 3),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Guest:
    """A running machine: its memory, and ways to ask for its registers and to hold it."""

    memory: Target
    registers: Callable[[], Registers]
    paused: Callable[[], AbstractContextManager[Pause]]


@contextmanager
def running_guest(memory: Target, socket: Path) -> Iterator[Guest]:
    """The guest whose RAM is `memory`, over the QMP that nobody else speaks on `socket`.

    Nobody may be connected to its stub. Raises MachineError if there is no QEMU.
    """
    with Monitor(socket) as monitor:
        mtime = mtime_address(monitor.hmp)
        yield Guest(memory, lambda: registers(monitor, mtime), lambda: paused(monitor, mtime))


def sample(
    image: Image,
    guest: Guest,
    ask: Ask[T],
    *,
    overlay: Overlay = NOTHING,
    live_tries: int = LIVE_TRIES,
    pages: set[int] | None = None,
) -> tuple[T, Sample]:
    """What `ask` says of a moment of the running kernel, and how that was taken.

    `ask` is called several times, seldom more than once if `pages` are those that it read in an
    earlier sample; they are replaced by those of this one. Raises MachineError if the machine is
    gone.
    """
    pages = set() if pages is None else pages
    if not pages:
        first = RecordingTarget(guest.memory, guest.registers())
        ask(Kernel.now(image, first, overlay))
        pages |= first.pages
    for number in range(1, live_tries + 1):
        before = copy_pages(guest.memory, pages)
        now = guest.registers()
        if copy_pages(guest.memory, pages) == before:
            found = _decode(image, overlay, CopiedPages(before, now, guest.memory.ram), ask, pages)
            if found is not None:
                return found[0], Sample(number)
    stops: list[float] = []
    while len(stops) < STOP_TRIES:
        with guest.paused() as pause:
            copies = copy_pages(guest.memory, pages)
        stops.append(pause.seconds)
        copy = CopiedPages(copies, pause.registers, guest.memory.ram)
        found = _decode(image, overlay, copy, ask, pages)
        if found is not None:
            return found[0], _stopped(live_tries, stops)
    with guest.paused() as pause:
        answer = ask(Kernel.now(image, RecordingTarget(guest.memory, pause.registers), overlay))
    return answer, _stopped(live_tries, [*stops, pause.seconds])


def _stopped(tries: int, stops: list[float]) -> Sample:
    return Sample(tries, sum(stops), len(stops), max(stops))


def _decode(
    image: Image, overlay: Overlay, copy: CopiedPages, ask: Ask[T], pages: set[int]
) -> tuple[T] | None:
    """What `ask` says of the copy; None, and `pages` grown, if pages are missing in it."""
    answer = ask(Kernel.now(image, copy, overlay))
    # A page that was asked for before and is not there is one that the machine does not have.
    if copy.missing - pages:
        pages |= copy.missing
        return None
    pages &= copy.asked
    return (answer,)
