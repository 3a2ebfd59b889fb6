"""From moments to events: what the machine's state at the watched places says has happened.

There is one observer for all recorders. It believes registers at once, and memory only as long as
the recorder says that it is current; what it cannot know it marks, and it never raises for
anything that a kernel does.
"""

from collections.abc import Mapping
from dataclasses import replace

from rcdbg.guest.protocol import Registers, Target
from rcdbg.image.elf import Image
from rcdbg.kernels.reading import Overlay
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.call_observer import CallObserver
from rcdbg.trace.observers.probes import Handler, Plan, Probe
from rcdbg.trace.observers.sbi_calls import SbiCalls
from rcdbg.trace.observers.scene import Scene, csr_value
from rcdbg.trace.observers.trap_observer import TrapObserver
from rcdbg.trace.record import TraceEvent

_ECALL_FROM_S = 9


class Observer:
    """Turns the moments of one run, in their order, into events.

    `wanted` says what is recorded, where to look for it, and what cannot be seen. `memory` is the
    machine's physical memory; `satp` the CSR's value at the start.
    """

    def __init__(
        self, image: Image, overlay: Overlay, wanted: Plan, memory: Target, *, satp: int = 0
    ) -> None:
        self._scene = Scene(image, overlay, wanted, memory, satp)
        self._firmware = SbiCalls()
        self._traps = TrapObserver(self._scene)
        self._handlers: dict[str, Handler] = {
            "ecall": self._on_ecall,
            **self._traps.handlers(),
            **CallObserver(self._scene).handlers(),
        }

    @property
    def handled(self) -> frozenset[str]:
        """The sights (`rcdbg.trace.kinds.Sight.what`) of which events can be made."""
        return frozenset(self._handlers)

    def look_for(self, wanted: Plan) -> None:
        """From here on see what that plan says; what is known of the run stays known."""
        self._scene.look_for(wanted)

    @property
    def places(self) -> tuple[Probe, ...]:
        """Where to look, and what for."""
        return self._scene.plan.probes

    @property
    def unseen(self) -> Mapping[str, str]:
        """Kinds that were asked for and cannot be seen, or not all of them: why."""
        return self._scene.plan.unseen

    @property
    def lost(self) -> int:
        """Events that are known to be missing."""
        return self._scene.lost

    @property
    def addresses(self) -> tuple[int, ...]:
        """All addresses to watch, without repeats, ascending."""
        return tuple(sorted(self._scene.probes))

    def join(self, moment: Moment) -> None:
        """The run has gone on before: learn from memory who runs, and which trap is handled."""
        self._scene.join(moment)

    def feed(self, moment: Moment) -> list[TraceEvent]:
        """The events that have happened by this moment, seen here for the first time."""
        moment = _at_the_ecall(moment)
        self._traps.settle(moment.registers.sp)
        self._scene.clock(moment.ticks)
        for probe in self._scene.probes.get(moment.registers.pc, ()):
            self._handlers[probe.what](moment, probe)
        return self._scene.take()

    def finish(self) -> list[TraceEvent]:
        """What was still open when the run ended: a line without an end, the last way out."""
        self._traps.settle(None)
        line = self._firmware.rest()
        if line is not None:
            moment, text, thread = line
            self._scene.emit("console", moment, {"text": text}, thread, ("the line has no end",))
        return self._scene.take()

    def _on_ecall(self, moment: Moment, probe: Probe) -> None:
        if csr_value(moment, "mcause") is None and moment.registers.privilege == 0:
            return
        thread = self._scene.thread(moment)
        read = self._scene.target.read_phys
        for kind, fields, marks in self._firmware.called(
            moment, read, thread.id if thread else None
        ):
            self._scene.emit(kind, moment, fields, thread, marks)


def _at_the_ecall(moment: Moment) -> Moment:
    """A moment at the machine-mode trap vector, as one at the `ecall` that led there."""
    registers = moment.registers
    mtvec, mepc = csr_value(moment, "mtvec"), csr_value(moment, "mepc")
    if mtvec is None or mepc is None or registers.pc != mtvec & ~3:
        return moment
    if csr_value(moment, "mcause") != _ECALL_FROM_S:
        return moment
    there = Registers(mepc, registers.x, registers.csrs, 1)
    return replace(moment, registers=there)
