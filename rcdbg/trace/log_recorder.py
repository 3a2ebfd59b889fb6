"""The recorder that does not stop the guest: QEMU's own log, read while it grows.

QEMU writes the log before it executes what it tells of, and waits while the pipe is full. So
nothing is lost, and the guest is never further ahead than the pipe is large.
"""

import fcntl
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

from rcdbg.errors import MachineError, UsageError
from rcdbg.image.elf import Image, load_image
from rcdbg.image.match import differs_from_memory
from rcdbg.machine.qemu import LogConfig, Qemu, unread
from rcdbg.target.memory import RamTarget
from rcdbg.target.protocol import Registers
from rcdbg.trace.deterministic import replace_wfi, unstopped
from rcdbg.trace.firmware import Firmware, digest, discover, firmware, kernel_start
from rcdbg.trace.log_format import Item, LogParser, State, Stopped
from rcdbg.trace.log_moments import MomentMaker, Watched
from rcdbg.trace.moment import Clock, Moment
from rcdbg.trace.run import NANOSECONDS_PER_TICK, Boot

CLOSE_BYTES, FAST_BYTES = 4096, 1 << 20
"""Sizes of the pipe: the guest is three records ahead at most; or as fast as can be."""

MAX_WAITING = 64 << 20
"""Bytes of log that are kept for a slow consumer, if it may be far behind; then the guest waits."""

_EXIT_SECONDS = 10.0
_STATE_BYTES = 1500
_ECALL = 0x0000_0073
_SYSTEM_OPCODE = 0x73


class LogRecorder:
    """Records the kernel of `boot`; see `rcdbg.trace.moment.Recorder`.

    The guest is some records ahead of the moment that was yielded last, so that what it has in
    memory can still be read; with `fast` it does not wait, and may be thousands ahead. What is in
    memory at a moment can be believed only where the log shows that what would change it has not
    happened yet: see `Moment.same_thread_runs`.
    `repeats` counts states that QEMU logged twice, `strange` lines of the log not understood,
    `exit_status` is QEMU's once it has ended by itself. `qemu`, `target` and `firmware` are there
    after `watch`. The registers of `target` are those of the moment that was yielded last.

    Time is "sampled": the host's clock when the log was read, which is up to `fast`'s distance
    late; or in a deterministic run "bound": the latest deadline of a timer known to have expired.
    """

    name = "log"

    def __init__(self, boot: Boot, image: Image | None = None, *, fast: bool = False) -> None:
        self.image = image or load_image(boot.kernel)
        self.clock: Clock = "bound" if boot.deterministic else "sampled"
        self.lost = 0
        self.ended = ""
        self.exit_status: int | None = None
        self.qemu: Qemu
        self.target: RamTarget
        self.firmware: Firmware
        self._boot = boot
        self._fast = fast
        self._parser = LogParser()
        self._maker: MomentMaker | None = None
        self._registers: Registers | None = None
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._waiting = 0
        self._most = MAX_WAITING if fast else 1
        self._to_come: deque[tuple[int | None, Item]] = deque()
        self._leaves: frozenset[int] = frozenset()
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None
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
        config = self._boot.config()
        if self._boot.deterministic:
            config = unstopped(config)
        known = firmware(config, self.image)
        self.qemu = Qemu(replace(config, log=self._log(places, known)))
        try:
            if digest(self.qemu.ram, self.image) != known.digest:
                self.qemu.close()
                known = discover(config, self.image)
                self.qemu = Qemu(replace(config, log=self._log(places, known)))
            ram = self.qemu.ram
            self.target = RamTarget(ram.memory, ram.base, self._last_registers)
            if why := differs_from_memory(self.image, self.target.read_phys):
                raise MachineError(why)
            if self._boot.deterministic:
                replace_wfi(self.image, ram.memory, ram.base)
        except BaseException:
            self.qemu.close()
            raise
        self.firmware = known
        self._leaves = self._ways_out(places)
        self._maker = MomentMaker(self._watched(places, known), bound=self._boot.deterministic)

    def moments(self) -> Iterator[Moment]:
        """The moments as they come, from the machine's start to its end.

        Raises MachineError if QEMU was killed by somebody else than `close`.
        """
        if self._maker is None or self._reader is not None:
            raise UsageError("a recorder's moments are asked for once, after `watch`")
        log = self.qemu.log
        assert log is not None
        # Its own descriptor: the machine may be closed while the reader still reads.
        self._reader = threading.Thread(
            target=self._read, args=(os.dup(log),), name="rcdbg-log", daemon=True
        )
        self._reader.start()
        self._start = time.monotonic_ns()
        self.qemu.monitor.execute("cont")
        maker = self._maker
        maker.same_thread_runs = self._same_thread_runs
        while self._to_come or self._more():
            ticks, item = self._to_come[0]
            for moment in maker.see(item, ticks):
                self._registers = moment.registers
                yield moment
            self._to_come.popleft()
        for moment in maker.end():
            self._registers = moment.registers
            yield moment
        if not self._closed:
            self.exit_status = self.qemu.wait(_EXIT_SECONDS)
            if self.exit_status < 0 and not self._closed:
                raise MachineError(f"QEMU was killed by signal {-self.exit_status}")

    def close(self) -> None:
        """End the machine; `moments`, in whatever thread it waits, then ends. May be repeated."""
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        # A second caller has to find all of it gone.
        with self._ending:
            if hasattr(self, "qemu"):
                self.qemu.close()
            if self._reader is not None:
                self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log(self, places: Sequence[int], known: Firmware) -> LogConfig:
        calls = [place for place in places if self._word(place) == _ECALL]
        logged = {place for place in places if place not in calls}
        if calls or self._boot.deterministic:
            logged.add(known.mtvec)
        return LogConfig(
            # Chained, blocks run from one to the next without a look at the log.
            items=(
                "int",
                "cpu",
                "exec",
                *(() if all(map(self._unchained, logged)) else ("nochain",)),
            ),
            places=sorted(logged),
            pipe_bytes=FAST_BYTES if self._fast else CLOSE_BYTES,
        )

    def _unchained(self, place: int) -> bool:
        """Whether no block is chained to this one: trap vectors, and what follows a CSR write."""
        if self._word(place) is None:
            # Nothing that belongs to the kernel: the firmware's trap vector, or a mistake.
            return True
        if place == self.image.symbols.address_of(self._boot.profile.trap_entry):
            return True
        before = self._word(place - 4)
        return before is not None and before & 0x7F == _SYSTEM_OPCODE and before >> 12 & 3 != 0

    def _ways_out(self, places: Sequence[int]) -> frozenset[int]:
        """Those of the places that the hart passes whenever it leaves a trap."""
        start = self.image.symbols.address_of(self._boot.profile.trap_return)
        symbols = self.image.symbols
        return frozenset(
            place
            for place in places
            if start is not None and (held := symbols.covering(place)) and held.address == start
        )

    def _word(self, place: int) -> int | None:
        """The four bytes of the image there, at a virtual address or at where it was loaded."""
        code = self.image.read(place, 4)
        if code is None:
            for segment in self.image.segments:
                start = self.image.physical(segment.vaddr)
                if start is not None and start <= place < start + segment.memory_size:
                    code = self.image.read(segment.vaddr + place - start, 4)
        return int.from_bytes(code, "little") if code is not None else None

    def _watched(self, places: Sequence[int], known: Firmware) -> Watched:
        vector = self.image.symbols.address_of(self._boot.profile.trap_entry)
        return Watched(
            places=frozenset(places),
            calls=frozenset(place for place in places if self._word(place) == _ECALL),
            vector=vector if vector in places else None,
            firmware=known,
            kernel_start=kernel_start(self.image),
        )

    def _last_registers(self) -> Registers:
        if self._registers is None:
            raise MachineError("the recorder has seen no moment yet")
        return self._registers

    def _read(self, log: int) -> None:
        """The thread that drains the log, so that the guest stands still for a slow reader only."""
        try:
            poll = select.poll()
            poll.register(log, select.POLLIN)
            while events := poll.poll():
                with self._changed:
                    if not unread(log) and not events[0][1] & select.POLLHUP:
                        continue  # somebody else has taken it
                    if not self._take(log):
                        return
                    self._changed.wait_for(lambda: self._waiting < self._most or self._closed)
        finally:
            os.close(log)
            with self._changed:
                self._chunks.append((0, b""))
                self._changed.notify_all()

    def _take(self, log: int) -> bool:
        """Read once from the log, in which there is something; False at its end."""
        data = os.read(log, FAST_BYTES)
        if data:
            self._chunks.append((time.monotonic_ns(), data))
            self._waiting += len(data)
            self._changed.notify_all()
        return bool(data)

    def _same_thread_runs(self) -> bool:
        """Whether no trap was left, and the kernel entered again, since the moment yielded last.

        QEMU writes what it is going to execute before it does, and the guest is ahead by so many
        states at the most. In a deterministic run that many are waited for, so that the answer
        does not depend on how far it really was.
        """
        log, maker = self.qemu.log, self._maker
        if log is None or maker is None or self._closed or not self._leaves or self._fast:
            return False
        ahead = 3 * fcntl.fcntl(log, fcntl.F_GETPIPE_SZ) // _STATE_BYTES + 2
        left, seen, at = False, 0, 0
        while seen < ahead:
            if at + 1 >= len(self._to_come) and not self._more(wait=maker.bound):
                break
            if at >= len(self._to_come):
                continue
            item = self._to_come[at][1]
            after = self._to_come[at + 1][1] if at + 1 < len(self._to_come) else None
            at += 1
            if not isinstance(item, State):
                continue
            if isinstance(after, Stopped) and after.pc == item.pc:
                continue  # it comes again
            if left and item.pc in maker.watched.places:
                return False
            left, seen = left or item.pc in self._leaves, seen + 1
        return not (left and seen < ahead and self._unfinished(log))

    def _unfinished(self, log: int) -> bool:
        """Whether there is the beginning of something that may be executed already."""
        return bool(self._parser.rest or unread(log))

    def _more(self, *, wait: bool = True) -> bool:
        """Get further items of the log; False if there are none, or none yet and not to `wait`."""
        maker, log = self._maker, self.qemu.log
        assert maker is not None
        assert log is not None
        while not self._at_end:
            with self._changed:
                if not wait and not self._chunks and not (unread(log) and self._take(log)):
                    return False
                self._changed.wait_for(lambda: self._chunks)
                when, data = self._chunks.popleft()
                self._waiting -= len(data)
                self._changed.notify_all()
            self._at_end = not data
            ticks = None if maker.bound else (when - self._start) // NANOSECONDS_PER_TICK
            items = self._parser.feed(data)
            self._to_come.extend((ticks, item) for item in items)
            if items:
                return True
        return False
