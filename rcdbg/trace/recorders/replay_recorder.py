"""The recorder for runs that stops must not change: recorded first without any, then replayed.

QEMU's clock goes on a little at each stop, and with it every timer. In a replay the clock comes
from the recording, so the guest may be held as long as one likes, at each moment and everywhere.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Self

from rcdbg.errors import MachineError
from rcdbg.guest.protocol import Target
from rcdbg.image.elf import Image, load_image
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.deterministic import Tape, replace_wfi, unstopped
from rcdbg.trace.moment import TIME_OVER, Clock, Moment
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import NANOSECONDS_PER_INSTRUCTION, NANOSECONDS_PER_TICK, Boot, Run

_FIRST_TICKS = 20_000_000
_GROWTH = 4
_SPARE_TICKS = 100_000
_LOOK_SECONDS = 0.02
_EXIT_SECONDS = 10.0
_FORWARD_SECONDS = 600.0


class ReplayRecorder:
    """Exact state at each event of a deterministic run; see `rcdbg.trace.moment.Recorder`.

    A kernel that does not end by itself is recorded for two seconds of guest time, and if more is
    asked for, four times as long: a deterministic run is the same each time, and is checked to be.
    `limit_ticks` ends `moments` when the guest's clock reaches it; `ended` says why there are no
    more, `exit_status` is QEMU's once the machine has ended by itself.
    """

    name = "stub"
    clock: Clock = "exact"

    def __init__(
        self, boot: Boot, image: Image | None = None, *, limit_ticks: int | None = None
    ) -> None:
        self.image = image or load_image(boot.kernel)
        self.limit_ticks = limit_ticks
        self.lost = 0
        self.repeats = 0
        self.ended = ""
        self.exit_status: int | None = None
        self._boot = boot
        self._places: tuple[int, ...] = ()
        self._undo = ExitStack()
        self._file = os.memfd_create("rcdbg-replay", os.MFD_CLOEXEC)
        self._undo.callback(os.close, self._file)
        self._stub: StubRecorder | None = None
        self._ticks = 0
        """Guest time that the recording has at least, if it was cut off."""
        self._status: int | None = None
        """QEMU's exit status in the recording; None if that was cut off."""

    @property
    def run(self) -> Run:
        """The machine that replays, after `watch`. A longer replay is another one."""
        return self._replay.run

    @property
    def target(self) -> Target:
        """The guest's memory, after `watch`."""
        return self.run.target

    @property
    def console(self) -> str:
        """What the firmware and the kernel have printed so far."""
        return self.run.console

    @property
    def _replay(self) -> StubRecorder:
        if self._stub is None:
            raise MachineError("nothing is replayed yet")
        return self._stub

    def watch(self, places: Sequence[int]) -> None:
        """Record the run, for a start, and begin a replay that stops at these places."""
        self._places = tuple(places)
        self._record()
        self._start().watch(self._places)

    def moments(self) -> Iterator[Moment]:
        """The moments; at each the guest stands still until the next one is asked for.

        Raises MachineError if QEMU was killed, or did not repeat its run.
        """
        while True:
            last: Moment | None = None
            for last in self._replay.moments():
                yield last
            if self._over():
                return
            self._close_replay()
            self._record()
            recorder = self._start()
            if last is not None:
                _forward(recorder.run, last)
            recorder.watch(self._places)

    def _over(self) -> bool:
        """Whether there is nothing more to come than what this recording had."""
        replay = self._replay
        self.repeats += replay.repeats
        if (replay.exit_status or 0) < 0:
            raise MachineError(f"QEMU was killed by signal {-(replay.exit_status or 0)}")
        if replay.ended == TIME_OVER or (
            self._status is None and self.limit_ticks is not None and self._ticks > self.limit_ticks
        ):
            self.ended = TIME_OVER
            return True
        self.ended, self.exit_status = replay.ended, self._status
        return self._status is not None

    def _record(self) -> None:
        """Run the machine without a stop until it ends, or for longer than the last time."""
        wanted = self._ticks * _GROWTH or _FIRST_TICKS
        if self.limit_ticks is not None and self._ticks <= self.limit_ticks:
            wanted = min(wanted, self.limit_ticks + _SPARE_TICKS)
        config = unstopped(self._boot.config(self.image), Tape(self._file, "record"))
        with Qemu(config) as qemu:
            replace_wfi(self.image, qemu.ram.memory, qemu.ram.base)
            qemu.monitor.execute("cont")
            self._status = _run(qemu, wanted)
        if self._status is None:
            self._ticks = wanted
        elif self._status < 0:
            raise MachineError(f"QEMU was killed by signal {-self._status}")

    def _start(self) -> StubRecorder:
        config = unstopped(self._boot.config(self.image), Tape(self._file, "replay"))
        run = Run(self._boot, self.image, config)
        self._stub = StubRecorder(run, limit_ticks=self.limit_ticks, owns=True)
        return self._stub

    def _close_replay(self) -> None:
        stub, self._stub = self._stub, None
        if stub is not None:
            stub.close()

    def close(self) -> None:
        """End the machine. May be called again."""
        self._close_replay()
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run(qemu: Qemu, ticks: int) -> int | None:
    """Let the guest run until it ends, and return QEMU's status; None if `ticks` ended it.

    Guest time is told by the instructions executed (QMP reference, `query-replay`).
    """
    wanted = ticks * NANOSECONDS_PER_TICK // NANOSECONDS_PER_INSTRUCTION
    while True:
        with suppress(DeadlineError):
            return qemu.wait(_LOOK_SECONDS)
        try:
            answer = qemu.monitor.execute("query-replay")
        except MachineError:
            return qemu.wait(_EXIT_SECONDS)  # it ends just now
        if isinstance(answer, dict) and int(answer.get("icount", 0)) >= wanted:
            # Killed, it would leave a recording that cannot be replayed.
            qemu.quit()
            return None


def _forward(run: Run, moment: Moment) -> None:
    """Replay up to a moment that was seen in a shorter recording of the same run.

    QMP reference, `replay-break`. Raises MachineError if the machine is not what it was there.
    """
    seen = moment.registers
    run.qemu.monitor.execute("replay-break", icount=moment.instructions)
    run.stub.resume()
    stop = run.stub.wait_stop(_FORWARD_SECONDS)
    now = run.stub.registers() if stop.reason != "exited" else None
    if now is None or (now.pc, now.x) != (seen.pc, seen.x):
        raise MachineError("QEMU did not repeat its run: this kernel cannot be recorded like that")
