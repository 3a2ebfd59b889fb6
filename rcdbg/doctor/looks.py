"""Looks at a kernel that runs, some time apart: what changes between them and what does not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu import timer
from rcdbg.model.kernel import Kernel
from rcdbg.model.programs.explained import place_now
from rcdbg.model.state import Place
from rcdbg.model.threads.trap import read_trap
from rcdbg.trace.run import Run

LOOKS = 24
APART_SECONDS = 0.02
"""The machine's time between two looks: longer than a tick of a usual kernel."""
_STOP_SECONDS = 10.0
_FROM_MTIMECMP_TO_MTIME = 0x7FF8
"""RISC-V ACLINT specification, MTIMER: the deadline of hart 0 is the device's first word."""


@dataclass(frozen=True, slots=True)
class Look:
    """The hart at one of the looks."""

    place: Place
    registers: Registers
    handling: str = ""
    """The cause of the trap that was being handled, in words; "" where none was, or M-mode ran."""


@dataclass(frozen=True, slots=True)
class Looks:
    """All of them, in their order; the kernel stands where the last one was taken."""

    looks: tuple[Look, ...]
    mtime: int | None = None
    """The timer at the last look, in ticks."""
    deadline: int | None = None
    """When it interrupts the first hart; None where that is not known."""

    @property
    def last(self) -> Look:
        """The last one."""
        return self.looks[-1]

    def always(self, privilege: int) -> bool:
        """Whether the hart was in that mode each time."""
        return all(look.registers.privilege == privilege for look in self.looks)

    def csrs(self, name: str) -> set[int | None]:
        """The values that a CSR had."""
        return {look.registers.csrs.get(name) for look in self.looks}

    def most(self) -> tuple[str, int]:
        """The function in which the hart was most often, and how often."""
        names = (look.place.symbol or f"{look.place.address:#x}" for look in self.looks)
        return Counter(names).most_common(1)[0]


def take_looks(run: Run, count: int = LOOKS, apart: float = APART_SECONDS) -> Looks:
    """Let a kernel that stands run on, and look at it now and then.

    Raises MachineError if the machine ends meanwhile.
    """
    found: list[Look] = []
    while len(found) < count:
        run.stub.resume()
        try:
            stop = run.stub.wait_stop(apart)
            if stop.reason == "exited":
                raise MachineError("the kernel ended while it was looked at")
        except DeadlineError:
            run.stub.interrupt()
            run.stub.wait_stop(_STOP_SECONDS)
        kernel = run.kernel()
        found.append(Look(place_now(kernel), kernel.registers, read_trap(kernel).cause or ""))
    mtime, deadline = _timer(run)
    return Looks(tuple(found), mtime, deadline)


def _timer(run: Run) -> tuple[int | None, int | None]:
    try:
        ask = run.qemu.monitor.hmp
        place = timer.mtime_address(ask)
        if place is None:
            return None, None
        return timer.ask_ticks(ask, place), timer.ask_ticks(ask, place - _FROM_MTIMECMP_TO_MTIME)
    except MachineError:
        return None, None


def pointers_to(kernel: Kernel, looks: Sequence[Look], address: int, size: int) -> bool:
    """Whether a register leads to that memory at each look."""
    return all(
        any(0 <= value - address < max(size, 1) for value in look.registers.x) for look in looks
    )
