"""What the recorders see: the machine at the instants at which it may have done something.

A recorder knows how to get these instants out of QEMU, an observer knows what they mean. All
recorders share one observer, so that they tell the same story.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

from rcdbg.guest.protocol import Registers

TIMEBASE_HZ = 10_000_000
"""Of QEMU's `virt` machine (hw/intc/riscv_aclint.h, RISCV_ACLINT_DEFAULT_TIMEBASE_FREQ)."""

Clock = Literal["exact", "sampled", "bound"]
"""How good the guest time in a trace is: read at the very instant; taken from the host's clock when
the instant was heard of; or only known not to be earlier, from timers that had expired."""


SHUT_DOWN, TIME_OVER = "the machine was shut down", "the time was over"
"""Why there are no more moments."""


Backend = Literal["auto", "log", "held", "stub"]

BACKENDS: tuple[Backend, ...] = ("auto", "log", "held", "stub")
"""The ways to record a machine of our own, and "auto" for what fits."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Moment:
    """One hart right before the instruction at `registers.pc`.

    `ticks` is guest time in ticks of the timebase, as good as the recorder's `clock`;
    `instructions` how many the hart has executed, or None where that is not known.
    `same_thread_runs()` promises less: the hart has not left a trap and come back into the kernel
    since, so that no thread that was ready has run to its end and been freed.
    `memory_is_current()` tells, after memory was read, whether what was read is surely what it was
    at that instant: for a recorder that does not stop the guest, it may have gone on.
    """

    registers: Registers
    ticks: int | None = None
    instructions: int | None = None
    hart: int = 0
    memory_is_current: Callable[[], bool] = field(default=_always, repr=False, compare=False)
    same_thread_runs: Callable[[], bool] = field(default=_always, repr=False, compare=False)


class Recorder(Protocol):
    """Runs a kernel and yields the moments at the places asked for, in the guest's own order.

    A moment is yielded before the guest executes the instruction there (or as if), once for each
    execution. `lost` counts moments that had to be dropped and are known to be missing.
    A context manager; leaving it ends what it started.
    """

    name: str
    clock: Clock
    lost: int

    def watch(self, places: Sequence[int]) -> None:
        """Say where to look, by virtual address (also physical ones before paging); once."""

    def moments(self) -> Iterator[Moment]:
        """The moments as they come; ends when the machine ends; raises MachineError."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *_: object) -> None:
        """End what was started."""
