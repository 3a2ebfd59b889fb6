"""A session without a machine: it notes what it is asked, and stops where the script says."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from rcdbg.errors import MachineError
from rcdbg.model.state import KernelState, Place
from rcdbg.tui.session import Listener, Move, Stopped
from rcdbg.views.code import Code, Instruction, Source
from tests.unit.views import samples

SOURCE = tuple(
    f'    let frame_{n} = FRAME_ALLOCATOR.lock().alloc().unwrap(); // {n:#x} "text"\n'
    if n % 4
    else f"pub fn handle_{n}(context: &mut Context, scause: usize) -> *mut Context {{\n"
    for n in range(1, 120)
)

REASONS = {
    Move.RESUME: "breakpoint 1 at handle_interrupt",
    Move.NEXT_TRAP: "next trap: supervisor timer interrupt",
}
"""What ends a run, where that is not the end of a step."""


def stopped_at(number: int, reason: str, state: KernelState | None = None) -> Stopped:
    """The n-th stop: each a line further."""
    state = state or samples.healthy()
    address = samples.BASE + 0x1A34 + 4 * number
    pc = Place(address, samples.HANDLER.symbol, 0x10 + 4 * number,
               "/home/student/kernel/os/src/interrupt/handler.rs", 48 + number)  # fmt: skip
    x = list(state.hart.x)
    x[10] = number
    state = replace(state, hart=replace(state.hart, pc=pc, x=tuple(x)))
    instructions = tuple(
        Instruction(samples.BASE + 0x1A24 + 4 * i, f"sd s{i % 10}, {8 * i}(sp)", pc.symbol, 4 * i)
        for i in range(40)
    )
    source = Source(pc.file or "", 1, SOURCE, 48 + number)
    code = Code(pc, source, instructions, frozenset({50}), frozenset({samples.BASE + 0x1A3C}))
    return Stopped(state, code, reason)


class FakeSession:
    """Every run ends at once in the next stop, unless `hold` is set: then `stop` ends it."""

    kernel_name = "os"
    scenario = "threads"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.selected = ""
        self.hold = False
        self.fail: dict[str, Exception] = {}
        self.answers: dict[str, str] = {}
        self.completed: list[str] = []
        self.make: Callable[[int, str], Stopped] = stopped_at
        self.stops = 0
        self.reason = "breakpoint 1 at handle_interrupt"
        self.running = False
        self.listener: Listener | None = None
        self.thread_names: set[str] = set()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.thread_names.add(threading.current_thread().name)
        if error := self.fail.get(call) or self.fail.get(call.split("(")[0]):
            raise error

    def stop(self, reason: str) -> None:
        """The guest stops."""
        assert self.listener is not None
        self.running = False
        self.stops += 1
        self.reason = reason
        self.listener.on_stop()

    def start(self, listener: Listener) -> None:
        self.listener = listener
        self._note("start")
        listener.on_console_text("OpenSBI v1.1\nos 0.1.0 on hart 0\nscenario threads\n")
        self.stop("reached handle_interrupt")

    def restart(self) -> None:
        self._note("restart")
        assert self.listener is not None
        self.stops = 0
        self.running = False
        self.listener.on_console_text("booted again\n")
        self.stop("reached handle_interrupt")

    def close(self) -> None:
        self.calls.append("close")

    def state(self) -> Stopped:
        self._note("state")
        return replace(self.make(self.stops, self.reason), selected=self.selected)

    def symbols(self) -> Sequence[str]:
        return (
            "handle_interrupt",
            "os::interrupt::handler::handle_interrupt_late",
            "os::memory::frame::allocator::alloc",
            "os::rust_main",
        )

    def go(self, move: Move) -> None:
        self._note(f"go({move})")
        assert not self.running, f"{move} while the guest runs"
        assert self.listener is not None
        self.running = True
        self.listener.on_running()
        if not self.hold:
            self.stop(REASONS.get(move, "step done"))

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        if self.running:
            self.stop("interrupted")

    def add_breakpoint(self, location: str) -> str:
        self._note(f"add_breakpoint({location})")
        return f"breakpoint 2 at {location}"

    def console_command(self, text: str, width: int) -> str:
        self._note(f"console_command({text})")
        if text not in self.answers:
            raise MachineError(f'Undefined command: "{text}".  Try "help".')
        return self.answers[text]

    def completions(self, text: str) -> list[str]:
        self._note(f"completions({text})")
        return [line for line in self.completed if line.startswith(text)]

    def write_console(self, text: str) -> None:
        self._note(f"write_console({text!r})")

    def select_next(self) -> str:
        self._note("select_next")
        self.selected = "" if self.selected else "of thread 2"
        return "the panels are of it" if self.selected else "the panels are of the hart"

    def write_snapshot(self) -> str:
        self._note("write_snapshot")
        return "written to os-threads-1.snap"
