"""gdb, driven through its machine interface, and connected to QEMU's stub.

Commands: gdb manual, chapter "The GDB/MI Interface". gdb runs with `mi-async`: MI commands that set
the guest going return at once, and `-exec-interrupt` stops it. Commands of the console (`continue`,
or Python's `gdb.execute`) block gdb until the guest stands again. What Ctrl-C does then is no good
from a program: gdb says that the guest runs before it has told QEMU so, a SIGINT in between is
lost, and at a second one gdb disconnects. There it is QEMU that is asked to stop.
"""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from rcdbg.errors import MachineError, MemoryReadError
from rcdbg.guest.protocol import Registers
from rcdbg.machine.gdb.mi import GdbError, MiChannel, Payload, Record, quote
from rcdbg.machine.gdb.program import (
    ARCHITECTURE,
    find_gdb,
    gdb_candidates,
    no_gdb_error,
    run_in_terminal,
)
from rcdbg.machine.gdb.records import (
    Breakpoint,
    Frame,
    Instruction,
    breakpoint_of,
    exit_code_of,
    frame_of,
    hexadecimal,
    instructions_of,
    stop_of,
)
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.machine.stop import Stop
from rcdbg.machine.stub.dialect import PRIVILEGE_REGISTER, set_step_mode
from rcdbg.riscv.registers import ABI_NAMES, SUPERVISOR_CSRS, unsigned

__all__ = ["Breakpoint", "Frame", "Gdb", "Instruction", "find_gdb", "run_in_terminal"]

ANSWER_SECONDS = 20.0
"""How long a command may take unless the caller says otherwise."""

_HALT_SECONDS = 0.05
# gdb calls x8 `fp` in its own description, and `s0` in others.
_GPRS = tuple("fp" if name == "s0" else name for name in ABI_NAMES)

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

_NEEDS_MORE_LINES = re.compile(
    r"\s*(?:(?:commands|define|document|if|while|while-stepping|python-interactive|pi)\b"
    r"|(?:python|py|guile|gu)\s*$)"
)


class Gdb:
    """A gdb; once connected, it runs and stops a guest. Methods may be called from any thread.

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
        self._csrs = tuple(csrs)
        self._changed = threading.Condition()
        self._running = False
        self._stop: Stop | None = None
        self._gone = False
        self._machine: Qemu | None = None
        self._numbers: dict[str, int] = {}
        self._listeners: list[Callable[[Record], None]] = []
        self._console = threading.Lock()
        self._capture: _Capture | None = None
        self._console_busy = threading.Event()
        self.program, self._channel = self._start(path, arguments)
        try:
            for setting in _SETTINGS:
                self.command(f"-gdb-set {setting}")
            for setting in _SETTINGS_OF_NEWER_GDBS:
                self._try_setting(setting)
        except BaseException:
            self._channel.close()
            raise

    @property
    def pid(self) -> int:
        """gdb's process id."""
        return self._channel.pid

    @property
    def running(self) -> bool:
        """Whether the guest runs, as far as gdb has told."""
        with self._changed:
            return self._running

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
        if _NEEDS_MORE_LINES.match(text):
            raise GdbError(f"{text.split()[0]!r} needs more lines: write a file and source it")
        deadline = Deadline(timeout)
        if not self._console.acquire(timeout=timeout):
            raise DeadlineError("gdb's console is busy with an earlier command")
        try:
            capture = self._capture = _Capture()
            self._console_busy.set()
            try:
                capture.token, future = self._channel.send(
                    f"-interpreter-exec console {quote(text)}"
                )
                # `^running` comes long before a command's end: this second one waits for that.
                _, barrier = self._channel.send("-gdb-show width")
            except GdbError:
                self._console_busy.clear()
                raise
            # Not when we give up waiting: gdb is blocked all the same.
            barrier.add_done_callback(lambda _: self._console_busy.clear())
            try:
                self._channel.await_result(future, text, deadline.remaining)
            except GdbError as error:
                capture.error = capture.error or str(error)
            self._channel.await_result(barrier, text, deadline.remaining)
            if capture.error is not None:
                raise GdbError(capture.error, capture.text)
            return capture.text
        finally:
            self._capture = None
            self._console.release()

    def source_commands(self, path: Path, timeout: float = 60.0) -> str:
        """What the gdb or Python script at `path` prints when gdb sources it."""
        if not path.is_file():
            raise MachineError(f"no gdb script at {path}")
        return self.console_command(f"source {path.resolve()}", timeout)

    def subscribe(self, listener: Callable[[Record], None]) -> Callable[[], None]:
        """Call `listener` with each record, from the reader thread; returns the way out.

        The listener must not ask this gdb anything.
        """
        with self._changed:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def connect(self, machine: Qemu | Path | str, elf: Path | None = None) -> Stop:
        """Load `elf`'s symbols and attach to `machine`, or to a stub at a socket or "host:port".

        The guest stands from then on. Raises GdbError.
        """
        if isinstance(machine, Qemu):
            self._machine, stub = machine, str(machine.gdb_socket)
        else:
            self._machine, stub = None, str(machine)
        if elf is not None:
            self.command(f"-file-exec-and-symbols {quote(str(elf.resolve()))}")
        self.command(f"-target-select remote {stub}")
        names = self.command("-data-list-register-names")["register-names"]
        self._numbers = {name: number for number, name in enumerate(names) if name}
        return self.wait_stop(ANSWER_SECONDS)

    def resume(self) -> None:
        """Let the guest run; a breakpoint at its pc does not hold it."""
        self._set_going("-exec-continue")

    def step_instruction(self) -> None:
        """Let the hart execute one instruction."""
        self._set_going("-exec-step-instruction")

    def next_instruction(self) -> None:
        """The same, but a call is executed up to its return."""
        self._set_going("-exec-next-instruction")

    def step_line(self) -> None:
        """Run to the next source line, into calls."""
        self._set_going("-exec-step")

    def next_line(self) -> None:
        """Run to the next source line of this function."""
        self._set_going("-exec-next")

    def finish(self) -> None:
        """Run until the selected function returns."""
        self._set_going("-exec-finish")

    def interrupt(self) -> None:
        """Ask a running guest to stop; if it stands, break off the console's command if any."""
        busy = self._console_busy.is_set()
        if busy and self.running and self._machine is not None:
            self._halt(self._machine)
        elif busy:
            self._channel.interrupt()
        elif self.running:
            self._channel.send("-exec-interrupt")

    def set_step_mode(self, mode: int) -> None:
        """What a step holds back: `STEP_ALONE` or `STEP_WITH_INTERRUPTS` of `stub.dialect`."""
        self.console_command(f"maintenance packet {set_step_mode(mode)}")

    def wait_stop(self, timeout: float) -> Stop:
        """Why the guest stands, once it does; raises DeadlineError after `timeout` seconds."""
        deadline = Deadline(timeout)
        with self._changed:
            while self._stop is None:
                if self._gone:
                    raise GdbError("gdb has ended")
                if not self._changed.wait(deadline.remaining) and deadline.expired:
                    raise DeadlineError(f"the guest did not stop within {timeout:g} s")
            return self._stop

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
        general = [name if name in self._numbers else "s0" for name in _GPRS]
        names = [*general, "pc", *self._csrs, PRIVILEGE_REGISTER]
        wanted = {self._numbers[name]: name for name in names if name in self._numbers}
        if not wanted:
            raise GdbError("gdb is not connected to a machine")
        listed = " ".join(map(str, wanted))
        answer = self.command(f"-data-list-register-values --skip-unavailable x {listed}")
        values: dict[str, int] = {}
        for row in answer.get("register-values", []):
            value = hexadecimal(row.get("value"))
            if value is not None:
                values[wanted[int(row["number"])]] = unsigned(value)
        missing = [name for name in (*general, "pc") if name not in values]
        if missing:
            raise GdbError(f"gdb gives no value for {', '.join(missing)}")
        privilege = values.get(PRIVILEGE_REGISTER)
        return Registers(
            pc=values["pc"],
            x=tuple(values[name] for name in general),
            csrs={name: values[name] for name in self._csrs if name in values},
            privilege=None if privilege is None else privilege & 3,
        )

    def read_memory(self, address: int, size: int) -> bytes:
        """`size` bytes at virtual `address`; raises MemoryReadError."""
        try:
            answer = self.command(f"-data-read-memory-bytes {address:#x} {size}")
        except GdbError as error:
            with self._changed:
                ended = self._gone or (self._stop is not None and self._stop.reason == "exited")
                if ended or self._running:
                    raise
            raise MemoryReadError(address, size, str(error)) from error
        data = b"".join(bytes.fromhex(block["contents"]) for block in answer["memory"])
        if len(data) != size:
            raise MemoryReadError(address, size, "not all of it is mapped")
        return data

    def evaluate(self, expression: str) -> str:
        """The value of `expression` in the selected frame, as gdb prints it."""
        return str(self.command(f"-data-evaluate-expression {quote(expression)}")["value"])

    def frames(self, limit: int = 32) -> list[Frame]:
        """The innermost `limit` stack frames."""
        answer = self.command(f"-stack-list-frames 0 {limit - 1}")
        return [frame_of(row) for row in answer.get("stack", [])]

    def disassemble(self, pc: int, count: int) -> list[Instruction]:
        """Up to `count` instructions from `pc` on, each with its source line where known.

        Fewer where memory ends; raises GdbError if there is none at `pc`.
        """
        span = f"-s {pc:#x} -e {pc + 4 * count:#x}"
        rows = self.command(f"-data-disassemble {span} -- 5").get("asm_insns", [])
        found = {
            instruction.address: instruction for row in rows for instruction in instructions_of(row)
        }
        return [found[address] for address in sorted(found)][:count]

    def close(self) -> None:
        """End gdb; the guest stays as it is. May be called again."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, path: str | None, arguments: Sequence[str]) -> tuple[str, MiChannel]:
        """Start the first gdb that takes the architecture: cheaper than to probe each before."""
        for program in gdb_candidates(path):
            self._gone = False
            channel = MiChannel(
                [program, "-q", "-nx", "--interpreter=mi3", *arguments], self._on_record
            )
            try:
                channel.request(f"-gdb-set architecture {ARCHITECTURE}", ANSWER_SECONDS)
            except GdbError:
                channel.close()
            except BaseException:
                channel.close()
                raise
            else:
                return program, channel
        raise no_gdb_error(path)

    def _halt(self, machine: Qemu) -> None:
        """Stop the machine behind gdb's back; gdb hears of it as of any interrupt."""
        deadline = Deadline(ANSWER_SECONDS)
        while self.running and not deadline.expired:
            # Too early, while gdb has not set it going yet, this does nothing: hence the loop.
            machine.halt()
            with self._changed:
                self._changed.wait_for(lambda: not self._running, _HALT_SECONDS)

    def _try_setting(self, setting: str) -> None:
        try:
            self.command(f"-gdb-set {setting}")
        except GdbError:
            # An older gdb has no such setting, and nothing to be turned off.
            if not self._channel.alive:
                raise

    def _set_going(self, command: str) -> None:
        with self._changed:
            before, self._stop = self._stop, None
        try:
            self.command(command)
        except BaseException:
            with self._changed:
                if not self._running and self._stop is None:
                    self._stop = before
            raise

    def _on_record(self, record: Record | None) -> None:
        with self._changed:
            if record is None:
                self._gone = True
                self._running = False
            else:
                self._follow(record)
            self._changed.notify_all()
            listeners = list(self._listeners)
        if record is None:
            return
        capture = self._capture
        if capture is not None:
            capture.take(record)
        for listener in listeners:
            listener(record)

    def _follow(self, record: Record) -> None:
        if record.kind not in ("notify", "result"):
            return
        payload = record.payload or {}
        # As a notification or as a command's result, whichever comes first.
        if record.message == "running":
            self._running, self._stop = True, None
        elif record.message == "stopped":
            self._running, self._stop = False, stop_of(payload)
        elif record.message == "thread-group-exited" and (
            self._stop is None or self._stop.reason != "exited"
        ):
            # A machine that is killed says no more than this.
            self._running, self._stop = False, Stop("exited", exit_status=exit_code_of(payload))


class _Capture:
    """What one console command prints, and whether it fails after having begun to run."""

    def __init__(self) -> None:
        self.token = 0
        self.error: str | None = None
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def take(self, record: Record) -> None:
        if record.kind in ("console", "log", "target"):
            self._pieces.append(record.payload)
        elif record.kind == "output":
            self._pieces.append(record.payload + "\n")
        elif record.kind == "result" and record.token == self.token and record.message == "error":
            self.error = (record.payload or {}).get("msg") or "gdb failed without saying why"
