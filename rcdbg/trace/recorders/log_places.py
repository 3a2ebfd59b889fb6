"""Which places QEMU's log has to tell of, and what a recorder has to know of each of them."""

from collections.abc import Sequence

from rcdbg.image.elf import Image
from rcdbg.kernels.reading import Overlay
from rcdbg.kernels.recognise import describe, first_symbol
from rcdbg.kernels.trampoline import linked_at, running_at
from rcdbg.machine.qemu.config import LogConfig
from rcdbg.trace.recorders.firmware import Firmware, kernel_start
from rcdbg.trace.recorders.log_moments import Watched

_ECALL = 0x0000_0073
_SYSTEM_OPCODE = 0x73


class LogPlaces:
    """The places that a recorder was asked to watch, in a kernel with that image.

    `vector` is the kernel's trap vector, `leaves` are those of the places that the hart passes
    whenever it leaves a trap, `calls` those that are an `ecall`, which the log shows as a trap.
    """

    def __init__(self, image: Image, overlay: Overlay, places: Sequence[int]) -> None:
        trap = describe(image, overlay).trap
        entry, leave = first_symbol(image, trap.entry), first_symbol(image, trap.exit)
        self._image, self._trap = image, trap
        self._places = tuple(places)
        self.vector = self._running(entry[1]) if entry else None
        self.leaves = self._inside(leave[1]) if leave else frozenset()
        self.calls = frozenset(place for place in places if self._word(place) == _ECALL)

    def config(self, known: Firmware, *, held: bool, bound: bool, pipe_bytes: int) -> LogConfig:
        """How QEMU has to log; `bound`: time is known only from the firmware's traps."""
        logged = {place for place in self._places if place not in self.calls}
        if self.calls or bound:
            logged.add(known.mtvec)
        return LogConfig(
            # Chained, blocks run from one to the next without a look at the log.
            items=(
                *("int", "cpu", "exec", *(("fpu",) if held else ())),
                *(() if all(map(self._unchained, logged)) else ("nochain",)),
            ),
            places=sorted(logged),
            pipe_bytes=pipe_bytes,
            holds=held,
        )

    def watched(self, known: Firmware) -> Watched:
        """What moments are made of."""
        return Watched(
            places=frozenset(self._places),
            calls=self.calls,
            vector=self.vector if self.vector in self._places else None,
            firmware=known,
            kernel_start=kernel_start(self._image),
        )

    def _unchained(self, place: int) -> bool:
        """Whether no block is chained to this one: trap vectors, and what follows a CSR write."""
        if self._word(place) is None:
            # Nothing that belongs to the kernel: the firmware's trap vector, or a mistake.
            return True
        if place == self.vector:
            return True
        before = self._word(place - 4)
        return before is not None and before & 0x7F == _SYSTEM_OPCODE and before >> 12 & 3 != 0

    def _inside(self, start: int) -> frozenset[int]:
        """Those of the places that are in the function that starts there."""
        covering = self._image.symbols.covering
        return frozenset(
            place
            for place in self._places
            if (held := covering(linked_at(self._image, self._trap, place)))
            and held.address == start
        )

    def _running(self, address: int) -> int:
        elsewhere = running_at(self._image, self._trap, address)
        return address if elsewhere is None else elsewhere

    def _word(self, place: int) -> int | None:
        """The four bytes of the image there, at a virtual address or at where it was loaded."""
        image = self._image
        place = linked_at(image, self._trap, place)
        code = image.read(place, 4)
        if code is None:
            for segment in image.segments:
                start = image.physical(segment.vaddr)
                if start is not None and start <= place < start + segment.memory_size:
                    code = image.read(segment.vaddr + place - start, 4)
        return int.from_bytes(code, "little") if code is not None else None
