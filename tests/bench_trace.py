"""What tracing costs, beside gdb's own ways, on the same kernel in the same run.

Run as `python -m tests.bench_trace` (`make bench`). The hot function is the frame allocator's
`alloc`, which the scenario `frames` calls for every frame of RAM; each way records its registers.
Absolute rates are for this machine only; the ratios are what is to be compared.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcdbg.image.elf import Image, load_image
from rcdbg.image.locate import default_kernel
from rcdbg.machine.qemu import Qemu
from rcdbg.machine.stub import StubClient
from rcdbg.model.kernel import DEFAULT_PROFILE
from rcdbg.trace.log_recorder import LogRecorder
from rcdbg.trace.run import Boot

SECONDS, PAIRS, TIMEOUT = 3.0, 5, 120
FUNCTION = "FrameAllocator<T>::alloc"
FRAMES = "scenario=frames interval=100000000"
TIMER = "scenario=preempt ticks=200 interval=100000"
RATE_GOAL, STUB_GOAL, SLOWDOWN_GOAL = 50.0, 2.0, 0.10

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


def log_rate(boot: Boot, image: Image, place: int) -> float:
    """Moments a second of the recorder that does not stop the guest."""
    with LogRecorder(boot, image, fast=True) as recorder:
        recorder.watch([place])
        first, count = 0.0, 0
        for _ in recorder.moments():
            first = first or time.perf_counter()
            count += 1
            if time.perf_counter() - first > SECONDS:
                break
        return count / (time.perf_counter() - first)


def stub_rate(boot: Boot, place: int) -> float:
    """Stops a second of a plain client of the stub that reads all registers."""
    with Qemu(boot.config()) as qemu, StubClient(qemu.gdb_socket) as stub:
        stub.insert_breakpoint(place)
        first, count = 0.0, 0
        while not first or time.perf_counter() - first < SECONDS:
            stub.resume()
            stub.wait_stop(TIMEOUT)
            first = first or time.perf_counter()
            stub.registers()
            count += 1
        return count / (time.perf_counter() - first)


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
        begin = time.perf_counter()
        limit = SECONDS + 1 if dprintf else TIMEOUT
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
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        if dprintf:
            return output.count("HIT ") / (time.perf_counter() - begin)
        found = re.search(r"RATE ([\d.]+)", output)
        return float(found[1]) if found else float("nan")


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


def main() -> None:
    """Measure and print the tables."""
    elf = default_kernel()
    image = load_image(elf)
    place = next(s.address for s in image.symbols if s.path.endswith(FUNCTION))
    boot = Boot(elf, FRAMES)
    rates = {
        "(a) log, no stops": log_rate(boot, image, place),
        "(b) raw stub": stub_rate(boot, place),
    }
    peers = {}
    for name in (str(Path(sys.executable).with_name("gdb")), "gdb-multiarch"):
        if (gdb := shutil.which(name)) is not None:
            short = "gdb-multiarch" if name == "gdb-multiarch" else "gdb of the venv"
            peers[f"{short}, Breakpoint.stop()"] = gdb_rate(boot, gdb, place, dprintf=False)
            peers[f"{short}, dprintf"] = gdb_rate(boot, gdb, place, dprintf=True)
    best = max((rate for rate in peers.values() if rate == rate), default=float("nan"))
    table = Table(title=f"A hot function with its arguments: {FUNCTION}", title_justify="left")
    for column in ("", "events/s", "times the best gdb", "goal"):
        table.add_column(column, justify="left" if not column else "right")
    goals = dict(zip(rates, (RATE_GOAL, STUB_GOAL), strict=True))
    for name, rate in {**rates, **peers}.items():
        goal = goals.get(name)
        said = "" if goal is None else f"≥ {goal:g} {'✓' if rate / best >= goal else '✗'}"
        table.add_row(name, f"{rate:.0f}", f"{rate / best:.1f}", said)
    console = Console()
    console.print(table)
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
