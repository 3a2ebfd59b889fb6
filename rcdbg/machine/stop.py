"""Why a guest stands: what QEMU's stub says, directly or to a gdb in between."""

from dataclasses import dataclass
from typing import Literal

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
