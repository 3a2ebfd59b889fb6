"""Setting a guest going over the stub, and why it stands again."""

from collections.abc import Sequence
from dataclasses import replace

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.stop import Stop, StopReason
from rcdbg.machine.stub import packets, rsp
from rcdbg.machine.stub.breakpoints import StubBreakpoints
from rcdbg.machine.stub.dialect import set_step_mode
from rcdbg.machine.stub.link import StubLink
from rcdbg.machine.stub.memory import StubMemory
from rcdbg.machine.stub.registers import StubRegisters
from rcdbg.machine.stub.wire import ANSWER_SECONDS, StubError
from rcdbg.riscv.compute import Computed

_STEP_OVER_SECONDS = 0.5
_SIGINT, _SIGTRAP = 2, 5
_CONTINUE, _STEP = b"c", b"s"


class StubRun:
    """Run control over `link`. `resume` and `step` only set it going: see `wait_stop`."""

    def __init__(
        self,
        link: StubLink,
        registers: StubRegisters,
        memory: StubMemory,
        breakpoints: StubBreakpoints,
    ) -> None:
        self._link = link
        self._registers = registers
        self._memory = memory
        self._breakpoints = breakpoints
        self._stepping = False
        self._answers_due = 0
        self._stop = Stop("interrupt", registers.pc())

    def set_step_mode(self, mode: int) -> None:
        """What a step holds back: `STEP_ALONE`, or `STEP_WITH_INTERRUPTS` to enter handlers."""
        self._link.demand_ok(set_step_mode(mode).encode())

    def moved(self, pc: int) -> None:
        """The pc was set: the next resumption looks for a breakpoint at the new place."""
        self._stop = replace(self._stop, pc=pc)

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self._link.demand_stopped()
        if self._breakpoints.has(self._stop.pc) and not self._step_over():
            return
        self._link.go(_CONTINUE)

    def resume_after(self, done: Computed) -> None:
        """Let the guest run from where an instruction at its pc leads, with what that computed.

        The instruction is written into the registers instead of executed, so that a breakpoint on
        it costs no stop of its own; one at the place where it leads is hit.
        """
        self._link.demand_stopped()
        writes = [(self._registers.pc_number, done.pc)]
        if done.register is not None:
            # The stub numbers x0 to x31 as the hart does (gdb manual, "RISC-V Features").
            writes.append((done.register, done.value))
        self._answers_due = len(writes)
        self._link.go(*(packets.set_register(*write) for write in writes), _CONTINUE)

    def step(self) -> None:
        """Let the hart execute one instruction; breakpoints do not count for it."""
        self._link.demand_stopped()
        self._link.go(_STEP)
        self._stepping = True

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""
        if self._link.running:
            self._link.wire.send(rsp.INTERRUPT)

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        if self._link.running:
            answer = self._stop_reply(Deadline(timeout))
            stepping, self._stepping = self._stepping, False
            self._stop = self._understand(answer, stepping)
        return self._stop

    def wait_stop_reading(
        self, timeout: float, csrs: Sequence[str], physical: tuple[int, int] | None = None
    ) -> tuple[Stop, Registers | None, bytes]:
        """`wait_stop`, and in one exchange the registers, those CSRs, and physical memory.

        The privilege is read if `csrs` has PRIVILEGE_REGISTER. `physical` is an address and a
        size in bytes. At the guest's end there are no registers.
        """
        if self._link.running:
            answer = self._stop_reply(Deadline(timeout))
            if answer[:1] in packets.GUEST_ENDS:
                return self._ended(answer), None, b""
        elif self._stop.reason == "exited":
            return self._stop, None, b""  # at the step over a breakpoint
        else:
            answer = b"T05"
        names, wanted = self._registers.questions(csrs)
        if physical is not None:
            wanted = [*wanted, *self._memory.last_questions(*physical)]
        try:
            general, *answers = self._link.exchange(wanted)
        except StubError as error:
            if not self._link.wire.gone or isinstance(error.__cause__, DeadlineError):
                raise
            # The guest was shut down as it was interrupted.
            return self._ended(b""), None, b""
        values = dict(zip(names, map(packets.number, answers), strict=False))
        registers = packets.registers(general, values)
        stepping, self._stepping = self._stepping, False
        signal = packets.hexadecimal(answer[1:3])
        self._stop = self._stopped(signal, registers.pc, stepping)
        held = (packets.raw(answers[-1]) or b"") if physical is not None else b""
        return self._stop, registers, held

    def _step_over(self) -> bool:
        """Execute the instruction under a breakpoint, which `s` does not look at.

        Returns False if that was the guest's end.
        """
        self._link.go(_STEP)
        try:
            answer = self._stop_reply(Deadline(_STEP_OVER_SECONDS))
        except DeadlineError:
            # `wfi` never ends under a step, since a step holds interrupts back; pc is behind it.
            self.interrupt()
            answer = self._stop_reply(Deadline(ANSWER_SECONDS))
        if answer[:1] in packets.GUEST_ENDS:
            self._stop = self._understand(answer, stepping=True)
            return False
        return True

    def _stop_reply(self, deadline: Deadline) -> bytes:
        """The packet that says why the guest stands; empty if the connection ended instead."""
        wire = self._link.wire
        try:
            while self._answers_due:
                answer = wire.receive(deadline)
                self._answers_due -= 1
                if answer != b"OK":
                    wire.close()
                    raise MachineError(f"the stub refuses to write a register: it says {answer!r}")
            # Others are `O...`: text for gdb's console.
            answer = next(a for a in wire.packets(deadline) if a[:1] in packets.STOP_REPLIES)
        except StubError:
            if not wire.gone:
                raise
            answer = b""
        self._link.running = False
        return answer

    def _understand(self, answer: bytes, stepping: bool) -> Stop:
        """The meaning of a stop reply: gdb manual, node "Stop Reply Packets"."""
        if answer[:1] in packets.GUEST_ENDS:
            status = packets.hexadecimal(answer[1:3]) if answer[:1] == b"W" else None
            self._link.wire.close()
            return Stop("exited", exit_status=status)
        return self._stopped(packets.hexadecimal(answer[1:3]), self._registers.pc(), stepping)

    def _ended(self, answer: bytes) -> Stop:
        self._stepping = False
        self._stop = self._understand(answer, stepping=False)
        return self._stop

    def _stopped(self, signal: int | None, pc: int, stepping: bool) -> Stop:
        at = self._breakpoints.at(pc)
        reason: StopReason = "signal"
        if signal == _SIGINT:
            reason = "interrupt"
        elif signal == _SIGTRAP and stepping:
            reason = "step"
        elif signal == _SIGTRAP and at is not None:
            reason = "breakpoint"
        return Stop(reason, pc, at if reason == "breakpoint" else None, signal)
