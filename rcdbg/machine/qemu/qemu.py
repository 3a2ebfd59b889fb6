"""Booting a kernel in QEMU's `virt` machine, watched and cleaned up after."""

import fcntl
import os
import select
import shutil
import socket
import termios
import threading
from array import array
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.session import Session, open_session, sweep
from rcdbg.machine.qemu.board import parse_memory
from rcdbg.machine.qemu.console import Console
from rcdbg.machine.qemu.held_log import log_socket
from rcdbg.machine.qemu.ram import GuestRam, create_ram

if TYPE_CHECKING:
    from rcdbg.machine.qemu.monitor import Monitor

PROGRAM = "qemu-system-riscv64"

_START_SECONDS = 20.0
_SETTLE_SECONDS = 10.0
_STDERR_LINES = 200


def find_qemu(path: str | None = None) -> str:
    """The QEMU to run: `path` if given, else the one in PATH; raises MachineError if none."""
    found = shutil.which(path or PROGRAM)
    if found is not None:
        return found
    if path is not None:
        raise MachineError(f"{path} is not an executable QEMU")
    raise MachineError(
        f"{PROGRAM} is not installed: apt install qemu-system-misc "
        "(qemu-system-riscv on Debian 13, Ubuntu 25.04 and newer)"
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What QEMU logs, into a pipe: `items` as for `-d`; states of the hart at `places` only.

    QEMU waits when `pipe_bytes` (a power of two, a page at least) are unread, so nothing is lost,
    and the smaller the pipe, the less the guest is ahead of the reader. One that `holds` is read
    as a `HeldLog`: the guest waits at each place. What QEMU has to say itself is in it, too.
    """

    items: Sequence[str]
    places: Sequence[int] = ()
    pipe_bytes: int = 4096
    holds: bool = False


@dataclass(frozen=True, slots=True)
class QemuConfig:
    """What to boot, and how.

    `kernel` is an ELF or a raw image for QEMU's `-kernel`; `append` its command line; `bios` as
    for `-bios`; `qemu` the program, or None to take it from PATH; `extra` further arguments.
    With `icount`, an argument of `-icount`, time is counted in instructions.
    `sstc` is off by default, for with it the timer is lost by snapshots and by record/replay.
    `serial`: "socket" can be typed to; "output" cannot, but works under record/replay; "pipe" can,
    and takes so much text before somebody reads it that the guest never has to wait for the host.
    `inherited` are descriptors that QEMU gets under the same numbers, for `extra` to name.
    With a `log`, somebody has to read `Qemu.log` all the time, or else QEMU stands still.
    """

    kernel: Path
    memory: str = "128M"
    append: str = ""
    bios: str = "default"
    cpu: str = "rv64,sstc=off"
    harts: int = 1
    serial: Literal["socket", "output", "pipe"] = "socket"
    qemu: str | None = None
    extra: Sequence[str] = ()
    icount: str | None = None
    log: LogConfig | None = None
    inherited: Sequence[int] = ()


_SERIAL_NAME = "serial"
_SERIAL_BYTES = 1 << 20
"""What a pipe may hold at the most, unless the host's administrator said otherwise."""


class Qemu:
    """A running machine; a context manager that ends it.

    It waits before its first instruction unless `paused` is False. Attributes: `config`; `ram`, the
    guest's memory; `console`, its serial line; `gdb_socket`, `qmp_socket` and `quick_socket`, unix
    sockets that wait for a debugger, a further monitor and a `QuickMonitor`; `log`, where to read
    its log, or None; `directory`, private, which goes with it.

    Raises MachineError if QEMU is missing or refuses to start; the message has QEMU's reason.
    """

    def __init__(self, config: QemuConfig, *, paused: bool = True) -> None:
        self.config = config
        program = find_qemu(config.qemu)
        memory = parse_memory(config.memory)
        if not config.kernel.is_file():
            raise MachineError(f"no kernel image at {config.kernel}: build it first")
        sweep()
        self._closed = False
        self._monitor: Monitor | None = None
        self._monitor_lock = threading.Lock()
        self._reading = threading.Condition()
        self._reader_busy = False
        self._errors: deque[str] = deque(maxlen=_STDERR_LINES)
        with ExitStack() as undo, ExitStack() as given:
            session = open_session()
            undo.callback(session.close)
            self.ram: GuestRam = create_ram(memory)
            undo.callback(self.ram.close)

            serial, keyboard, serial_given = _serial(config, session, undo, given)
            errors, errors_given = os.pipe()
            undo.callback(os.close, errors)
            given.callback(os.close, errors_given)
            monitor, monitor_given = socket.socketpair()
            undo.callback(monitor.close)
            given.callback(monitor_given.close)
            self.log, log_given = _log_ends(config.log, undo, given)
            holds = config.log is not None and config.log.holds
            gdb = _listen(session, "gdb.sock", given)
            qmp = _listen(session, "qmp.sock", given)
            quick = _listen(session, "quick.sock", given)

            device = _serial_device(config, session, serial_given)
            arguments = _arguments(
                config, program, self.ram, device, gdb, (qmp, quick), monitor_given.fileno(), paused
            )
            if config.log is not None:
                arguments += _log_arguments(config.log, *log_given)
            self._process = Process(
                arguments,
                session=session,
                stderr=log_given[0] if holds else errors_given,
                pass_fds=(
                    *(self.ram.fd, *serial_given, gdb, qmp, quick, monitor_given.fileno()),
                    *(*log_given, *config.inherited),
                ),
            )
            undo.callback(self._process.close)
            # Else we would hold the other ends of what QEMU writes to, and never see its end.
            given.close()
            self._serial = serial
            self.console = Console(keyboard)
            self._reader = threading.Thread(
                target=self._read, args=(serial, errors), name="rcdbg-console", daemon=True
            )
            self._reader.start()
            undo.callback(self._end_reader)
            self.directory = session.path
            self.gdb_socket = session.path / "gdb.sock"
            self.qmp_socket = session.path / "qmp.sock"
            self.quick_socket = session.path / "quick.sock"
            self._monitor_socket = monitor
            self._await_start()
            self._undo = undo.pop_all()

    def _await_start(self) -> None:
        """Shake hands with the monitor (QMP specification, section 2.2 and 4.1).

        The answer, unlike the greeting, comes when QEMU has built the machine and loaded the
        images: all that can be wrong with its options has come out by then.
        """
        self._monitor_socket.settimeout(_START_SECONDS)
        answer = b""
        # ConnectionError: it has ended, and the reason is in what it printed.
        with suppress(ConnectionError):
            try:
                self._monitor_socket.sendall(b'{"execute": "qmp_capabilities"}\n')
                while data := self._monitor_socket.recv(4096):
                    answer += data
                    if b'"return"' in answer:
                        return
            except TimeoutError as error:
                raise DeadlineError(f"QEMU does not answer after {_START_SECONDS:g} s") from error
        status = self.wait(_START_SECONDS)
        if self.config.log is not None and self.config.log.holds and self.log is not None:
            self._note_errors(os.read(self.log, 65536).split(b"\n"))
        reason = self.errors[-1] if self.errors else f"it ended with status {status}"
        reason = reason.removeprefix(f"{PROGRAM}: ")
        raise MachineError(f"QEMU did not start: {reason}")

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @property
    def warden_pid(self) -> int:
        """The process id of QEMU's parent."""
        return self._process.warden_pid

    @property
    def monitor(self) -> "Monitor":
        """QEMU's monitor, connected at first use; it is closed with the machine."""
        # asyncio and the library take 0.05 s to import: not before somebody asks.
        from rcdbg.machine.qemu.monitor import Monitor

        with self._monitor_lock:
            if self._monitor is None:
                self._monitor = Monitor(self._monitor_socket)
            return self._monitor

    def halt(self) -> None:
        """Stop the guest over the monitor; whoever debugs it sees an interrupt.

        Nothing happens if it stands or has ended.
        """
        try:
            self.monitor.execute("stop")
        except MachineError:
            if self.alive:
                raise

    def quit(self, timeout: float = 10.0) -> int:
        """End QEMU in order, so that it completes the logs it writes; returns its exit status.

        A recording (`rr=record`) that is cut off by `close` cannot be replayed.
        """
        if self.alive:
            # Its end may come before its answer.
            with suppress(MachineError):
                self.monitor.execute("quit", timeout=timeout)
        return self.wait(timeout)

    @property
    def alive(self) -> bool:
        """Whether QEMU still runs (the guest may be stopped)."""
        return self._process.alive

    @property
    def errors(self) -> list[str]:
        """The last lines that QEMU itself printed on stderr."""
        return list(self._errors)

    def wait(self, timeout: float) -> int:
        """QEMU's exit status, once it has ended and all it printed is in `console` and `errors`.

        A guest's own shutdown gives 0, or the code it passed to the `sifive_test` device; -N means
        signal N. Raises DeadlineError after `timeout` seconds.
        """
        deadline = Deadline(timeout)
        status = self._process.wait(timeout)
        self._reader.join(deadline.remaining + 1)
        return status

    def close(self) -> None:
        """Kill the machine if it runs, and remove all it had. May be called again."""
        if not self._closed:
            self._closed = True
            if self._monitor is not None:
                self._monitor.close()
            self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def settle(self, timeout: float = _SETTLE_SECONDS) -> None:
        """Wait until all that a guest printed before it stopped is in `console`.

        QEMU has handed it over by then, but the reader thread may not have come to it. Raises
        DeadlineError after `timeout` seconds, as may happen with a guest that runs.
        """
        with self._reading:
            if not self._reading.wait_for(
                lambda: not self._reader_busy and not unread(self._serial), timeout
            ):
                raise DeadlineError(f"the console did not come to rest within {timeout:g} s")

    def _note_errors(self, lines: Sequence[bytes]) -> None:
        self._errors.extend(line.decode("utf-8", "replace") for line in lines if line.strip())

    def _end_reader(self) -> None:
        self._process.close()
        self.console.detach_keyboard()
        self._reader.join()

    def _read(self, serial: int, errors: int) -> None:
        poll = select.poll()
        for descriptor in (serial, errors):
            poll.register(descriptor, select.POLLIN)
        pending = b""
        open_ends = {serial, errors}
        while open_ends:
            for descriptor, _ in poll.poll():
                with self._reading:
                    self._reader_busy = True
                    data = _read_some(descriptor)
                if descriptor == serial:
                    self.console.feed(data)
                else:
                    *lines, pending = (pending + (data or b"\n")).split(b"\n")
                    self._note_errors(lines)
                if not data:
                    poll.unregister(descriptor)
                    open_ends.remove(descriptor)
                with self._reading:
                    self._reader_busy = False
                    self._reading.notify_all()


def unread(descriptor: int) -> int:
    """Bytes that wait to be read: ioctl_tty(2), FIONREAD."""
    waiting = array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except ConnectionResetError:
        return b""  # QEMU was killed with our typing unread: its end all the same


def _serial(
    config: QemuConfig, session: Session, kept: ExitStack, given: ExitStack
) -> tuple[int, int | None, tuple[int, ...]]:
    """The serial line: where to read, where to type, and what is handed to QEMU."""
    if config.serial == "socket":
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        kept.callback(ours.close)
        given.callback(theirs.close)
        return ours.fileno(), ours.fileno(), (theirs.fileno(),)
    if config.serial == "pipe":
        # QEMU's `pipe` device wants two of them, under these names.
        ends = []
        for suffix, mode in ((".out", os.O_RDONLY), (".in", os.O_RDWR)):
            path = session.socket_path(_SERIAL_NAME + suffix)
            os.mkfifo(path, 0o600)
            end = os.open(path, mode | os.O_NONBLOCK | os.O_CLOEXEC)
            kept.callback(os.close, end)
            ends.append(end)
        with suppress(OSError):  # the host's limit may be lower: then it stays at 64 KiB
            fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, _SERIAL_BYTES)
        return ends[0], ends[1], ()
    read, write = os.pipe()
    kept.callback(os.close, read)
    given.callback(os.close, write)
    return read, None, (write,)


def _serial_device(config: QemuConfig, session: Session, given: Sequence[int]) -> str:
    """The serial line for QEMU's `-chardev`."""
    if config.serial == "pipe":
        return f"pipe,id=serial,path={session.socket_path(_SERIAL_NAME)}"
    if config.serial == "socket":
        return f"socket,id=serial,fd={given[0]}"
    # A `file` device is the kind that replays; that this file is a pipe, QEMU never learns.
    return f"file,id=serial,path=/proc/self/fd/{given[0]}"


def _log_ends(
    config: LogConfig | None, kept: ExitStack, given: ExitStack
) -> tuple[int | None, tuple[int, ...]]:
    """The log's two ends: ours, and the one for QEMU; none without a log."""
    if config is None:
        return None, ()
    if config.holds:
        ours, theirs = log_socket()
        kept.callback(ours.close)
        given.callback(theirs.close)
        return ours.fileno(), (theirs.fileno(),)
    read, write = os.pipe()
    kept.callback(os.close, read)
    given.callback(os.close, write)
    # The host may not allow such a large one: then QEMU waits more often.
    with suppress(OSError):
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, config.pipe_bytes)
    return read, (write,)


def _log_arguments(config: LogConfig, descriptor: int) -> list[str]:
    """QEMU's options for the log ("QEMU manual, Invocation", `-d`, `-dfilter`, `-D`)."""
    ranges = ",".join(f"{place:#x}+1" for place in config.places)
    return [
        *("-d", ",".join(config.items)),
        # Without a file for it, it is written to stderr.
        *(() if config.holds else ("-D", f"/proc/self/fd/{descriptor}")),
        *(("-dfilter", ranges) if ranges else ()),
    ]


def _listen(session: Session, name: str, given: ExitStack) -> int:
    """A listening socket for QEMU: bound here, so that a client never comes too early."""
    listener = socket.socket(socket.AF_UNIX)
    given.callback(listener.close)
    listener.bind(str(session.socket_path(name)))
    listener.listen(4)
    return listener.fileno()


def _further_monitor(number: int, listener: int) -> tuple[str, ...]:
    name = f"qmp{number}"
    socket_device = f"socket,id={name},fd={listener},server=on,wait=off"
    return ("-chardev", socket_device, "-mon", f"chardev={name},mode=control")


def _arguments(
    config: QemuConfig,
    program: str,
    ram: GuestRam,
    serial_device: str,
    gdb: int,
    monitors: Sequence[int],
    monitor: int,
    paused: bool,
) -> list[str]:
    return [
        program,
        *("-machine", "virt,memory-backend=ram"),
        "-object",
        f"memory-backend-file,id=ram,size={ram.size},mem-path=/proc/self/fd/{ram.fd},share=on",
        *("-m", f"{ram.size >> 10}K", "-cpu", config.cpu, "-smp", str(config.harts)),
        *("-nodefaults", "-display", "none"),
        *("-chardev", serial_device, "-serial", "chardev:serial"),
        *("-chardev", f"socket,id=gdb,fd={gdb},server=on,wait=off", "-gdb", "chardev:gdb"),
        *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
        *(word for number, fd in enumerate(monitors) for word in _further_monitor(number, fd)),
        *("-bios", config.bios, "-kernel", str(config.kernel)),
        *(("-append", config.append) if config.append else ()),
        *(("-S",) if paused else ()),
        *(("-icount", config.icount) if config.icount else ()),
        *config.extra,
    ]
