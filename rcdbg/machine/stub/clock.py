"""The guest's clock behind a stub: the timer's count, in its memory."""

from collections.abc import Sequence
from functools import cached_property

from rcdbg.machine.qemu import timer
from rcdbg.machine.stub import packets
from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.memory import StubMemory
from rcdbg.machine.stub.wire import StubError


class StubClock:
    """The timer's count, read while the guest stands."""

    def __init__(self, link: StubLink, memory: StubMemory) -> None:
        self._link = link
        self._memory = memory

    @cached_property
    def address(self) -> int | None:
        """The physical address of the count; None if this machine has no timer that is known."""
        self._link.demand_stopped()  # else no answer would be taken for no timer, for good
        return timer.mtime_address(self._link.monitor)

    @property
    def place(self) -> tuple[int, int]:
        """Physical address and size in bytes of the count; raises StubError if there is none."""
        if self.address is None:
            raise StubError("this machine has no timer that is known")
        return self.address, timer.SIZE

    def ticks(self) -> int:
        """The guest's time in ticks of its timebase; raises StubError if there is no timer."""
        return int.from_bytes(self._memory.read_phys(*self.place), "little")

    def questions(self) -> tuple[list[bytes], int]:
        """Packets that read it among others, and which has the answer; none without a timer."""
        return ([], 0) if self.address is None else self._memory.questions(self.address, timer.SIZE)

    def understood(self, answers: Sequence[bytes], at: int) -> int | None:
        """What the answers to `questions` say; None if the stub refused one of them."""
        if at >= len(answers) or any(answer != b"OK" for answer in answers[:at]):
            return None
        return packets.number(answers[at])
