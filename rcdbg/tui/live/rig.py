"""QEMU and a gdb connected to it, watched by a thread that tells when one of them ends."""

import os
import select
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image
from rcdbg.image.match import doubt_of
from rcdbg.kernels.reading import NOTHING, Overlay
from rcdbg.machine.gdb.client import Gdb
from rcdbg.machine.qemu import timer
from rcdbg.machine.qemu.config import QemuConfig
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.model.kernel import Kernel

_END_SECONDS = 5.0


class Rig:
    """A kernel on a test rig: booted but not started, gdb connected, its image loaded.

    `on_end` is called once, from a thread, with the reason in words, when QEMU or gdb ends without
    `close` having been called. Raises MachineError if one of them cannot be started, and
    ImageError if the image is not what QEMU has loaded; `doubt` says why it may not be.
    """

    def __init__(
        self,
        image: Image,
        config: QemuConfig,
        gdb_path: str | None,
        on_end: Callable[[str], None],
        overlay: Overlay = NOTHING,
    ) -> None:
        self.image = image
        self._overlay = overlay
        self._on_end = on_end
        self._closing = threading.Event()
        with ThreadPoolExecutor(1) as beside:
            # Neither needs the other to start, and each takes a while.
            starting_gdb = beside.submit(Gdb, gdb_path)
            try:
                self.qemu = Qemu(config)
            except BaseException:
                if starting_gdb.exception() is None:
                    starting_gdb.result().close()
                raise
        try:
            self.gdb = starting_gdb.result()
        except BaseException:
            self.qemu.close()
            raise
        self.target = RamTarget(self.qemu.ram.memory, self.qemu.ram.base, self._registers)
        self._mtime: int | None = None
        self._wake = os.eventfd(0)
        self._watcher = threading.Thread(target=self._watch, name="rcdbg-watcher", daemon=True)
        try:
            self.doubt = doubt_of(image, self.target.read_phys)
            self.gdb.command("-gdb-set print asm-demangle on")
            self.gdb.connect(self.qemu.gdb_socket, image.path)
            self._mtime = timer.mtime_address(self.qemu.monitor.hmp)
        except BaseException:
            self.gdb.close()
            self.qemu.close()
            os.close(self._wake)
            raise
        self._watcher.start()

    def kernel(self) -> Kernel:
        """The kernel as it stands; raises GdbError while it runs."""
        return Kernel.now(self.image, self.target, self._overlay)

    def doubted(self) -> str | None:
        """The doubt as it is by now: a kernel may be loaded late. Raises ImageError."""
        if self.doubt is not None:
            self.doubt = doubt_of(self.image, self.target.read_phys)
        return self.doubt

    def _registers(self) -> Registers:
        now = self.gdb.registers()
        if self._mtime is None:
            return now
        ticks = timer.ask_ticks(self.qemu.monitor.hmp, self._mtime)
        return now if ticks is None else replace(now, csrs={**now.csrs, timer.NAME: ticks})

    def close(self) -> None:
        """End gdb and QEMU. Once only, and not from `on_end`."""
        self._closing.set()
        os.eventfd_write(self._wake, 1)
        self._watcher.join()
        os.close(self._wake)
        self.gdb.close()
        self.qemu.close()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        descriptors = []
        try:
            for pid in (self.qemu.pid, self.gdb.pid):
                try:
                    descriptors.append(os.pidfd_open(pid))
                except ProcessLookupError:
                    # Ended before it could be watched: what is read below tells which one.
                    os.eventfd_write(self._wake, 1)
                else:
                    poll.register(descriptors[-1], select.POLLIN)
            poll.poll()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if not self._closing.is_set():
            self._on_end(self._obituary())

    def _obituary(self) -> str:
        if self.qemu.alive:
            return "gdb has ended"
        status = self.qemu.wait(_END_SECONDS)
        if status < 0:
            return f"QEMU was killed by {signal.Signals(-status).name}"
        said = f": {self.qemu.errors[-1]}" if status and self.qemu.errors else ""
        return f"guest shut down with status {status}{said}"
