"""The real session: QEMU, gdb, and the decoders on the guest's own memory."""

import contextlib
import shlex
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from rcdbg.errors import MachineError, RcdbgError, UsageError
from rcdbg.image.elf import load_image
from rcdbg.kernels.recognise import demand_symbol, describe
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.gdb.mi import GdbError, Record
from rcdbg.machine.gdb.program import commands_script
from rcdbg.machine.gdb.records import Breakpoint
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.stop import Stop
from rcdbg.model.read import read_state
from rcdbg.model.state import Trap
from rcdbg.trace.conditions import place
from rcdbg.trace.run import Boot
from rcdbg.tui.rig import Rig
from rcdbg.tui.session import Listener, Stopped
from rcdbg.tui.widgets.listing import read_code

_STOP_SECONDS = 5.0
_COMMAND_SECONDS = 24 * 3600.0
"""A console command may run the guest, and the user alone knows for how long."""

_NEXT_TRAP = "next trap"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What to debug: `at` is SYMBOL or SYMBOL:HIT, where to stop first."""

    boot: Boot
    gdb: str | None
    at: str
    timeout: float = 30.0


class LiveSession:
    """A `DebugSession` on a machine of its own."""

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._listener: Listener | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._closed = False
        self._prepared: Future[None] | None = None
        self._rig: Rig | None = None
        self._end_reason: str | None = None
        self._stops = 0
        self._goals: dict[int, str] = {}
        """Breakpoints of ours, by number, that are there to get somewhere once."""
        self._names: dict[int, str] = {}
        """What the user called a breakpoint, by number, where gdb calls it an address."""
        self._user_breakpoints: tuple[str, ...] = ()
        self._quiet = False
        self._has_commands = False
        self._symbols: tuple[str, ...] = ()

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
                self._here().gdb.wait_stop(self._options.timeout)
                if self._listener is None:
                    self.state()

        threading.Thread(target=run, name="rcdbg-boot", daemon=True).start()

    def start(self, listener: Listener) -> None:
        """Boot and run to the first place to look at."""
        if self._prepared is None:
            self.prepare()
        assert self._prepared is not None
        self._prepared.result()
        self._attach(listener)

    def restart(self) -> None:
        """The same again; the user's breakpoints are set again."""
        listener = self._listener
        if listener is None:
            raise UsageError("the session has not been started")
        self._end()
        self._listener = None
        self._begin()
        self._attach(listener)

    def close(self) -> None:
        """End the machine and gdb."""
        with self._lock:
            self._closed = True
        self._end()

    def _begin(self) -> None:
        image = load_image(self._options.boot.kernel)
        first = place(self._options.at, image)
        address = first.places(image, describe(image, self._options.boot.overlay))[0]
        self._end_reason = None
        boot = self._options.boot
        rig = Rig(image, boot.config(), self._options.gdb, self._on_end, boot.overlay)
        with self._lock:
            if not self._closed:
                self._rig = rig
        if self._rig is not rig:
            rig.close()
            raise MachineError("the session has been closed")
        self._goals, self._names, self._quiet, self._has_commands = {}, {}, False, False
        self._symbols = ()
        rig.gdb.subscribe(self._on_record)
        for location in self._user_breakpoints:
            # One that is gone from a rebuilt kernel is no reason not to start.
            with contextlib.suppress(RcdbgError):
                self._insert(rig, location)
        self._run_to(address, f"reached {self._options.at}", first.hit)

    def _attach(self, listener: Listener) -> None:
        """Tell `listener` how things stand, and from now on how they change."""
        rig = self._here()
        self._listener = listener
        rig.qemu.console.subscribe(listener.on_console_text)
        if self._end_reason is not None:
            listener.on_exit(self._end_reason)
            return
        try:
            rig.gdb.wait_stop(0)
        except DeadlineError:
            listener.on_running()
        else:
            listener.on_stop()

    def _on_end(self, reason: str) -> None:
        self._end_reason = reason
        if self._listener is not None:
            self._listener.on_exit(reason)

    def _end(self) -> None:
        with self._lock:
            rig, self._rig = self._rig, None
        if rig is not None:
            rig.close()

    def _here(self) -> Rig:
        rig = self._rig
        if rig is None:
            raise MachineError("there is no machine: r starts one")
        return rig

    @property
    def _gdb(self) -> Gdb:
        return self._here().gdb

    # What gdb tells, from its thread

    def _on_record(self, record: Record) -> None:
        if self._quiet or record.kind != "notify":
            return
        listener = self._listener
        if record.message == "running" and listener is not None:
            listener.on_running()
        elif record.message == "stopped":
            self._stops += 1
            why = (record.payload or {}).get("reason", "")
            # A machine that ends says so by itself: nothing can be read from it any more.
            if listener is not None and not why.startswith("exited"):
                listener.on_stop()

    # The kernel at a stop

    def state(self) -> Stopped:
        """The kernel as it stands."""
        with self._reading:
            return self._state()

    def _state(self) -> Stopped:
        rig, number = self._here(), self._stops
        stop = rig.gdb.wait_stop(_STOP_SECONDS)
        kernel = rig.kernel()
        state = read_state(kernel)
        every = rig.gdb.breakpoints()
        mine = [
            replace(b, location=self._names.get(b.number, b.location))
            for b in every
            if b.number not in self._goals
        ]
        self._user_breakpoints = tuple(b.location for b in mine if b.kind == "breakpoint")
        # Held up on the way, the guest is not sent there any more.
        for left in (b.number for b in every if b.number in self._goals):
            rig.gdb.remove_breakpoint(left)
        code = read_code(kernel, rig.gdb, mine)
        return Stopped(number, state, code, _reason(stop, self._goals, mine, state.trap))

    def symbols(self) -> Sequence[str]:
        """The kernel's functions."""
        if not self._symbols:
            found = {symbol.path for symbol in self._here().image.symbols if symbol.kind != "data"}
            self._symbols = tuple(sorted(found))
        return self._symbols

    # Running

    def resume(self) -> None:
        """Let the guest run."""
        self._gdb.resume()

    def interrupt(self) -> None:
        """Ask a running guest to stop."""
        self._gdb.interrupt()

    def step_line(self) -> None:
        """Run to the next source line, into calls."""
        self._gdb.step("line")

    def next_line(self) -> None:
        """Run to the next source line of this function."""
        self._gdb.step("over_line")

    def step_instruction(self) -> None:
        """Execute one instruction."""
        self._gdb.step("instruction")

    def finish(self) -> None:
        """Run until the function returns."""
        self._gdb.step("out")

    def until_next_trap(self) -> None:
        """Run until the kernel's trap handler is entered."""
        image = self._here().image
        trap = describe(image, self._options.boot.overlay).trap
        self._run_to(demand_symbol(image, trap.handler, "the trap handler")[1], _NEXT_TRAP)

    def _run_to(self, address: int, words: str, hit: int = 1) -> None:
        rig = self._here()
        if address == rig.image.entry:
            # Paging is off there, and the pc a physical address.
            address = rig.image.physical(address) or address
        number = rig.gdb.insert_breakpoint(address, temporary=True)
        self._goals[number] = words
        if hit > 1:
            rig.gdb.command(f"-break-after {number} {hit - 1}")
        rig.gdb.resume()

    # What the user types

    def add_breakpoint(self, location: str) -> str:
        """Stop at a symbol, a line or an address, also while the guest runs."""
        rig = self._here()
        with self._standing(rig.gdb):
            number = self._insert(rig, location)
            made = next(b for b in rig.gdb.breakpoints() if b.number == number)
        where = f" ({made.address:#x})" if made.address is not None else ""
        return f"breakpoint {number} at {location}{where}"

    def _insert(self, rig: Rig, location: str) -> int:
        address = rig.image.symbols.address_of(location)
        if address is not None and rig.image.lines.lookup(address) is None:
            # Where a prologue ends, gdb can only guess without source lines.
            number = rig.gdb.insert_breakpoint(address)
        else:
            try:
                number = rig.gdb.insert_breakpoint(location)
            except GdbError:
                # gdb knows no path with traits or impl blocks in it; the symbol table does.
                if address is None:
                    raise
                number = rig.gdb.insert_breakpoint(address)
        self._names[number] = location
        return number

    def console_command(self, text: str, width: int) -> str:
        """What gdb prints for a command."""
        gdb = self._gdb
        if text.split()[0] != "rc":
            return gdb.console_command(text, _COMMAND_SECONDS)
        self._load_commands()
        gdb.command(f"-gdb-set width {width}")
        try:
            return gdb.console_command(text, _COMMAND_SECONDS)
        finally:
            gdb.command("-gdb-set width 0")

    def completions(self, text: str) -> Sequence[str]:
        """What gdb, and our commands in it, say that may come of the text."""
        if text.split()[:1] == ["rc"]:
            self._load_commands()
        return self._gdb.console_command(f"complete {text}", _COMMAND_SECONDS).splitlines()

    def _load_commands(self) -> None:
        if not self._has_commands:
            # Not at the start, since they take gdb half a second to load.
            self._gdb.source_commands(commands_script())
            if (profile := self._options.boot.overlay.file) is not None:
                self._gdb.console_command(f"rc profile {shlex.quote(str(profile))}")
            self._has_commands = True

    def write_console(self, text: str) -> None:
        """Type to the kernel."""
        self._here().qemu.console.write(text.encode())

    def write_snapshot(self) -> str:
        """Write the stopped kernel to a new file in the current directory."""
        from rcdbg.tui.snapshot import write_new

        return write_new(self._here(), self.scenario)

    @contextlib.contextmanager
    def _standing(self, gdb: Gdb) -> Iterator[None]:
        """Hold a running guest for a moment, unnoticed; one that stops by itself stays so."""
        if not gdb.running:
            yield
            return
        self._quiet = True
        held = False
        try:
            gdb.interrupt()
            held = gdb.wait_stop(_STOP_SECONDS).reason == "interrupt"
            yield
            if held:
                gdb.resume()
        finally:
            self._quiet = False
        if not held and self._listener is not None:
            self._stops += 1
            self._listener.on_stop()


def _reason(stop: Stop, goals: dict[int, str], breakpoints: list[Breakpoint], trap: Trap) -> str:
    if stop.reason == "breakpoint":
        if stop.breakpoint in goals:
            words = goals[stop.breakpoint]
            return f"{words}: {trap.cause}" if words == _NEXT_TRAP and trap.cause else words
        found = next((b for b in breakpoints if b.number == stop.breakpoint), None)
        if found is None:
            return f"breakpoint {stop.breakpoint}"
        return f"{found.kind} {found.number} at {found.location}"
    if stop.reason == "signal":
        return f"gdb was told of signal {stop.signal}"
    return {"step": "stepped", "interrupt": "interrupted"}.get(stop.reason, stop.reason)
