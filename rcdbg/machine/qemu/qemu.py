"""Booting a kernel in QEMU's `virt` machine, watched and cleaned up after."""

import os
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from rcdbg.errors import MachineError
from rcdbg.machine.host.deadline import Deadline, DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.session import open_session, sweep
from rcdbg.machine.qemu import wires
from rcdbg.machine.qemu.board import parse_memory
from rcdbg.machine.qemu.command_line import command_line
from rcdbg.machine.qemu.config import NO_SSTC, PROGRAM, QemuConfig, find_qemu
from rcdbg.machine.qemu.console import SerialConsole
from rcdbg.machine.qemu.monitor import Monitor, MonitorError
from rcdbg.machine.qemu.ram import GuestRam, create_ram
from rcdbg.machine.qemu.reader import Reader

_END_SECONDS = 20.0
_SETTLE_SECONDS = 10.0


class Qemu:
    """A running machine; a context manager that ends it.

    It waits before its first instruction unless `paused` is False. Attributes: `config`; `ram`, the
    guest's memory; `console`, its serial line; `gdb_socket`, `qmp_socket` and `quick_socket`, unix
    sockets that wait for a debugger, a further monitor, and one for samples; `log`, where to read
    its log, or None; `directory`, private, which goes with it.

    Raises MachineError if QEMU is missing or refuses to start; the message has QEMU's reason.
    """

    def __init__(self, config: QemuConfig, *, paused: bool = True) -> None:
        try:
            self._boot(config, paused=paused)
        except MachineError as error:
            # QEMU before 7.2 has no Sstc, and nothing to switch it off with.
            if NO_SSTC not in config.cpu or "sstc" not in str(error):
                raise
            older = replace(config, cpu=config.cpu.replace(NO_SSTC, ""))
            self._boot(older, paused=paused)

    def _boot(self, config: QemuConfig, *, paused: bool) -> None:
        self.config = config
        program = find_qemu(config.qemu)
        memory = parse_memory(config.memory)
        if not config.kernel.is_file():
            raise MachineError(f"no kernel image at {config.kernel}: build it first")
        sweep()
        self._closed = False
        self._monitor: Monitor | None = None
        self._monitor_lock = threading.Lock()
        with ExitStack() as undo, ExitStack() as given:
            session = open_session()
            undo.callback(session.close)
            self.directory = session.path
            self.gdb_socket = session.path / wires.GDB
            self.qmp_socket = session.path / wires.FURTHER_MONITOR
            self.quick_socket = session.path / wires.QUICK_MONITOR
            self.ram: GuestRam = create_ram(memory)
            undo.callback(self.ram.close)
            ends = wires.connect(config, session, undo, given)
            self.log = ends.log.read
            self._process = Process(
                command_line(config, program, self.ram, ends, self._image(), paused=paused),
                session=session,
                stderr=ends.stderr,
                pass_fds=(self.ram.fd, *ends.given, *config.inherited),
                folder=config.own.folder if config.own is not None else None,
            )
            undo.callback(self._process.close)
            # Else we would hold the other ends of what QEMU writes to, and never see its end.
            given.close()
            self.console = SerialConsole(ends.serial.keyboard)
            self._reader = Reader(self.console, ends.serial.read, ends.errors)
            undo.callback(self._end_reader)
            self._await_start()
            self._undo = undo.pop_all()

    def _image(self) -> Path:
        """The file that QEMU loads: the kernel's, or one in the machine's directory."""
        if self.config.contents is None:
            return self.config.kernel.absolute()
        image = self.directory / "kernel.bin"
        image.write_bytes(self.config.contents)
        return image

    def _await_start(self) -> None:
        """Shake hands with the monitor (QMP specification, section 2.2 and 4.1).

        The answer, unlike the greeting, comes when QEMU has built the machine and loaded the
        images: all that can be wrong with its options has come out by then. Nobody stays
        connected: for one who does not read, QEMU keeps two events of each stop.
        """
        try:
            Monitor(self.directory / wires.MONITOR).close()
        except DeadlineError as error:
            raise DeadlineError(f"QEMU does not start: {error}") from error
        except MonitorError as error:
            # It has ended, and the reason is in what it printed.
            status = self.wait(_END_SECONDS)
            if self.config.log is not None and self.config.log.holds and self.log is not None:
                self._reader.note(os.read(self.log, 65536).split(b"\n"))
            said = [line.removeprefix(f"{PROGRAM}: ") for line in self.errors]
            reason = "\n  ".join(said) or f"it ended with status {status}"
            raise MachineError(f"QEMU did not start: {reason}") from error

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @property
    def warden_pid(self) -> int:
        """The process id of QEMU's parent."""
        return self._process.warden_pid

    @property
    def monitor(self) -> Monitor:
        """QEMU's monitor, connected at first use; it is closed with the machine."""
        with self._monitor_lock:
            if self._monitor is None:
                try:
                    self._monitor = Monitor(self.directory / wires.MONITOR)
                except MonitorError as error:
                    if self.alive:
                        raise
                    raise MonitorError("QEMU has ended") from error
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
        return self._reader.lines

    def wait(self, timeout: float) -> int:
        """QEMU's exit status, once it has ended and all it printed is in `console` and `errors`.

        A guest's own shutdown gives 0, or the code it passed to the `sifive_test` device; -N means
        signal N. Raises DeadlineError after `timeout` seconds.
        """
        deadline = Deadline(timeout)
        status = self._process.wait(timeout)
        self._reader.join(deadline.remaining + 1)
        return status

    def settle(self, timeout: float = _SETTLE_SECONDS) -> None:
        """Wait until all that a guest printed before it stopped is in `console`.

        QEMU has handed it over by then, but the reader thread may not have come to it. Raises
        DeadlineError after `timeout` seconds, as may happen with a guest that runs.
        """
        self._reader.settle(timeout)

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

    def _end_reader(self) -> None:
        self._process.close()
        self.console.detach_keyboard()
        self._reader.join()
