"""What connects us with a QEMU: each wire has an end of ours and one that QEMU is given."""

import fcntl
import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rcdbg.machine.host.session import Session
from rcdbg.machine.qemu.config import LogConfig, QemuConfig
from rcdbg.machine.qemu.held_log import log_socket

GDB, MONITOR, FURTHER_MONITOR, QUICK_MONITOR = "gdb.sock", "monitor.sock", "qmp.sock", "quick.sock"
"""The sockets in the machine's directory: for a debugger, and three that serve QMP."""

SERIAL_NAME = "rcdbg.serial"
_SERIAL_BYTES = 1 << 20
"""What a pipe may hold at the most, unless the host's administrator said otherwise."""


@dataclass(frozen=True, slots=True)
class SerialWire:
    """The serial line: where to read, where to type if one can; `device` is QEMU's `-chardev`."""

    read: int
    keyboard: int | None
    device: str
    given: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LogWire:
    """Where to read the log, and what QEMU writes it to; nothing without a log."""

    read: int | None = None
    given: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wires:
    """All of them: `errors` is where to read what QEMU says itself, `stderr` its end of that.

    `gdb` and `monitors` are listening sockets for QEMU to serve.
    """

    serial: SerialWire
    log: LogWire
    errors: int
    stderr: int
    gdb: int
    monitors: tuple[int, ...]

    @property
    def given(self) -> tuple[int, ...]:
        """The descriptors that QEMU gets, but for its stderr."""
        return (*self.serial.given, self.gdb, *self.monitors, *self.log.given)


def connect(config: QemuConfig, session: Session, kept: ExitStack, given: ExitStack) -> Wires:
    """Make them: `kept` closes our ends, `given` those that are QEMU's."""
    serial = _serial(config, session, kept, given)
    errors, stderr = os.pipe()
    kept.callback(os.close, errors)
    given.callback(os.close, stderr)
    log = _log(config.log, kept, given)
    holds = config.log is not None and config.log.holds
    gdb, *monitors = (
        _listen(session.socket_path(name), given)
        for name in (GDB, MONITOR, FURTHER_MONITOR, QUICK_MONITOR)
    )
    return Wires(serial, log, errors, log.given[0] if holds else stderr, gdb, tuple(monitors))


def _serial(config: QemuConfig, session: Session, kept: ExitStack, given: ExitStack) -> SerialWire:
    if config.serial == "socket":
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        kept.callback(ours.close)
        given.callback(theirs.close)
        end, fd = ours.fileno(), theirs.fileno()
        return SerialWire(end, end, f"socket,id={SERIAL_NAME},fd={fd}", (fd,))
    if config.serial == "pipe":
        # QEMU's `pipe` device wants two of them, under these names.
        ends = []
        for suffix, mode in ((".out", os.O_RDONLY), (".in", os.O_RDWR)):
            path = session.socket_path(SERIAL_NAME + suffix)
            os.mkfifo(path, 0o600)
            end = os.open(path, mode | os.O_NONBLOCK | os.O_CLOEXEC)
            kept.callback(os.close, end)
            ends.append(end)
        with suppress(OSError):  # the host's limit may be lower: then it stays at 64 KiB
            fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, _SERIAL_BYTES)
        device = f"pipe,id={SERIAL_NAME},path={session.socket_path(SERIAL_NAME)}"
        return SerialWire(ends[0], ends[1], device)
    read, write = os.pipe()
    kept.callback(os.close, read)
    given.callback(os.close, write)
    # A `file` device is the kind that replays; that this file is a pipe, QEMU never learns.
    return SerialWire(read, None, f"file,id={SERIAL_NAME},path=/proc/self/fd/{write}", (write,))


def _log(config: LogConfig | None, kept: ExitStack, given: ExitStack) -> LogWire:
    if config is None:
        return LogWire()
    if config.holds:
        ours, theirs = log_socket()
        kept.callback(ours.close)
        given.callback(theirs.close)
        return LogWire(ours.fileno(), (theirs.fileno(),))
    read, write = os.pipe()
    kept.callback(os.close, read)
    given.callback(os.close, write)
    # The host may not allow such a large one: then QEMU waits more often.
    with suppress(OSError):
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, config.pipe_bytes)
    return LogWire(read, (write,))


def _listen(path: Path, given: ExitStack) -> int:
    """A listening socket for QEMU: bound here, so that a client never comes too early."""
    listener = socket.socket(socket.AF_UNIX)
    given.callback(listener.close)
    listener.bind(str(path))
    listener.listen(4)
    return listener.fileno()
