"""The recorders that do not stop the machine: QEMU's own log, read while it grows.

QEMU writes the log before it executes what it tells of, and waits while there is no room for more.
So nothing is lost, and the guest is never further ahead than there is room: thousands of moments,
three, or not at all.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal, Self

from rcdbg.errors import MachineError, UsageError
from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Registers
from rcdbg.image.elf import Image, load_image
from rcdbg.image.match import doubt_of
from rcdbg.machine.qemu import timer
from rcdbg.machine.qemu.config import LogConfig
from rcdbg.machine.qemu.held_log import HeldLog
from rcdbg.machine.qemu.log_pipe import LogPipe
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.deterministic import replace_wfi, unstopped
from rcdbg.trace.moment import TIME_OVER, Clock, Moment
from rcdbg.trace.recorders.firmware import Firmware, digest, discover, firmware
from rcdbg.trace.recorders.log_format import HartState, Item, LogParser, NotExecuted
from rcdbg.trace.recorders.log_moments import MomentMaker
from rcdbg.trace.recorders.log_places import LogPlaces
from rcdbg.trace.run import NANOSECONDS_PER_TICK, Boot

Pace = Literal["fast", "close", "held"]
"""How far the guest may be ahead: as far as can be, three moments, or not at all."""

CLOSE_BYTES, FAST_BYTES = 4096, 1 << 20
"""Sizes of the pipe."""

MAX_WAITING = 64 << 20
"""Bytes of log that are kept for a slow consumer, if it may be far behind; then the guest waits."""

_EXIT_SECONDS = 10.0
_SILENCE_SECONDS = 0.5
_STATE_BYTES = 1500


class LogRecorder:
    """Records the kernel of `boot`; see `rcdbg.trace.moment.Recorder`.

    With the `pace` "held" the guest waits at each moment, with its memory as it is at that instant;
    so it arrives at a place before an interrupt that is due there, else after it. With "close" it
    is some records ahead, and what is in memory can be believed only where the log shows that what
    would change it has not happened yet: see `Moment.same_thread_runs`. With "fast" it does not
    wait, and may be thousands ahead.
    `repeats` counts states that QEMU logged twice, `strange` lines of the log not understood,
    `exit_status` is QEMU's once it has ended by itself. `qemu`, `target` and `firmware` are there
    after `watch`. The registers of `target` are those of the moment that was yielded last.

    Time is "sampled": the host's clock when the log was read, which is up to the pace's distance
    late; or in a deterministic run "bound": the latest deadline of a timer known to have expired.
    A guest that is silent until its own clock reaches `limit_ticks` is not waited for any longer.
    """

    def __init__(
        self,
        boot: Boot,
        image: Image | None = None,
        *,
        pace: Pace = "close",
        limit_ticks: int | None = None,
    ) -> None:
        self.name = "held" if pace == "held" else "log"
        self.image = image or load_image(boot.kernel)
        self.clock: Clock = "bound" if boot.deterministic else "sampled"
        self.lost = 0
        self.ended = ""
        self.exit_status: int | None = None
        self.qemu: Qemu
        self.target: RamTarget
        self.firmware: Firmware
        self._boot = boot
        self._pace = pace
        self._limit = limit_ticks
        self._is_late = False
        self._mtime: int | None = None
        self._parser = LogParser()
        self._maker: MomentMaker | None = None
        self._registers: Registers | None = None
        self._log: LogPipe | HeldLog | None = None
        self._reads = 0
        self._to_come: deque[tuple[int | None, Item]] = deque()
        self._leaves: frozenset[int] = frozenset()
        self._closed = False
        self._start = 0
        self._at_end = False
        self._ending = threading.Lock()

    @property
    def repeats(self) -> int:
        """States that were logged again before anything was executed, and are no moments."""
        return self._maker.repeats if self._maker is not None else 0

    @property
    def strange(self) -> int:
        """Lines of the log that were not understood."""
        return self._parser.strange

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self.qemu.console.text

    def watch(self, places: Sequence[int]) -> None:
        """Boot the machine with these places logged; it waits before its first instruction."""
        if self._maker is not None:
            raise UsageError("a recorder watches one set of places: make another one")
        config = self._boot.config(self.image)
        if self._boot.deterministic:
            config = unstopped(config)
        logged = LogPlaces(self.image, self._boot.overlay, places)
        known = firmware(config, self.image)
        self.qemu = Qemu(replace(config, log=self._log_config(logged, known)))
        try:
            if digest(self.qemu.ram, self.image) != known.digest:
                self.qemu.close()
                known = discover(config, self.image)
                self.qemu = Qemu(replace(config, log=self._log_config(logged, known)))
            ram = self.qemu.ram
            self.target = RamTarget(ram.memory, ram.base, self._last_registers)
            doubt_of(self.image, self.target.read_phys)
            if self._boot.deterministic:
                replace_wfi(self.image, ram.memory, ram.base)
        except BaseException:
            self.qemu.close()
            raise
        self.firmware = known
        self._leaves = logged.leaves
        self._maker = MomentMaker(
            logged.watched(known),
            bound=self._boot.deterministic,
            same_thread_runs=self._same_thread_runs,
            held=self._held if self._pace == "held" else None,
        )

    def moments(self) -> Iterator[Moment]:
        """The moments as they come, from the machine's start to its end.

        Raises MachineError if QEMU was killed by somebody else than `close`.
        """
        maker, file = self._maker, self.qemu.log if self._maker is not None else None
        if maker is None or file is None or self._log is not None:
            raise UsageError("a recorder's moments are asked for once, after `watch`")
        if self._pace == "held":
            self._log = HeldLog(file, self._patience)
        else:
            self._log = LogPipe(file, MAX_WAITING if self._pace == "fast" else 1)
        self._start = time.monotonic_ns()
        self.qemu.monitor.execute("cont")
        try:
            while self._to_come or self._more():
                ticks, item = self._to_come[0]
                for moment in maker.see(item, ticks):
                    self._registers = moment.registers
                    yield moment
                self._to_come.popleft()
            for moment in maker.end():
                self._registers = moment.registers
                yield moment
        finally:
            self._reads += 1
            if isinstance(self._log, HeldLog):
                self._log.close()
        if not self._closed and not self.ended:
            self.exit_status = self.qemu.wait(_EXIT_SECONDS)
            if self.exit_status < 0 and not self._closed:
                raise MachineError(f"QEMU was killed by signal {-self.exit_status}")

    def close(self) -> None:
        """End the machine; `moments`, in whatever thread it waits, then ends. May be repeated."""
        self._closed = True
        if isinstance(self._log, LogPipe):
            self._log.release()
        # A second caller has to find all of it gone.
        with self._ending:
            if hasattr(self, "qemu"):
                self.qemu.close()
            if isinstance(self._log, LogPipe):
                self._log.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log_config(self, places: LogPlaces, known: Firmware) -> LogConfig:
        return places.config(
            known,
            held=self._pace == "held",
            bound=self._boot.deterministic,
            pipe_bytes=FAST_BYTES if self._pace == "fast" else CLOSE_BYTES,
        )

    def _last_registers(self) -> Registers:
        if self._registers is None:
            raise MachineError("the recorder has seen no moment yet")
        return self._registers

    def _held(self) -> Callable[[], bool]:
        """A question for later: whether the hart still waits where it does now."""
        reads, log = self._reads, self._log
        return lambda: reads == self._reads and isinstance(log, HeldLog) and log.holds

    def _same_thread_runs(self) -> bool:
        """Whether no trap was left, and the kernel entered again, since the moment yielded last.

        QEMU writes what it is going to execute before it does, and the guest is ahead by so many
        states at the most. In a deterministic run that many are waited for, so that the answer
        does not depend on how far it really was.
        """
        log, maker = self._log, self._maker
        if not isinstance(log, LogPipe) or maker is None or self._closed or not self._leaves:
            return False
        if self._pace == "fast":
            return False
        ahead = 3 * log.capacity // _STATE_BYTES + 2
        left, seen, at = False, 0, 0
        while seen < ahead:
            if at + 1 >= len(self._to_come) and not self._more(wait=maker.bound):
                break
            if at >= len(self._to_come):
                continue
            item = self._to_come[at][1]
            after = self._to_come[at + 1][1] if at + 1 < len(self._to_come) else None
            at += 1
            if not isinstance(item, HartState):
                continue
            if isinstance(after, NotExecuted) and after.pc == item.pc:
                continue  # it comes again
            if left and item.pc in maker.watched.places:
                return False
            left, seen = left or item.pc in self._leaves, seen + 1
        # The beginning of something may be executed already.
        return not (left and seen < ahead and (self._parser.rest or log.unread))

    def _more(self, *, wait: bool = True) -> bool:
        """Get further items of the log; False if there are none, or none yet and not to `wait`."""
        maker, log = self._maker, self._log
        assert maker is not None
        assert log is not None
        while not self._at_end:
            self._reads += 1
            if isinstance(log, LogPipe):
                read = log.read(self._patience if wait else 0)
            else:
                read = log.read()
            if read is None and not wait:
                return False
            if read is None:
                self._at_end = self._is_over()
                continue
            self._is_late = False
            when, data = read
            self._at_end = not data
            ticks = None if maker.bound else (when - self._start) // NANOSECONDS_PER_TICK
            items = self._parser.feed(data)
            self._to_come.extend((ticks, item) for item in items)
            if items:
                return True
        return False

    @property
    def _patience(self) -> float | None:
        """Seconds without a word after which we look at the guest's clock."""
        return None if self._limit is None else _SILENCE_SECONDS

    def _is_over(self) -> bool:
        """Whether the guest's time was over when we last looked, and nothing has come since."""
        if self._is_late:
            self.ended = TIME_OVER
            return True
        # It may end just now.
        with suppress(MachineError):
            ask = self.qemu.monitor.hmp
            self._mtime = self._mtime or timer.mtime_address(ask)
            now = timer.ask_ticks(ask, self._mtime) if self._mtime is not None else None
            self._is_late = now is not None and now >= (self._limit or 0)
        return False
