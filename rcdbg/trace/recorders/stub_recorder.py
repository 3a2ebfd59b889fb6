"""Recording with exact state at each event: QEMU's gdb stub, spoken to directly.

At each moment the guest stands still for as long as whoever asked holds it, so everything may be
looked at. It takes two round trips over a socket: on, to the next place; and its registers, with
the time, in one burst. The instruction under the breakpoint has to be got over: if it only
computes, as the first one of a function does, its result goes with the command to run, else it
takes a step, which is a stop of its own.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.guest.protocol import Registers, Target
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stub.client import StubClient
from rcdbg.machine.stub.dialect import PRIVILEGE_REGISTER
from rcdbg.riscv import paging, pte
from rcdbg.riscv.code import size_of
from rcdbg.riscv.compute import Computed, computed
from rcdbg.riscv.pages import PAGE_SIZE
from rcdbg.trace.moment import SHUT_DOWN, TIME_OVER, Clock, Moment
from rcdbg.trace.run import (
    NANOSECONDS_PER_INSTRUCTION,
    NANOSECONDS_PER_TICK,
    Boot,
    Run,
)

_CSRS = ("satp", "sstatus", "sepc", "scause", "stval")
_RARE = "sscratch"
"""Some kernels' way out of a trap takes it; it is asked for by itself."""
_CYCLES = "mcycle"
_SUPERVISOR = 1
_RIGHTS, _EXECUTABLE = pte.X | pte.U | pte.A, pte.X | pte.A
_OFTEN, _MEMORY = 0.25, 0.9
_SLICE_SECONDS = 0.5
_STOP_SECONDS = 10.0


class _StopCsrs(Mapping[str, int]):
    """The CSRs at a stop, asked for at once when the first of them is wanted."""

    def __init__(self, stub: StubClient, known: Mapping[str, int]) -> None:
        self._stub: StubClient | None = stub
        self._known = dict(known)
        self._complete = all(name in known for name in _CSRS)
        self._asked = False

    def _fill(self) -> None:
        self._asked = True
        if self._complete:
            return
        if self._stub is None:
            raise MachineError("the guest has gone on: the CSRs of that moment are not known")
        self._known.update(self._stub.regs.csrs(_CSRS))
        self._complete = True

    def expire(self) -> None:
        """The guest goes on: from now on only what was asked for is known."""
        self._stub = None

    @property
    def wanted(self) -> bool:
        """Whether anybody has asked for one of them."""
        return self._asked

    def __getitem__(self, name: str) -> int:
        if name in _CSRS:
            self._asked = True
            if name not in self._known:
                self._fill()
        elif name == _RARE and name not in self._known and self._stub is not None:
            self._known.update(self._stub.regs.csrs((name,)))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(self._known)

    def __len__(self) -> int:
        self._fill()
        return len(self._known)


class StubRecorder:
    """A `Recorder` that stops the guest at each moment, on a machine of its own or on a `Run`.

    A Run that was given stays open, and may be looked at and changed at every moment; one from a
    Boot, or that it `owns`, is ended with the recorder. `limit_ticks` ends `moments` when the
    guest's clock reaches it, though nothing happens; `ended` then says why there are no more.
    `timeout` is the host's time in seconds that the guest may take to the next moment, None for
    any; DeadlineError is raised when it is over, with the guest stopped.
    """

    name = "stub"
    clock: Clock = "exact"

    def __init__(
        self,
        run: Run | Boot,
        *,
        limit_ticks: int | None = None,
        timeout: float | None = None,
        owns: bool = False,
    ) -> None:
        self._owns = owns or isinstance(run, Boot)
        self.run = Run(run) if isinstance(run, Boot) else run
        self.lost = 0
        self.repeats = 0
        self.ended = ""
        self.exit_status: int | None = None
        self.limit_ticks = limit_ticks
        self.timeout = timeout
        self._breakpoints: list[int] = []
        self._csrs_wanted = 0.0
        self._counts = self._clock_is_counter()
        self._clock = None if self._counts else self.run.stub.clock.place

    @property
    def target(self) -> Target:
        """The guest's memory."""
        return self.run.target

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self.run.console

    def watch(self, places: Sequence[int]) -> None:
        """Stop at these virtual addresses, and only there."""
        self._forget()
        for place in places:
            self._breakpoints.append(self.run.stub.insert_breakpoint(place))

    def moments(self) -> Iterator[Moment]:
        """The moments; at each the guest stands still until the next one is asked for."""
        stub = self.run.stub
        not_executed: tuple[Registers, int] | None = None
        stub.resume()
        while True:
            found = self._next()
            if found is None:
                return
            registers, cycles, ticks = found
            if self.run.deterministic and not_executed == (registers, cycles):
                self.repeats += 1
                stub.resume()
                continue
            not_executed = registers, cycles
            csrs = _StopCsrs(stub, registers.csrs)
            seen = Registers(registers.pc, registers.x, csrs, registers.privilege)
            instructions = cycles // NANOSECONDS_PER_INSTRUCTION if self._counts else None
            changes = stub.link.changes
            try:
                yield Moment(seen, ticks, instructions)
            finally:
                csrs.expire()
                self._csrs_wanted = _MEMORY * self._csrs_wanted + (1 - _MEMORY) * csrs.wanted
            done = None
            if stub.link.changes == changes:
                with contextlib.suppress(MemoryReadError):
                    done = self._done(registers)
            if done is None:
                stub.resume()
            else:
                stub.run.resume_after(done)

    def _done(self, registers: Registers) -> Computed | None:
        """What the next instruction will have done, if it can surely be said without executing it.

        Not where instructions are counted. The page table of this moment has to let the hart
        execute it: else what comes next is a trap that has to be seen as it is.
        """
        if self.run.deterministic or registers.privilege != _SUPERVISOR:
            return None
        pc, satp = registers.pc, registers.csrs.get("satp", 0)
        read = self.run.target.read_phys
        walk = paging.walk(read, paging.Satp(satp), pc)
        if walk.leaf is None or walk.physical is None:
            return None
        # It may go on in another page.
        in_two_pages = pc % PAGE_SIZE > PAGE_SIZE - 4
        if in_two_pages or walk.leaf.pte.bits & _RIGHTS != _EXECUTABLE:
            return None
        encoding = int.from_bytes(read(walk.physical, 4), "little")
        if size_of(encoding) == 2:
            encoding &= 0xFFFF
        return computed(encoding, pc, registers.x)

    def _next(self) -> tuple[Registers, int, int] | None:
        """Registers, cycle counter and clock at the next place; None at the end, or at a limit."""
        stub = self.run.stub
        deadline = Deadline(self.timeout) if self.timeout is not None else None
        clock = self._clock
        names = (_CYCLES,) if self.run.deterministic else (PRIVILEGE_REGISTER, "satp")
        if self._csrs_wanted > _OFTEN:
            # Else they cost more in all other moments than the round trip at this one.
            names = tuple(dict.fromkeys((*names, *_CSRS)))
        while True:
            remaining = _SLICE_SECONDS if deadline is None else deadline.remaining
            try:
                stop, registers, data = stub.run.wait_stop_reading(
                    min(remaining, _SLICE_SECONDS), names, clock
                )
            except DeadlineError:
                if deadline is None and self.limit_ticks is None:
                    continue
                stub.interrupt()
                stop, registers, data = stub.run.wait_stop_reading(_STOP_SECONDS, names, clock)
            if registers is None:
                self.ended = SHUT_DOWN
                self.exit_status = self.run.qemu.wait(_STOP_SECONDS)
                return None
            cycles = registers.csrs.get(_CYCLES, 0)
            ticks = (
                cycles // NANOSECONDS_PER_TICK if self._counts else int.from_bytes(data, "little")
            )
            if self.limit_ticks is not None and ticks >= self.limit_ticks:
                self.ended = TIME_OVER
                return None
            # One that we asked for may come as the hart gets there, and then is told of instead.
            asked_for = stop.reason == "interrupt"
            if stop.reason == "breakpoint" or (asked_for and stub.has_breakpoint(stop.pc)):
                return registers, cycles, ticks
            if deadline is not None and deadline.remaining <= 0:
                seconds = self.timeout or 0
                raise DeadlineError(f"nothing that is watched happened for {seconds:g} s")
            stub.resume()

    def _clock_is_counter(self) -> bool:
        """Whether the cycle counter tells the time: then one question answers for both."""
        if not self.run.deterministic:
            return False
        cycles = self.run.stub.regs.csrs((_CYCLES,)).get(_CYCLES)
        return cycles is not None and cycles // NANOSECONDS_PER_TICK == self.run.stub.ticks()

    def _forget(self) -> None:
        for number in self._breakpoints:
            if self.run.qemu.alive and not self.run.stub.running:
                self.run.stub.remove_breakpoint(number)
        self._breakpoints.clear()

    def close(self) -> None:
        """Take the breakpoints out of a Run that was given, or end the machine."""
        if self._owns:
            self.run.close()
            return
        if self.run.stub.running:
            self.run.stub.interrupt()
            self.run.stub.wait_stop(_STOP_SECONDS)
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
