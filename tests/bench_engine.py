"""What decoding takes, beside what others take for the same on the same machine in the same run.

Run as `python -m tests.bench_engine` (`make bench`). Peers: QEMU's `info mem`, and a gdb script
that walks the page table by `inferior.read_memory`. Absolute times are for this machine only; the
ratios and whether the cost is linear are what is to be compared.
"""

import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcdbg.image.locate import default_kernel
from rcdbg.image.resolve import load_with_types
from rcdbg.machine.gdb.program import find_gdb
from rcdbg.machine.qemu.monitor import Monitor
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.page_table import merge, read_page_table
from rcdbg.model.values.containers import find_struct, lazy, mutex, option, pointer_in, pools
from rcdbg.model.values.value import Value
from rcdbg.riscv import pte
from rcdbg.riscv.table_listing import Listing
from rcdbg.trace.conditions import trap
from rcdbg.trace.run import Boot, Run
from tests.support.frozen import Frozen
from tests.support.qemu_account import parse_info_mem

REPEATS = 15
MEMORY = "128M"
STATE_GOAL_SECONDS, PAGES_GOAL_SECONDS = 0.005, 1.0
THREADS = (250, 500, 1000)
PAGES = (62_500, 125_000, 250_000)
ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 300

GDB_WALK = """
import json, struct, sys, time
import gdb
def plain_walk(read, table, level, base, found):
    entries = struct.unpack("<512Q", read(table, 4096))
    for slot, bits in enumerate(entries):
        if not bits & 1:
            continue
        va, pa = base | slot << 12 + 9 * level, (bits >> 10 & (1 << 44) - 1) << 12
        if bits & 14:
            found.append((va, pa, 4096 << 9 * level, bits & 1023))
        elif level:
            plain_walk(read, pa, level - 1, va, found)
def plain():
    inferior, offset = gdb.selected_inferior(), OFFSET
    read = lambda address, size: bytes(inferior.read_memory(address + offset, size))
    found = []
    root = (int(gdb.parse_and_eval("$satp")) & (1 << 44) - 1) << 12
    plain_walk(read, root, 2, 0, found)
    return sum(size for _, _, size, _ in found)
def ours():
    from gdbscripts.machine.kernel import current_image
    from gdbscripts.machine.target import GdbTarget
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.memory.page_table import read_page_table
    table = read_page_table(Kernel.now(current_image(), GdbTarget()))
    return sum(r.size for r in table.ranges)
times = {"plain": [], "ours": [], "bytes": [plain(), ours()]}
for _ in range(REPEATS):
    for name, measure in (("plain", plain), ("ours", ours)):
        begin = time.perf_counter()
        measure()
        times[name].append(time.perf_counter() - begin)
print("RESULT " + json.dumps(times))
"""

START = """
import sys, time
from pathlib import Path
from rcdbg.image.elf import load_image
begin = time.perf_counter()
types = load_image(Path(sys.argv[1])).types
for static in types.statics():
    types.type(static.type)
types.types_named("Thread")
print(time.perf_counter() - begin)
"""


@dataclass(frozen=True)
class Figure:
    """One measured thing: seconds of each repetition, what they are compared with, and a goal."""

    name: str
    seconds: list[float]
    against: "Figure | None" = None
    goal: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def timed(measure: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Seconds of each call, after one that does not count."""
    measure()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        measure()
        seconds.append(time.perf_counter() - begin)
    return seconds


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    """One table."""
    table = Table(title=title, title_justify="left")
    for column in ("", "median ms", "min", "max", "ratio", "goal"):
        table.add_column(column, justify="right" if column else "left")
    for figure in figures:
        against = figure.against
        ratio = f"x {figure.median / against.median:.2f}" if against else ""
        goal = ""
        if figure.goal is not None:
            met = "✓" if figure.median <= figure.goal else "✗"
            goal = f"≤ {figure.goal * 1000:.0f} {met}"
        cells = (figure.median, min(figure.seconds), max(figure.seconds))
        table.add_row(figure.name, *(f"{1000 * s:.2f}" for s in cells), ratio, goal)
    console.print(table)


def stopped() -> Run:
    """The sample kernel at its third timer tick."""
    elf = default_kernel()
    run = Run(Boot(elf, "scenario=preempt interval=200000", MEMORY), load_with_types(elf))
    for _ in range(3):
        run.until(trap("timer"))
    return run


def linear_offset(kernel: Kernel) -> int:
    """Virtual minus physical address in the kernel's map of all memory."""
    address = kernel.static_holding("Processor").address
    return address - kernel.memory.physical(address)


def page_table_dumps(run: Run) -> list[Figure]:
    """A whole page table: rcdbg outside and inside of gdb, QEMU, and a plain gdb script."""
    ours = Figure("rcdbg, from shared RAM", timed(lambda: read_page_table(run.kernel())))
    listed = sum(r.size for r in read_page_table(run.kernel()).ranges)
    with Monitor(run.qemu.qmp_socket) as monitor:
        qemu = Figure("QEMU, info mem", timed(lambda: monitor.hmp("info mem")), ours)
        theirs = sum(m.size for m in parse_info_mem(monitor.hmp("info mem")))
    script = f"OFFSET, REPEATS = {linear_offset(run.kernel())}, {REPEATS}\n{GDB_WALK}"
    run.stub.close()  # QEMU's stub serves one client
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(script)
        file.flush()
        commands = [
            "set osabi none",
            f"file {default_kernel()}",
            f"target remote {run.qemu.gdb_socket}",
            f"source {ROOT / 'gdbscripts' / 'rcdbg.py'}",
            f"source {file.name}",
            "disconnect",
        ]
        words = [word for command in commands for word in ("-ex", command)]
        done = subprocess.run(
            [find_gdb(), "-nx", "-q", "-batch", *words],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
    line = next(x for x in done.stdout.splitlines() if x.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    if {listed, theirs, *result["bytes"]} != {listed}:
        raise AssertionError(f"they disagree: {listed}, {theirs}, {result['bytes']} bytes mapped")
    return [
        ours,
        qemu,
        Figure("rcdbg, inside gdb", result["ours"], ours),
        Figure("gdb script, inferior.read_memory", result["plain"], ours),
    ]


class Growing:
    """A copied kernel to which threads and mapped pages are added, in frames that were free."""

    def __init__(self, run: Run) -> None:
        self.frozen = Frozen.of(run)
        self.kernel = self.frozen.kernel()
        self.offset = linear_offset(self.kernel)
        self._next = read_frames(self.kernel).free[-1].start << 12

    def room(self, size: int) -> int:
        """The physical address of so many bytes that nobody uses."""
        place = self._next
        self._next += (size + 15) & ~15
        return place

    def put(self, physical: int, *words: int) -> None:
        """Write words."""
        self.frozen.write(physical, struct.pack(f"<{len(words)}Q", *words))

    def threads(self, count: int) -> None:
        """Queue so many clones of the first ready thread behind those that are there."""
        holder = lazy(self.kernel.static_holding("Processor"))
        assert holder is not None
        processor = find_struct(mutex(holder).value, "Processor")
        queue = next(pools(processor["scheduler"]))
        link = option(queue["head"])
        assert link is not None
        node, arc = self._follow(link), None
        while (link := option(node["next"])) is not None:
            node = self._follow(link)
        arc = pointer_in(node["element"])
        shared = self._follow(node["element"])
        number = shared["data"]["id"].address - shared.address
        pattern = bytearray(shared.raw())
        length = queue["len"].scalar()
        last = node
        for position in range(count):
            copy = self.room(len(pattern))
            pattern[number : number + 8] = struct.pack("<Q", 1000 + position)
            self.frozen.write(copy, bytes(pattern))
            place = self.room(node.type.size) + self.offset
            fresh = node.at(node.type_id, place, "node")
            self._set(fresh["next"], 0)
            self._set(fresh["prev"], last.address)
            self.put(place - self.offset + (arc.address - node.address), copy + self.offset)
            self._set(last["next"], place)
            last = fresh
        self._set(queue["tail"], last.address)
        self._set(queue["len"], length + count)

    def _follow(self, link: Value) -> Value:
        pointer = pointer_in(link)
        return pointer.at(pointer.type.target, pointer.scalar(), "target")  # type: ignore[union-attr]

    def _set(self, value: Value, word: int) -> None:
        self.put(self.kernel.memory.physical(value.address), word)

    def pages(self, count: int, *, scattered: bool) -> None:
        """Map so many pages in a part of the address space that nobody uses."""
        chance = random.Random(count)
        flags = pte.V | pte.R | pte.A
        self._next = (self._next + 4095) & ~4095
        root = self.kernel.memory.satp.ppn << 12
        middle = self.room(4096)
        self.put(root + 8 * 100, middle >> 12 << 10 | pte.V)
        for table in range(-(-count // 512)):
            bottom = self.room(4096)
            self.put(middle + 8 * table, bottom >> 12 << 10 | pte.V)
            entries = min(512, count - 512 * table)
            frames = [
                2 * chance.randrange(1 << 30) if scattered else 512 * table + slot
                for slot in range(entries)
            ]
            self.put(bottom, *(frame << 10 | flags for frame in frames))


def grown(run: Run) -> tuple[list[Figure], list[Figure]]:
    """The KernelState with more and more threads, and with more and more mapped pages."""

    def state(grow: Callable[[Growing], None], name: str, goal: float | None = None) -> Figure:
        kernel = Growing(run)
        grow(kernel)
        return Figure(name, timed(kernel.frozen.state, 5), figure_before, goal)

    figure_before: Figure | None = None
    threads = []
    for count in THREADS:
        figure_before = state(lambda k, n=count: k.threads(n), f"{count:,} threads")  # type: ignore[misc]
        threads.append(figure_before)
    pages = []
    for scattered in (False, True):
        figure_before = None
        for count in PAGES:
            goal = PAGES_GOAL_SECONDS if count == PAGES[-1] else None
            how = "scattered: 4,096 ranges kept" if scattered else "in one stretch"
            figure_before = state(
                lambda k, n=count, s=scattered: k.pages(n, scattered=s),  # type: ignore[misc]
                f"{count:,} pages, {how}",
                goal,
            )
            pages.append(figure_before)
    figure_before = None
    for count in PAGES[:2]:
        kernel = Growing(run)
        kernel.pages(count, scattered=True)
        seconds = timed(whole(kernel), 2)
        figure_before = Figure(f"all ranges of {count:,} scattered", seconds, figure_before)
        pages.append(figure_before)
    return threads, pages


def whole(growing: Growing) -> Callable[[], object]:
    """Everything that a table maps, with nothing left out."""

    def listing() -> int:
        kernel = growing.frozen.kernel()
        return sum(1 for _ in merge(Listing(kernel.target.read_phys, kernel.memory.satp).rows()))

    return listing


def starts() -> list[Figure]:
    """Reading the types out of the ELF, and out of the cache."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            for seconds in (cold, warm):
                done = subprocess.run(
                    [sys.executable, "-c", START, str(default_kernel())],
                    env={**os.environ, "XDG_CACHE_HOME": folder},
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT,
                    check=True,
                )
                seconds.append(float(done.stdout))
    first = Figure("types, first time", cold)
    return [first, Figure("types, cached", warm, first)]


def main() -> None:
    """Measure and print the tables."""
    console = Console(width=110)
    with stopped() as run:
        states = [
            Figure("KernelState after a stop", timed(run.state), goal=STATE_GOAL_SECONDS),
            Figure("owners of all frames", timed(lambda: read_frame_owners(run.kernel()))),
            Figure("heap", timed(lambda: read_heap(run.kernel()))),
        ]
        threads, pages = grown(run)
        dumps = page_table_dumps(run)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    console.print(f"(this machine was {100 * busy:.0f} % busy: above 100 %, look at the minima)")
    show(console, "A whole page table, ratios to rcdbg's", dumps)
    show(console, "The sample kernel", states)
    show(console, "KernelState of many threads, ratios to the row above", threads)
    show(console, "KernelState of many mapped pages, ratios to the row above", pages)
    show(console, "Start", starts())


if __name__ == "__main__":
    main()
