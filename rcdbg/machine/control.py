"""What rcdbg asks of whoever drives the guest: QEMU's stub directly, or a gdb in between."""

from dataclasses import dataclass
from typing import Literal, Protocol

from rcdbg.guest.protocol import Registers

PRIVILEGE_REGISTER = "priv"
"""The stub's name for the current privilege: not a CSR, but listed with them."""

StopReason = Literal["breakpoint", "step", "interrupt", "signal", "exited"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the guest does not run any more.

    `breakpoint` (at one; `breakpoint` is its id), `step` (a step is done), `interrupt` (it was
    asked to), `signal` (anything else: `signal` is gdb's number for it), or `exited`: QEMU has
    ended, with `exit_status` if that is known. `pc` is None only when it has exited.
    """

    reason: StopReason
    pc: int | None = None
    breakpoint: int | None = None
    signal: int | None = None
    exit_status: int | None = None


class RunControl(Protocol):
    """A guest that can be run and stopped.

    `resume` and the steps only set it going: `wait_stop` tells when and why it stands again.
    All raise MachineError when the machine is gone, or when the guest is not in the state needed.
    """

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""

    def interrupt(self) -> None:
        """Ask a running guest to stop; does nothing if it stands."""

    def step_instruction(self) -> None:
        """Let the hart execute one instruction."""

    def insert_breakpoint(self, address: int, /) -> int:
        """Stop before each execution of virtual `address`, in any address space; returns an id."""

    def remove_breakpoint(self, number: int, /) -> None:
        """Take out the breakpoint with this id."""

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""

    def registers(self) -> Registers:
        """The registers of the hart that stopped."""

    def close(self) -> None:
        """Let go of the guest, without resuming it. May be called again."""
