"""Setting the guest behind gdb going, and stopping it."""

from typing import Literal

from rcdbg.machine.gdb.console import GdbConsole
from rcdbg.machine.gdb.guest import GuestState
from rcdbg.machine.gdb.mi import MiChannel
from rcdbg.machine.host.deadline import Deadline
from rcdbg.machine.qemu.qemu import Qemu

Step = Literal["instruction", "over_call", "line", "over_line", "out"]
"""One instruction; one, but a call up to its return; to the next source line, into calls; to the
next one of this function; until the selected function returns."""

_COMMANDS: dict[Step, str] = {
    "instruction": "-exec-step-instruction",
    "over_call": "-exec-next-instruction",
    "line": "-exec-step",
    "over_line": "-exec-next",
    "out": "-exec-finish",
}
_HALT_SECONDS = 0.05


class GdbRun:
    """Run control over `channel`; `guest` tells what comes of it.

    `machine` is the one that gdb is connected to, if it is ours.
    """

    def __init__(
        self, channel: MiChannel, guest: GuestState, console: GdbConsole, answer_seconds: float
    ) -> None:
        self.machine: Qemu | None = None
        self._channel = channel
        self._guest = guest
        self._console = console
        self._answer_seconds = answer_seconds

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self._set_going("-exec-continue")

    def step(self, how: Step) -> None:
        """Let the guest run for one step."""
        self._set_going(_COMMANDS[how])

    def interrupt(self) -> None:
        """Ask a running guest to stop; if it stands, break off the console's command if any."""
        busy = self._console.busy
        if busy and self._guest.running and self.machine is not None:
            self._halt(self.machine)
        elif busy:
            self._channel.interrupt()
        elif self._guest.running:
            self._channel.send("-exec-interrupt")

    def _set_going(self, command: str) -> None:
        with self._guest.set_going():
            self._channel.request(command, self._answer_seconds)

    def _halt(self, machine: Qemu) -> None:
        """Stop the machine behind gdb's back; gdb hears of it as of any interrupt."""
        deadline = Deadline(self._answer_seconds)
        stands = False
        while not stands and not deadline.expired:
            # Too early, while gdb has not set it going yet, this does nothing: hence the loop.
            machine.halt()
            stands = self._guest.stands_within(_HALT_SECONDS)
