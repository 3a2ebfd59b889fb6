"""From what QEMU logs to moments: which states were instants of the kernel, and which were not.

QEMU logs the state of the hart before it executes a block of instructions. If something is to be
done first, it leaves the block at once, says so, and logs the state again when it comes back. So a
state is believed only when the next thing in the log is known.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from rcdbg.guest.protocol import Registers
from rcdbg.machine.qemu.board import RAM_BASE
from rcdbg.machine.qemu.live import SSTATUS_MASK
from rcdbg.riscv.registers import MASK64
from rcdbg.trace.moment import Moment
from rcdbg.trace.recorders.firmware import Firmware
from rcdbg.trace.recorders.log_format import HartState, Interrupt, Item, Layout, NotExecuted

INTERRUPT_BIT = 1 << 63
"""In scause (privileged spec, "Supervisor Cause Register")."""

_SUPERVISOR_INTERRUPTS = 0x222
_TIMERS = (5, 7)
_ECALL_FROM_S = 9
_SET_TIMER_LEGACY, _TIME_EXTENSION = 0, 0x5449_4D45
_SUPERVISOR, _MACHINE = 1, 3
_SHARED = ("satp", "stvec", "scause", "sepc", "stval", "sscratch")
_SOURCES = ("pc", "mcause", "mepc", "mip", "mstatus", "mie", "mideleg", *_SHARED)
_SATP = _SOURCES.index("satp")
_A0, _A6, _A7 = 10, 16, 17
_MAX_DUE = 64


def not_current() -> bool:
    """Of memory read at a moment of the log: False, for the guest was not held there."""
    return False


@dataclass(frozen=True, slots=True)
class Watched:
    """Where to look: `places` in the kernel, `calls` those of them that are an `ecall`.

    `vector` is the kernel's trap vector if it is among the places. `kernel_start` is the lowest
    physical address of the kernel.
    """

    places: frozenset[int]
    calls: frozenset[int]
    vector: int | None
    firmware: Firmware
    kernel_start: int


@dataclass(slots=True)
class MomentMaker:
    """Turns items, in the log's order, into moments; `repeats` counts the states left out.

    An ecall of the kernel, which begins no block, is taken from the state at the firmware's trap
    vector: the general registers are the same there, and sstatus has no bit that a trap to M-mode
    changes. Which states were not executed QEMU tells itself: two that are equal may well be two
    executions, in a loop that keeps what it counts in memory.

    A trap to S-mode that no state at the trap vector follows (since stvec is nonsense) is a moment
    at the vector all the same, with general registers of 0 and the CSRs that the trap tells.
    `same_thread_runs` goes into each moment.

    If the hart waits at each state, whether it is executed is not known yet when it has to be a
    moment. One that then was not is left out when it comes again, with the same registers: at once,
    or after the interrupt that came first. `held` makes the question whether the hart still waits.
    `bound` counts guest time by the timers that have expired instead of with the `ticks` given.
    """

    watched: Watched
    bound: bool = False
    repeats: int = 0
    same_thread_runs: Callable[[], bool] = not_current
    held: Callable[[], Callable[[], bool]] | None = None
    _state: HartState | None = None
    _ticks: int | None = None
    _trap: Interrupt | None = None
    _last: HartState | None = None
    _deadline: int | None = None
    _expired: int = 0
    _not_executed: deque[tuple[int, ...]] = field(default_factory=lambda: deque(maxlen=_MAX_DUE))
    _layout: Layout | None = None
    _fields: Callable[[tuple[int, ...]], tuple[int, ...]] = field(default=lambda values: values)

    def see(self, item: Item, ticks: int | None) -> Iterator[Moment]:
        """The moments that are certain with this item, which was written at `ticks`."""
        if isinstance(item, HartState):
            yield from self._see_state(item, ticks)
        elif isinstance(item, NotExecuted):
            if self._state is not None and item.pc == self._state.pc:
                if self.held is not None:
                    self._not_executed.append(self._identity(self._state))
                else:
                    self.repeats += 1
                self._state = None
        else:
            yield from self._see_interrupt(item, ticks)

    def end(self) -> Iterator[Moment]:
        """The moments that are left when nothing more can come."""
        yield from self._executed()
        yield from self._unseen_trap()

    def _see_state(self, state: HartState, ticks: int | None) -> Iterator[Moment]:
        self._learn(state.layout)
        yield from self._executed()
        if state.pc == self.watched.vector:
            self._trap = None
        yield from self._unseen_trap()
        self._state, self._ticks = state, ticks
        if self.held is None:
            return
        if self._not_executed and (again := self._identity(state)) in self._not_executed:
            self._not_executed.remove(again)
            self.repeats += 1
        else:
            yield from self._instant(state, self.held())

    def _identity(self, state: HartState) -> tuple[int, ...]:
        """What is the same when a state comes again: the interrupt has changed some CSRs."""
        values = self._fields(state.values)
        return (values[0], values[_SATP], *state.x)

    def _see_interrupt(self, interrupt: Interrupt, ticks: int | None) -> Iterator[Moment]:
        yield from self._executed()
        if interrupt.epc != self.watched.vector:
            # Else the trap has got there, and another one came before the first instruction.
            yield from self._unseen_trap()
        if interrupt.asynchronous and interrupt.cause in _TIMERS and self._deadline is not None:
            self._expired, self._deadline = max(self._expired, self._deadline), None
        if self.watched.vector is not None and self._to_supervisor(interrupt):
            self._trap, self._ticks = interrupt, ticks

    def _to_supervisor(self, interrupt: Interrupt) -> bool:
        firmware = self.watched.firmware
        if interrupt.asynchronous:
            return bool(firmware.mideleg >> (interrupt.cause & 63) & 1)
        # In M-mode, nothing is delegated.
        own = RAM_BASE <= interrupt.epc < self.watched.kernel_start
        return not own and bool(firmware.medeleg >> (interrupt.cause & 63) & 1)

    def _executed(self) -> Iterator[Moment]:
        state, self._state = self._state, None
        if state is not None and self.held is None:
            yield from self._instant(state, not_current)

    def _instant(self, state: HartState, current: Callable[[], bool]) -> Iterator[Moment]:
        pc, cause, epc, mip, mstatus, mie, mideleg, *shared = self._fields(state.values)
        place, privilege = pc, _SUPERVISOR
        if pc == self.watched.firmware.mtvec and pc not in self.watched.places:
            if cause != _ECALL_FROM_S:
                return
            self._note_call(state.x)
            place = epc
            if place not in self.watched.calls:
                return
        elif pc == self.watched.firmware.mtvec:
            privilege = _MACHINE
        elif pc not in self.watched.places:
            return
        csrs = dict(zip(_SHARED, shared, strict=True))
        csrs["sstatus"] = mstatus & SSTATUS_MASK
        csrs["sie"] = mie & mideleg & _SUPERVISOR_INTERRUPTS
        csrs["sip"] = mip & mideleg & _SUPERVISOR_INTERRUPTS
        self._last = state
        yield self._moment(Registers(place, state.values[-32:], csrs, privilege), current)

    def _note_call(self, x: tuple[int, ...]) -> None:
        """A timer set by the kernel (SBI specification, chapters 5.1 and 6)."""
        legacy = x[_A7] == _SET_TIMER_LEGACY
        if legacy or (x[_A7] == _TIME_EXTENSION and x[_A6] == 0):
            self._deadline = x[_A0] if x[_A0] < MASK64 else None

    def _unseen_trap(self) -> Iterator[Moment]:
        trap, self._trap = self._trap, None
        if trap is None or self.watched.vector is None:
            return
        csrs: dict[str, int] = {}
        if self._last is not None:
            csrs["satp"] = self._last.csrs["satp"]
        csrs["scause"] = trap.cause | (INTERRUPT_BIT if trap.asynchronous else 0)
        csrs["sepc"], csrs["stval"] = trap.epc, trap.tval
        yield self._moment(Registers(self.watched.vector, (0,) * 32, csrs, _SUPERVISOR))

    def _moment(self, registers: Registers, current: Callable[[], bool] = not_current) -> Moment:
        ticks = self._expired if self.bound else self._ticks
        same_thread_runs = self.same_thread_runs if self.held is None else current
        return Moment(
            registers, ticks, memory_is_current=current, same_thread_runs=same_thread_runs
        )

    def _learn(self, layout: Layout) -> None:
        if layout is not self._layout:
            positions: Mapping[str, int] = {name: at for at, name in enumerate(layout.names)}
            self._fields = itemgetter(*(positions[name] for name in _SOURCES))
            self._layout = layout
