"""The real session: QEMU, gdb, and the decoders on the guest's own memory."""

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

from rcdbg.doctor.examine import diagnose
from rcdbg.errors import MachineError, RcdbgError, UsageError
from rcdbg.image.elf import load_image
from rcdbg.kernels.recognise import demand_handler, describe
from rcdbg.machine.gdb.run import Step
from rcdbg.model.panics import panic_entry, panicking
from rcdbg.model.programs.explained import USER
from rcdbg.model.programs.places import user_place
from rcdbg.model.read import read_state
from rcdbg.model.state import Problem
from rcdbg.model.unwinding.steps import UserStep, next_line, to_caller
from rcdbg.trace.conditions import place
from rcdbg.trace.run import Boot
from rcdbg.tui.live.breakpoints import NEXT_TRAP, Breakpoints
from rcdbg.tui.live.console import Console
from rcdbg.tui.live.listing import read_code
from rcdbg.tui.live.relay import STOP_SECONDS, Relay
from rcdbg.tui.live.rig import Rig
from rcdbg.tui.live.selection import ShownThread, goes_on_at, seen_by, title
from rcdbg.tui.session import Listener, Move, Stopped

PANIC = "the kernel panics"

_STEPS: dict[Move, Step] = {
    Move.STEP_LINE: "line",
    Move.NEXT_LINE: "over_line",
    Move.STEP_INSTRUCTION: "instruction",
    Move.FINISH: "out",
}


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What to debug: `at` is SYMBOL or SYMBOL:HIT, where to stop first."""

    boot: Boot
    gdb: str | None
    at: str
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class _Round:
    """What there is from one boot to the next."""

    rig: Rig
    relay: Relay
    breakpoints: Breakpoints
    console: Console


def _in_program(rig: Rig, move: Move) -> UserStep | None:
    """Where a step ends that begins in U-mode, of whose code gdb knows nothing; else None."""
    if move not in (Move.STEP_LINE, Move.NEXT_LINE, Move.FINISH):
        return None
    kernel = rig.kernel()
    if kernel.registers.privilege != USER:
        return None
    if move is Move.FINISH:
        return to_caller(kernel)
    return next_line(kernel, into=move is Move.STEP_LINE)


class LiveSession:
    """A `DebugSession` on a machine of its own."""

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._listener: Listener | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._closed = False
        self._prepared: Future[None] | None = None
        self._round: _Round | None = None
        self._selection = ShownThread()
        self._user_breakpoints: tuple[str, ...] = ()
        self._symbols: tuple[str, ...] = ()
        self._has_stood = False
        self._ended_at_once = False
        """Whether the last machine ended before it came to the first place to look at."""

    @property
    def kernel_name(self) -> str:
        """The ELF's name."""
        return self._options.boot.kernel.name

    @property
    def scenario(self) -> str:
        """What the kernel's command line says about it."""
        words = self._options.boot.append.split()
        return next((w.removeprefix("scenario=") for w in words if w.startswith("scenario=")), "")

    # From nothing to the first stop, and back

    def prepare(self) -> None:
        """Begin to boot, in a thread, so that `start` finds it done: the screen takes a while."""
        done: Future[None] = Future()
        self._prepared = done

        def run() -> None:
            try:
                self._begin()
            except BaseException as error:  # noqa: BLE001
                done.set_exception(error)  # for `start` to raise
                return
            done.set_result(None)
            # What the first look at a kernel costs is paid here too, if there is time for it.
            with contextlib.suppress(RcdbgError):
                self._here().rig.gdb.wait_stop(self._options.timeout)
                if self._listener is None:
                    self.state()

        threading.Thread(target=run, name="rcdbg-boot", daemon=True).start()

    def start(self, listener: Listener) -> None:
        """Boot and run to the first place to look at."""
        if self._prepared is None:
            self.prepare()
        assert self._prepared is not None
        self._prepared.result()
        self._listener = listener
        self._here().relay.attach(listener, self._here().rig)

    def restart(self) -> None:
        """The same again; the user's breakpoints are set again."""
        if self._listener is None:
            raise UsageError("the session has not been started")
        self._ended_at_once, self._has_stood = not self._has_stood, False
        self._end()
        self._selection = ShownThread()
        self._begin()
        self._here().relay.attach(self._listener, self._here().rig)

    def close(self) -> None:
        """End the machine and gdb."""
        with self._lock:
            self._closed = True
        self._end()

    def _begin(self) -> None:
        boot = self._options.boot
        image = load_image(boot.kernel)
        boot.tell_of_programs(image)
        first = place(self._options.at, image)
        address = first.places(image, describe(image, boot.overlay))[0]
        user = user_place(first.symbol)
        relay = Relay()
        rig = Rig(image, boot.config(image), self._options.gdb, relay.end, boot.overlay)
        console = Console(rig.gdb, boot.overlay.file, boot.places)
        here = _Round(rig, relay, Breakpoints(rig.gdb, image, console), console)
        with self._lock:
            if not self._closed:
                self._round = here
        if self._round is not here:
            rig.close()
            raise MachineError("the session has been closed")
        self._symbols = ()
        rig.gdb.subscribe(relay.take)
        for location in self._user_breakpoints:
            # One that is gone from a rebuilt kernel is no reason not to start.
            with contextlib.suppress(RcdbgError):
                here.breakpoints.add(location)
        if self._ended_at_once:
            _watch_panics(here, self._options.boot)
        words = f"reached {self._options.at}"
        if user is None:
            here.breakpoints.run_to(address, words, first.hit)
        else:
            here.breakpoints.run_into(user, words, first.hit)

    def _end(self) -> None:
        with self._lock:
            here, self._round = self._round, None
        if here is not None:
            here.relay.cut()
            here.rig.close()

    def _here(self) -> _Round:
        here = self._round
        if here is None:
            raise MachineError("there is no machine: r starts one")
        return here

    # The kernel at a stop

    def state(self) -> Stopped:
        """The kernel as it stands."""
        with self._reading:
            here = self._here()
            stop = here.rig.gdb.wait_stop(STOP_SECONDS)
            self._has_stood = True
            kernel = here.rig.kernel()
            state = read_state(kernel)
            if doubt := here.rig.doubted():
                known = Problem("the ELF", doubt)
                state = replace(state, problems=(known, *state.problems))
            breakpoints = here.breakpoints.at_a_stop()
            self._user_breakpoints = tuple(
                b.location for b in breakpoints if b.kind == "breakpoint"
            )
            reason = here.breakpoints.reason(stop, breakpoints, state.trap)
            if reason == PANIC:
                reason = panicking(kernel) or PANIC
            thread = self._selection.thread(kernel)
            at = None
            if thread is not None:
                state, at = seen_by(kernel, state, thread), goes_on_at(kernel, thread)
            code = read_code(kernel, here.rig.gdb, breakpoints, at)
            whose = "" if thread is None else title(thread)
            return Stopped(state, code, reason, whose, partial(diagnose, kernel))

    def select_next(self) -> str:
        """Show the next thread that is not on the hart, or the hart again."""
        with self._reading:
            self._here().rig.gdb.wait_stop(STOP_SECONDS)
            return self._selection.next(self._here().rig.kernel())

    def symbols(self) -> Sequence[str]:
        """The kernel's functions."""
        if not self._symbols:
            image = self._here().rig.image
            found = {symbol.path for symbol in image.symbols if symbol.kind != "data"}
            self._symbols = tuple(sorted(found))
        return self._symbols

    # Running

    def go(self, move: Move) -> None:
        """Let the guest run."""
        here = self._here()
        _watch_panics(here, self._options.boot)
        step = _in_program(here.rig, move)
        if step is not None:
            here.breakpoints.run_step(step)
        elif move in _STEPS:
            here.rig.gdb.step(_STEPS[move])
        elif move is Move.NEXT_TRAP:
            image = here.rig.image
            trap = describe(image, self._options.boot.overlay).trap
            handler = demand_handler(image, trap)[1]
            here.breakpoints.run_to(handler, NEXT_TRAP)
        else:
            here.rig.gdb.resume()

    def interrupt(self) -> None:
        """Ask a running guest to stop."""
        self._here().rig.gdb.interrupt()

    # What the user types

    def add_breakpoint(self, location: str) -> str:
        """Stop at a symbol, a line or an address, also while the guest runs."""
        here = self._here()
        with here.relay.standing(here.rig):
            made = here.breakpoints.add(location)
        where = f" ({made.address:#x})" if made.address is not None else ""
        return f"breakpoint {made.number} at {location}{where}"

    def console_command(self, text: str, width: int) -> str:
        """What gdb prints for a command."""
        return self._here().console.command(text, width)

    def completions(self, text: str) -> Sequence[str]:
        """What gdb, and our commands in it, say that may come of the text."""
        return self._here().console.completions(text)

    def write_console(self, text: str) -> None:
        """Type to the kernel."""
        self._here().rig.qemu.console.write(text.encode())

    def write_snapshot(self) -> str:
        """Write the stopped kernel to a new file in the current directory."""
        from rcdbg.tui.live.snapshot import write_new

        return write_new(self._here().rig, self.scenario)


def _watch_panics(here: _Round, boot: Boot) -> None:
    """Stop where the kernel gives up, from now on.

    Such a breakpoint makes QEMU slow in all code of its page: none while it boots, unless it has
    ended there before.
    """
    image = here.rig.image
    panic = panic_entry(image, describe(image, boot.overlay))
    if panic is not None and not here.breakpoints.keeps(panic):
        with contextlib.suppress(RcdbgError):
            here.breakpoints.keep(panic, PANIC)
