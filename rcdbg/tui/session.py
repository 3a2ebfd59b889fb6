"""What the full-screen debugger asks of a debugged kernel, and what it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rcdbg.doctor.examine import Diagnosis
from rcdbg.model.state import KernelState
from rcdbg.views.code import Code


class Move(StrEnum):
    """A way of letting the guest run."""

    STEP_LINE = "step_line"
    """To the next source line, into calls."""
    NEXT_LINE = "next_line"
    """To the next source line of this function."""
    STEP_INSTRUCTION = "step_instruction"
    FINISH = "finish"
    """Until the function returns."""
    RESUME = "resume"
    NEXT_TRAP = "next_trap"
    """Until the kernel's trap handler is entered."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The kernel at one stop; `reason` says in words why it stands."""

    state: KernelState
    code: Code
    reason: str
    selected: str = ""
    """Whose Context, page table and code they are, in words; empty for the hart's."""
    diagnose: Callable[[], Diagnosis] | None = None
    """Asks the doctor; to be called while the kernel stands as it did, since it takes a while."""
    diagnosis: Diagnosis | None = None
    """What the doctor said; None until it was asked."""


class Listener(Protocol):
    """Is told what happens; each method returns at once and may be called from any thread."""

    def on_running(self) -> None:
        """The guest runs."""

    def on_stop(self) -> None:
        """The guest stands: `DebugSession.state` has the rest."""

    def on_console_text(self, text: str) -> None:
        """The guest has printed `text`."""

    def on_exit(self, reason: str) -> None:
        """The guest, or gdb, is gone; only `restart` and `close` make sense from here on."""


class DebugSession(Protocol):
    """A kernel under a debugger.

    Methods block and are called from one worker thread, all but `interrupt` and `close`, which any
    thread may call. What sets the guest going returns at once; `Listener` tells the rest. All raise
    RcdbgError with one line for the user.
    """

    @property
    def kernel_name(self) -> str:
        """What is debugged, for the title."""

    @property
    def scenario(self) -> str:
        """What the kernel was asked to do, or an empty string."""

    def start(self, listener: Listener) -> None:
        """Boot and run to the first place to look at."""

    def restart(self) -> None:
        """The same again from the beginning, whatever became of the machine and of gdb.

        The listener hears no more of the old machine.
        """

    def close(self) -> None:
        """End the machine and gdb. May be called again."""

    def state(self) -> Stopped:
        """The kernel as it stands."""

    def select_next(self) -> str:
        """Have the next thread that is not on the hart in `state`, after the last the hart again.

        Returns in a line what is selected.
        """

    def symbols(self) -> Sequence[str]:
        """The kernel's functions, for completion."""

    def go(self, move: Move) -> None:
        """Let the guest run."""

    def interrupt(self) -> None:
        """Ask a running guest to stop; nothing happens to one that stands."""

    def add_breakpoint(self, location: str) -> str:
        """Stop at a symbol, or whatever else gdb takes; returns a line that says where."""

    def console_command(self, text: str, width: int) -> str:
        """What gdb prints for a command typed by the user, in `width` columns where that counts."""

    def completions(self, text: str) -> Sequence[str]:
        """What a command that the user has begun may become, as whole lines."""

    def write_console(self, text: str) -> None:
        """Type `text` to the kernel."""

    def write_snapshot(self) -> str:
        """Write the stopped kernel to a file of its own; returns a line that says where."""
