"""What looking at a running kernel costs it: how long it is stopped, and how much slower it gets.

Run as `python -m tests.bench_live` (`make bench`). The kernel's own threads count their rounds in
its RAM, which is read from here without touching the machine. Stretches with and without samples
take turns in one run, so that a host that gets faster or slower does so for both.
"""

import math
import os
import random
import statistics
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcdbg.image.locate import default_kernel
from rcdbg.image.resolve import load_with_types
from rcdbg.model.kernel import Kernel
from rcdbg.subjects.report import read_report
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.story.live import STOP_GOAL_SECONDS, Guest, running_guest, sample

PAIRS = 25
SAMPLES = 5
"""In a stretch of time, at 10 Hz."""
PERIOD_SECONDS = 0.1
STOPS = 200
COUNTERS = "os::scenarios::preempt::COUNTERS"
SLOWDOWN_GOAL = 0.01
MEMORY = "128M"


@dataclass(frozen=True)
class Slowdown:
    """How much of its speed a kernel loses while it is sampled: one figure for each pair of
    stretches, 0.01 for 1 %.
    """

    losses: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.losses)

    @property
    def error(self) -> float:
        """The standard error of the median, by resampling."""
        chance = random.Random(0)
        again = [
            statistics.median(chance.choices(self.losses, k=len(self.losses))) for _ in range(500)
        ]
        return statistics.stdev(again)


def spinning_thread(process: int) -> Path:
    """The process's thread that has used the most time: QEMU's hart."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return max(threads, key=lambda t: int((t / "schedstat").read_text().split()[0]))


@dataclass(frozen=True)
class Clock:
    """The rounds that the kernel's threads have made, and the time that they had.

    Time in which QEMU's hart could have run but the host ran something else is taken out
    (proc(5), /proc/PID/schedstat): a busy host costs both kinds of stretches what it likes.
    """

    run: Run
    place: int
    counters: int
    hart: Path

    def rounds(self) -> int:
        size = 8 * self.counters
        return sum(struct.unpack(f"<{self.counters}Q", self.run.target.read_phys(self.place, size)))

    def stretch(self, look: Callable[[], object] | None) -> tuple[float, float]:
        """Rounds a second while `look` is called ten times a second: by the kernel's time, and
        by the wall's.
        """
        begin, waited, before = time.perf_counter(), self._waited(), self.rounds()
        for number in range(SAMPLES):
            if look is not None:
                look()
            time.sleep(max(0.0, begin + (number + 1) * PERIOD_SECONDS - time.perf_counter()))
        made, waited = self.rounds() - before, self._waited() - waited
        seconds = time.perf_counter() - begin
        return made / (seconds - waited), made / seconds

    def _waited(self) -> float:
        return int((self.hart / "schedstat").read_text().split()[1]) / 1e9


def slowdown(clock: Clock, look: Callable[[], object]) -> list[Slowdown]:
    """With samples against without, by the kernel's time and the wall's; and, as the measure's own
    error, without against without.
    """
    losses: tuple[list[float], ...] = ([], [], [])
    for number in range(PAIRS):
        kinds = [None, look, None] if number % 2 else [look, None, None]
        rates = {kind: clock.stretch(kind) for kind in kinds[:2]}
        again = clock.stretch(kinds[2])
        plain, looked = rates[None], rates[look]
        losses[0].append(1 - looked[0] / plain[0])
        losses[1].append(1 - looked[1] / plain[1])
        losses[2].append(1 - again[0] / plain[0])
    return [Slowdown(loss) for loss in losses]


def stops(run: Run, guest: Guest, ask: Callable[[Kernel], object]) -> list[float]:
    """Seconds of each stop of so many samples that need one."""
    found: list[float] = []
    pages: set[int] = set()
    while len(found) < STOPS:
        _, how = sample(run.image, guest, ask, live_tries=0, pages=pages)
        found.append(how.longest_stop)
    return sorted(found)


def main() -> None:
    """Measure and print."""
    elf = default_kernel()
    with Run(Boot(elf, "scenario=preempt", MEMORY), load_with_types(elf)) as run:
        for _ in range(3):
            run.until(trap("timer"))
        kernel = run.kernel()
        symbol = next(s for s in run.image.symbols if s.path == COUNTERS)
        place = kernel.memory.physical(symbol.address)
        run.stub.resume()
        run.stub.close()
        with running_guest(run.target, run.qemu.quick_socket) as guest:
            ask = read_report
            lengths = stops(run, guest, ask)
            pages: set[int] = set()
            clock = Clock(run, place, symbol.size // 8, spinning_thread(run.qemu.pid))
            stopped: list[float] = []

            def look() -> None:
                _, how = sample(run.image, guest, ask, pages=pages)
                stopped.append(how.stopped_seconds or 0.0)

            def stop_and_look() -> None:
                sample(run.image, guest, ask, pages=pages, live_tries=0)

            loss, wall, nothing = slowdown(clock, look)
            with_stops, _, _ = slowdown(clock, stop_and_look)
    console = Console(width=110)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    table = Table(
        title=f"Live samples of everything (this machine was {100 * busy:.0f} % busy)",
        title_justify="left",
    )
    for column in ("", "median", "95 %", "max", "goal"):
        table.add_column(column, justify="right" if column else "left")
    high = lengths[math.ceil(0.95 * len(lengths)) - 1]
    goal = f"95 % < {1000 * STOP_GOAL_SECONDS:.0f} ms {'✓' if high < STOP_GOAL_SECONDS else '✗'}"
    cells = (statistics.median(lengths), high, lengths[-1])
    table.add_row("a stop, where one is needed", *(f"{1000 * s:.2f} ms" for s in cells), goal)
    verdict, stopped_verdict = (
        f"≤ {100 * SLOWDOWN_GOAL:.0f} % {'✓' if figure.median <= SLOWDOWN_GOAL else '✗'}"
        for figure in (loss, with_stops)
    )
    for name, figure, aim in (
        ("the kernel's loss of speed at 10 Hz", loss, verdict),
        ("the same, with a stop for each sample", with_stops, stopped_verdict),
        ("the first, with what the host's other work costs", wall, ""),
        ("no sample against no sample", nothing, ""),
    ):
        table.add_row(name, f"{100 * figure.median:.2f} ± {100 * figure.error:.2f} %", "", "", aim)
    share = statistics.mean(stopped) / PERIOD_SECONDS
    table.add_row("the time that it was stopped in, alone", f"{100 * share:.2f} %")
    console.print(table)


if __name__ == "__main__":
    main()
