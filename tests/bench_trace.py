"""What tracing costs, beside gdb's own ways, on the same kernel in the same run.

Run as `python -m tests.bench_trace` (`make bench`). All ways record the registers at the entry of
the same functions, which the kernel calls thousands of times while it maps itself; each has a
short window in turn, several times over, and ratios are taken within a round: other work on the
machine then slows all of them. Absolute rates are for this machine only. Recorder, QEMU and gdb
wait for each other, so that the time that they spend computing tells, on a busy machine too, how
fast they would be on a quiet one.
"""

import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.recorders.log_recorder import LogRecorder, Pace
from rcdbg.trace.recorders.stub_recorder import StubRecorder
from rcdbg.trace.run import Boot
from tests.support.places import vector

SECONDS, ROUNDS, PAIRS, TIMEOUT = 1.0, 3, 5, 120
FUNCTIONS = ("PageTableEntry::flags", "Mapping::map_one")
"""The shortest way from one call to the next in this kernel, unless it is inlined, as in a release
build; and one with a thousand instructions or more between two calls."""
BOOT = "scenario=frames interval=100000000"
TIMER = "scenario=preempt ticks=200 interval=100000"
LOG, HELD, STUB = "(a) log", "(b) held in the log", "(b) raw stub"
GOALS = {LOG: 50.0, HELD: 2.0, STUB: 2.0}
"""How many times the best gdb way. (b) is the guest's exact state at each event, by either way."""
SLOWDOWN_GOAL = 0.10
BATCH_SECONDS = 0.001

CPU = """
import os, time
def cpu(*pids):
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e3
"""

GDB = """
import gdb
state = {{"first": None, "count": -1}}
class Hit(gdb.Breakpoint):
    def stop(self):
        now = time.perf_counter()
        if state["first"] is None:
            state["first"], state["cpu"] = now, cpu("self", {qemu})
        state["count"] += 1
        frame = gdb.newest_frame()
        state["a0"] = int(frame.read_register("a0")), int(frame.read_register("a1"))
        return now - state["first"] > {seconds}
Hit("*{place:#x}")
gdb.execute("continue")
spent, used = time.perf_counter() - state["first"], cpu("self", {qemu}) - state["cpu"]
print("RATE", state["count"] / spent, used / state["count"])
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Events a second, and microseconds of all cores that QEMU and whoever listens spend on one."""

    rate: float
    cpu: float


def cpu(*pids: int) -> float:
    """Microseconds of all cores that these processes have used."""
    names: dict[str, Callable[..., float]] = {}
    exec(CPU, names)
    return names["cpu"](*pids)


class Window:
    """Counts events from the first one on; `over` when SECONDS have passed since."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._first = self._last = self._cpu = 0.0
        self._count = -1

    def see(self) -> bool:
        """One event more; whether that was enough."""
        self._last = time.perf_counter()
        if not self._first:
            self._first, self._cpu = self._last, cpu(*self._pids)
        self._count += 1
        return self._last - self._first > SECONDS

    def result(self) -> Measured:
        """What was measured so far."""
        try:
            used = cpu(*self._pids) - self._cpu
        except FileNotFoundError:
            used = math.nan  # the machine has ended meanwhile: so fast was it
        return Measured(self._count / (self._last - self._first), used / self._count)


def rate(recorder: LogRecorder | StubRecorder, place: int) -> Measured:
    """Moments of one place, for as long as the window or the function's calls last."""
    recorder.watch([place])
    qemu = recorder.qemu if isinstance(recorder, LogRecorder) else recorder.run.qemu
    window = Window(qemu.pid, os.getpid())
    for moment in recorder.moments():
        assert len(moment.registers.x) == 32
        assert moment.memory_is_current() or recorder.name == "log"
        if window.see():
            break
    return window.result()


def log_rate(boot: Boot, image: Image, place: int, pace: Pace) -> Measured:
    """The recorder by QEMU's log."""
    with LogRecorder(boot, image, pace=pace) as recorder:
        return rate(recorder, place)


def stub_rate(boot: Boot, place: int) -> Measured:
    """The recorder that stops the machine."""
    with StubRecorder(boot) as recorder:
        return rate(recorder, place)


def gdb_rate(boot: Boot, gdb: str, place: int, *, dprintf: bool) -> Measured:
    """gdb's Python breakpoints, or its `dprintf`."""
    with Qemu(boot.config()) as qemu, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bench.py"
        script.write_text(CPU + GDB.format(seconds=SECONDS, place=place, qemu=qemu.pid))
        start = ["set osabi none", "set pagination off", f"target remote {qemu.gdb_socket}"]
        if dprintf:
            start += [f'dprintf *{place:#x},"HIT %lx %lx\\n",$a0,$a1', "continue"]
        else:
            start += [f"source {script}"]
        words = [
            word for c in ["set confirm off", f"file {boot.kernel}", *start] for word in ("-ex", c)
        ]
        process = subprocess.Popen(
            [gdb, "-nx", "-q", "-batch", *words],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            return printed(process, qemu.pid) if dprintf else told(process)
        finally:
            process.kill()
            process.communicate()


def printed(process: "subprocess.Popen[str]", qemu: int) -> Measured:
    """Lines of hits; gdb writes them some hundred at a time, so the first batch does not count."""
    assert process.stdout is not None
    window: Window | None = None
    batch, batch_seen = time.perf_counter(), False
    for line in process.stdout:
        if not line.startswith("HIT "):
            continue
        now = time.perf_counter()
        if window is None and now - batch > BATCH_SECONDS and batch_seen:
            window = Window(qemu, process.pid)
        batch, batch_seen = now, True
        if window is not None and window.see():
            break
    assert window is not None
    return window.result()


def told(process: "subprocess.Popen[str]") -> Measured:
    """What the script has measured itself."""
    output, _ = process.communicate(timeout=TIMEOUT)
    found = re.search(r"RATE ([\d.]+) ([\d.]+)", output)
    assert found is not None, "gdb has measured nothing"
    return Measured(float(found[1]), float(found[2]))


def busy() -> float:
    """The part of all cores that others use, while nothing of ours runs."""

    def times() -> list[int]:
        return [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]

    before = times()
    time.sleep(0.5)
    spent = [after - then for after, then in zip(times(), before, strict=True)]
    return 1 - (spent[3] + spent[4]) / sum(spent)


def rounds(boot: Boot, image: Image, *, traced: bool) -> int:
    """What the kernel's threads got done in a fixed guest time."""
    if traced:
        with LogRecorder(boot, image) as recorder:
            recorder.watch([vector(image)])
            assert sum(1 for _ in recorder.moments()) >= 200
            text = recorder.console
    else:
        with Qemu(boot.config(), paused=False) as qemu:
            qemu.wait(TIMEOUT)
            text = qemu.console.text
    return sum(int(count) for count in re.findall(r"(\d+) rounds", text))


def hot(boot: Boot, image: Image, function: str, place: int, console: Console) -> None:
    """The table of one function."""
    ways: dict[str, Callable[[], Measured]] = {
        LOG: lambda: log_rate(boot, image, place, "fast"),
        HELD: lambda: log_rate(boot, image, place, "held"),
        STUB: lambda: stub_rate(boot, place),
    }
    for short, name in (
        ("gdb of the venv", str(Path(sys.executable).with_name("gdb"))),
        ("gdb-multiarch", "gdb-multiarch"),
    ):
        gdb = shutil.which(name)
        if gdb is not None:
            for word, dprintf in (("Breakpoint.stop()", False), ("dprintf", True)):
                ways[f"{short}, {word}"] = partial(gdb_rate, boot, gdb, place, dprintf=dprintf)
    seen: dict[str, list[Measured]] = {name: [] for name in ways}
    others = []
    for turn in range(ROUNDS):
        others.append(busy())
        # There and back: what comes and goes meanwhile meets each of them.
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            seen[name].append(ways[name]())
    rates = {name: statistics.median(one.rate for one in found) for name, found in seen.items()}
    spent = {name: statistics.median(one.cpu for one in found) for name, found in seen.items()}
    peers = [name for name in ways if name not in GOALS]
    best, least = max(peers, key=rates.__getitem__), min(spent[name] for name in peers)
    title = f"{function} with its arguments; others used {statistics.mean(others):.0%} of the cores"
    table = Table(title=title, title_justify="left")
    for column in ("", "events/s", "of best gdb", "goal", "CPU µs/event", "best gdb's"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in seen.items():
        ratio = statistics.median(
            one.rate / other.rate for one, other in zip(found, seen[best], strict=True)
        )
        goal = GOALS.get(name)
        said = "" if goal is None else f"≥ {goal:g} {'✓' if ratio >= goal else '✗'}"
        cells = (f"{rates[name]:.0f}", f"{ratio:.1f} x", said)
        table.add_row(name, *cells, f"{spent[name]:.0f}", f"{least / spent[name]:.1f} x")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    elf = Path(sys.argv[1]) if len(sys.argv) > 1 else default_kernel()
    image = load_image(elf)
    console = Console(width=100)
    console.print(f"{elf.parent.name} kernel, {os.cpu_count()} cores, {ROUNDS} rounds in turn")
    boot = Boot(elf, BOOT)
    for function in FUNCTIONS:
        place = image.symbols.address_of(function)
        if place is None:
            console.print(f"{function} is inlined in this kernel")
        else:
            hot(boot, image, function, place, console)
    timer = Boot(elf, TIMER)
    ratios = [
        rounds(timer, image, traced=True) / rounds(timer, image, traced=False) for _ in range(PAIRS)
    ]
    slow = 1 - statistics.median(ratios)
    mark = "✓" if slow < SLOWDOWN_GOAL else "✗"
    console.print(
        f"traps of a 100 Hz timer, (a): {slow:.1%} slower {mark}"
        f" (goal < {SLOWDOWN_GOAL:.0%}; pairs: {', '.join(f'{1 - r:.1%}' for r in ratios)})"
    )


if __name__ == "__main__":
    main()
