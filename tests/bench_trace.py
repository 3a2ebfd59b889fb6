"""What tracing costs, beside gdb's own ways, on the same kernel in the same run.

Run as `python -m tests.bench_trace` (`make bench`). All ways record the registers at the entry of
the same functions, which the kernel calls thousands of times while it maps itself; each has a
short window in turn, several times over, and ratios are taken within a round: other work on the
machine then slows all of them. Absolute rates are for this machine only.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.machine.qemu import Qemu
from rcdbg.model.kernel import DEFAULT_PROFILE
from rcdbg.trace.log_recorder import LogRecorder
from rcdbg.trace.moment import Recorder
from rcdbg.trace.run import Boot
from rcdbg.trace.stub_recorder import StubRecorder

SECONDS, ROUNDS, PAIRS, TIMEOUT = 1.0, 7, 7, 120
FUNCTIONS = ("PageTableEntry::flags", "Mapping::map_one")
"""The shortest way from one call to the next in this kernel, unless it is inlined, as in a release
build; and one with a thousand instructions or more between two calls."""
BOOT = "scenario=frames interval=100000000"
TIMER = "scenario=preempt ticks=200 interval=100000"
LOG, STUB = "(a) log, no stops", "(b) raw stub"
GOALS = {LOG: 50.0, STUB: 2.0}
SLOWDOWN_GOAL = 0.10
BATCH_SECONDS = 0.001

GDB = """
import time
import gdb
state = {{"first": None, "count": 0}}
class Hit(gdb.Breakpoint):
    def stop(self):
        now = time.perf_counter()
        state["first"] = state["first"] or now
        state["count"] += 1
        frame = gdb.newest_frame()
        state["a0"] = int(frame.read_register("a0")), int(frame.read_register("a1"))
        return now - state["first"] > {seconds}
Hit("*{place:#x}")
gdb.execute("continue")
print("RATE", state["count"] / (time.perf_counter() - state["first"]))
"""


def rate(recorder: Recorder, place: int) -> float:
    """Moments a second, for as long as the window or the function's calls last."""
    recorder.watch([place])
    first = last = 0.0
    count = -1
    for moment in recorder.moments():
        assert moment.registers.x[10] is not None
        last = time.perf_counter()
        first = first or last
        count += 1
        if last - first > SECONDS:
            break
    return count / (last - first)


def log_rate(boot: Boot, image: Image, place: int) -> float:
    """Moments a second of the recorder that does not stop the guest."""
    with LogRecorder(boot, image, fast=True) as recorder:
        return rate(recorder, place)


def stub_rate(boot: Boot, place: int) -> float:
    """Moments a second of the recorder that stops the guest."""
    with StubRecorder(boot) as recorder:
        return rate(recorder, place)


def gdb_rate(boot: Boot, gdb: str, place: int, *, dprintf: bool) -> float:
    """Hits a second of gdb's Python breakpoints, or of its `dprintf`."""
    with Qemu(boot.config()) as qemu, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bench.py"
        script.write_text(GDB.format(seconds=SECONDS, place=place))
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
            return printed_rate(process) if dprintf else told_rate(process)
        finally:
            process.kill()
            process.communicate()


def printed_rate(process: "subprocess.Popen[str]") -> float:
    """Lines of hits a second; gdb writes them some hundred at a time."""
    assert process.stdout is not None
    times = []
    for line in process.stdout:
        if line.startswith("HIT "):
            times.append(time.perf_counter())
            if times[-1] - times[0] > SECONDS:
                break
    whole = [at for at in times if at > times[0] + BATCH_SECONDS]
    return len(whole) / (times[-1] - times[0]) if whole else float("nan")


def told_rate(process: "subprocess.Popen[str]") -> float:
    """What the script has measured itself."""
    output, _ = process.communicate(timeout=TIMEOUT)
    found = re.search(r"RATE ([\d.]+)", output)
    return float(found[1]) if found else float("nan")


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
    vector = image.symbols.address_of(DEFAULT_PROFILE.trap_entry)
    assert vector is not None
    if traced:
        with LogRecorder(boot, image) as recorder:
            recorder.watch([vector])
            assert sum(1 for _ in recorder.moments()) >= 200
            text = recorder.console
    else:
        with Qemu(boot.config(), paused=False) as qemu:
            qemu.wait(TIMEOUT)
            text = qemu.console.text
    return sum(int(count) for count in re.findall(r"(\d+) rounds", text))


def hot(boot: Boot, image: Image, function: str, place: int, console: Console) -> None:
    """The table of one function."""
    ways: dict[str, Callable[[], float]] = {
        LOG: lambda: log_rate(boot, image, place),
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
    rates: dict[str, list[float]] = {name: [] for name in ways}
    others = []
    for turn in range(ROUNDS):
        others.append(busy())
        # There and back: what comes and goes meanwhile meets each of them.
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            rates[name].append(ways[name]())
    peers = [name for name in ways if name not in GOALS]
    best = max(peers, key=lambda name: statistics.median(rates[name]))
    title = f"{function} with its arguments; others used {statistics.mean(others):.0%} of the cores"
    table = Table(title=title, title_justify="left")
    for column in ("", "events/s", "times the best gdb", "goal"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in rates.items():
        ratio = statistics.median(r / b for r, b in zip(found, rates[best], strict=True))
        goal = GOALS.get(name)
        said = "" if goal is None else f"≥ {goal:g} {'✓' if ratio >= goal else '✗'}"
        table.add_row(name, f"{statistics.median(found):.0f}", f"{ratio:.1f}", said)
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    elf = Path(sys.argv[1]) if len(sys.argv) > 1 else default_kernel()
    image = load_image(elf)
    console = Console()
    console.print(f"{elf.parent.name} kernel, {os.cpu_count()} cores, {ROUNDS} rounds in turn")
    boot = Boot(elf, BOOT)
    for function in FUNCTIONS:
        for symbol in image.symbols:
            if symbol.kind == "code" and symbol.path.endswith(function):
                hot(boot, image, function, symbol.address, console)
                break
        else:
            console.print(f"{function} is inlined in this kernel")
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
