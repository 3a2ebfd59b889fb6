"""gdb, driven through its machine interface, and connected to QEMU's stub.

Commands: gdb manual, chapter "The GDB/MI Interface". gdb runs with `mi-async`: MI commands that set
the guest going return at once, and `-exec-interrupt` stops it. Commands of the console (`continue`,
or Python's `gdb.execute`) block gdb until the guest stands again. What Ctrl-C does then is no good
from a program: gdb says that the guest runs before it has told QEMU so, a SIGINT in between is
lost, and at a second one gdb disconnects. There it is QEMU that is asked to stop.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.gdb.console import GdbConsole
from rcdbg.machine.gdb.data import GdbData
from rcdbg.machine.gdb.guest import GuestState
from rcdbg.machine.gdb.mi import GdbError, MiChannel, Payload, Record, quote
from rcdbg.machine.gdb.program import ARCHITECTURE, gdb_candidates, no_gdb_error
from rcdbg.machine.gdb.records import Breakpoint, breakpoint_of
from rcdbg.machine.gdb.run import GdbRun, Step
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.stop import Stop
from rcdbg.riscv.csr import SUPERVISOR_CSRS

ANSWER_SECONDS = 20.0
"""How long a command may take unless the caller says otherwise."""

_SETTINGS = (
    "mi-async on",
    # With gdb's default for an unknown kernel it steps in software, past `ecall` and `sret`.
    "osabi none",
    "confirm off",
    "pagination off",
    "height 0",
    "width 0",
    "breakpoint pending off",
    "history save off",
    "remotetimeout 10",
)
_SETTINGS_OF_NEWER_GDBS = ("debuginfod enabled off", "style enabled off", "style emoji off")


class Gdb:
    """A gdb; once connected, it runs and stops a guest. Methods may be called from any thread.

    `guest` knows whether it runs, `data` gives what gdb knows of one that stands.
    `path` and the choice without it are as for `find_gdb`; `program` is the one that runs. `csrs`
    are those that `registers` reads. Raises MachineError if there is no usable gdb.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        csrs: Sequence[str] = SUPERVISOR_CSRS,
        arguments: Sequence[str] = (),
    ) -> None:
        self.guest = GuestState()
        self._console = GdbConsole()
        self._listeners: list[Callable[[Record], None]] = []
        self._listening = threading.Lock()
        self.program, self._channel = _start(path, arguments, self._on_record)
        self._run = GdbRun(self._channel, self.guest, self._console, ANSWER_SECONDS)
        self.data = GdbData(self.command, self.guest, csrs)

    @property
    def pid(self) -> int:
        """gdb's process id."""
        return self._channel.pid

    @property
    def running(self) -> bool:
        """Whether the guest runs, as far as gdb has told."""
        return self.guest.running

    def command(self, text: str, timeout: float = ANSWER_SECONDS) -> Payload:
        """The result of an MI command such as "-break-list".

        Raises GdbError if gdb refuses or ends, DeadlineError after `timeout` seconds.
        """
        return self._channel.request(text, timeout)

    def console_command(self, text: str, timeout: float = ANSWER_SECONDS) -> str:
        """What a command of gdb's console prints. It is over when gdb is ready for the next.

        If it sets the guest going, that is when the guest stands again; `interrupt` may help.
        Raises GdbError (with the `output` so far) and DeadlineError.
        """
        return self._console.execute(self._channel, text, timeout)

    def source_commands(self, path: Path, timeout: float = 60.0) -> str:
        """What the gdb or Python script at `path` prints when gdb sources it."""
        if not path.is_file():
            raise MachineError(f"no gdb script at {path}")
        return self.console_command(f"source {path.resolve()}", timeout)

    def subscribe(self, listener: Callable[[Record], None]) -> Callable[[], None]:
        """Call `listener` with each record, from the reader thread; returns the way out.

        `guest` has understood it by then. The listener must not ask this gdb anything.
        """
        with self._listening:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._listening:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def _on_record(self, record: Record | None) -> None:
        self.guest.follow(record)
        if record is None:
            return
        self._console.take(record)
        with self._listening:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(record)

    def connect(self, machine: Qemu | Path | str, elf: Path | None = None) -> Stop:
        """Load `elf`'s symbols and attach to `machine`, or to a stub at a socket or "host:port".

        The guest stands from then on. Raises GdbError.
        """
        ours = machine if isinstance(machine, Qemu) else None
        self._run.machine = ours
        if elf is not None:
            self.command(f"-file-exec-and-symbols {quote(str(elf.resolve()))}")
        self.command(f"-target-select remote {ours.gdb_socket if ours else machine}")
        self.data.learn_registers()
        return self.wait_stop(ANSWER_SECONDS)

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self._run.resume()

    def step(self, how: Step) -> None:
        """Let the guest run for one step: see `Step`."""
        self._run.step(how)

    def interrupt(self) -> None:
        """Ask a running guest to stop; if it stands, break off the console's command if any."""
        self._run.interrupt()

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        return self.guest.wait_stop(timeout)

    def insert_breakpoint(
        self, where: int | str, *, temporary: bool = False, condition: str | None = None
    ) -> int:
        """Stop before each execution of an address or of a location such as "trap_handler".

        Returns gdb's number for it; raises GdbError if gdb finds no such place.
        """
        location = f"*{where:#x}" if isinstance(where, int) else where
        options = "-t " if temporary else ""
        if condition is not None:
            options += f"-c {quote(condition)} "
        made = self.command(f"-break-insert {options}{quote(location)}")
        return int(made["bkpt"]["number"])

    def remove_breakpoint(self, number: int) -> None:
        """Take out the breakpoint or watchpoint with this number; raises GdbError if none is."""
        # gdb itself would call that a success.
        if number not in {row.number for row in self.breakpoints()}:
            raise GdbError(f"there is no breakpoint {number}")
        self.command(f"-break-delete {number}")

    def breakpoints(self) -> list[Breakpoint]:
        """All that are set, by number."""
        table = self.command("-break-list").get("BreakpointTable", {})
        return [breakpoint_of(row) for row in table.get("body", [])]

    def registers(self) -> Registers:
        """The registers of the hart that stopped, whatever frame is selected."""
        return self.data.registers()

    def close(self) -> None:
        """End gdb; the guest stays as it is. May be called again."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(
    path: str | None, arguments: Sequence[str], listener: Callable[[Record | None], None]
) -> tuple[str, MiChannel]:
    """Start the first gdb that takes the architecture: cheaper than to probe each before."""
    for program in gdb_candidates(path):
        channel = MiChannel([program, "-q", "-nx", "--interpreter=mi3", *arguments], listener)
        try:
            if _takes_settings(channel):
                return program, channel
        except BaseException:
            channel.close()
            raise
        channel.close()
    raise no_gdb_error(path)


def _takes_settings(channel: MiChannel) -> bool:
    """Give a fresh gdb its settings; False if it does not know the architecture."""
    try:
        channel.request(f"-gdb-set architecture {ARCHITECTURE}", ANSWER_SECONDS)
    except GdbError:
        return False
    for setting in _SETTINGS:
        channel.request(f"-gdb-set {setting}", ANSWER_SECONDS)
    for setting in _SETTINGS_OF_NEWER_GDBS:
        try:
            channel.request(f"-gdb-set {setting}", ANSWER_SECONDS)
        except GdbError:
            # An older gdb has no such setting, and nothing to be turned off.
            if not channel.alive:
                raise
    return True
