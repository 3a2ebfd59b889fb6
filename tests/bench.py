"""How long a user waits: from `rcdbg` typed to a painted screen, and from a stop to a painted one.

Run as `python -m tests.bench` (`make bench`). Each figure is of whole runs in a real
pseudo-terminal of 160x48, the peer's of the same machine in the same minutes; absolute times are
for this machine only.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
from rich.console import Console
from rich.table import Table

from rcdbg.image.locate import default_kernel
from rcdbg.machine.gdb.program import find_gdb
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.run import Boot
from rcdbg.tui.live.session import LiveSession, SessionOptions
from rcdbg.tui.shell import Shell

STARTS = 7
STEPS = 60
SCENARIO = "scenario=preempt"
PLACE = "handle_interrupt"
TIMEOUT = 60
START_GOAL_SECONDS, PAINT_GOAL_SECONDS = 2.0, 0.1


def in_terminal(program: str, arguments: list[str]) -> "pexpect.spawn[bytes]":
    """The program in a terminal of its own."""
    return pexpect.spawn(
        program,
        arguments,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        timeout=TIMEOUT,
        dimensions=(48, 160),
    )


def rcdbg_start() -> float:
    """Seconds from `rcdbg` typed to the first screen with the decoded threads on it."""
    begin = time.perf_counter()
    child = in_terminal(
        str(Path(sys.executable).with_name("rcdbg")), ["--scenario", "preempt", "--at", PLACE]
    )
    child.expect(b"FifoScheduler|PriorityScheduler")
    seconds = time.perf_counter() - begin
    child.send(b"q")
    child.expect(pexpect.EOF)
    child.close()
    return seconds


def gdb_start() -> float:
    """Seconds for QEMU and a bare gdb to the same stop, with its backtrace and registers shown."""
    begin = time.perf_counter()
    elf = default_kernel()
    with Qemu(Boot(elf, SCENARIO).config()) as qemu:
        commands = [
            "set osabi none",
            "set pagination off",
            "set confirm off",
            f"file {elf}",
            f"target remote {qemu.gdb_socket}",
            f"break {PLACE}",
            "continue",
            "backtrace",
            "info registers",
        ]
        arguments = ["-nx", "-q", *(word for c in commands for word in ("-ex", c))]
        child = in_terminal(find_gdb(), arguments)
        child.expect(b"\r\npc  ")
        seconds = time.perf_counter() - begin
        child.sendline(b"quit")
        child.expect(pexpect.EOF)
        child.close()
    return seconds


def paints() -> list[float]:
    """Seconds from gdb's word that the kernel stands to the painted screen, for each of STEPS."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "paints.json"
        child = in_terminal(sys.executable, ["-m", "tests.bench", str(result)])
        child.expect(b"FifoScheduler|PriorityScheduler")
        for number in range(STEPS):
            # Each step on a screen at rest, as a person would see it.
            child.send(b"t" if number % 4 == 3 else b"i")
            settle(child)
        child.send(b"q")
        child.expect(pexpect.EOF)
        child.close()
        seconds: list[float] = json.loads(result.read_text())
    return seconds


def settle(child: "pexpect.spawn[bytes]") -> None:
    """Read what the program paints until it has painted nothing for a while."""
    while True:
        try:
            child.read_nonblocking(65536, timeout=0.25)
        except pexpect.TIMEOUT:
            return


def painting_session(result: Path) -> None:
    """The program under measurement: the full-screen debugger, which notes how long it paints."""
    session = LiveSession(SessionOptions(Boot(default_kernel(), SCENARIO), gdb=None, at=PLACE))
    session.prepare()
    shell = Shell(session)
    try:
        shell.run()
    finally:
        session.close()
        shell.end()
    result.write_text(json.dumps(list(shell.follower.paint_seconds)))


def alternating(count: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Each measure `count` times, in turn, after one that does not count."""
    rows = [[measure() for measure in measures] for _ in range(count + 1)]
    return [list(column) for column in zip(*rows[1:], strict=True)]


def main() -> None:
    """Measure and print the table."""
    table = Table(title="How long a user waits (ms)", title_justify="left")
    for column in ("", "median", "min", "max", "runs", "goal"):
        table.add_column(column, justify="left" if not column else "right")

    def row(name: str, seconds: list[float], goal: float | None = None) -> None:
        figures = [statistics.median(seconds), min(seconds), max(seconds)]
        ok = "" if goal is None else f"≤ {goal * 1000:.0f} " + ("✓" if figures[0] <= goal else "✗")
        table.add_row(name, *(f"{f * 1000:.0f}" for f in figures), str(len(seconds)), ok)

    ours, theirs = alternating(STARTS, rcdbg_start, gdb_start)
    row("rcdbg typed → painted screen", ours, START_GOAL_SECONDS)
    row("bare gdb → backtrace and registers", theirs)
    row("stop → painted screen", paints(), PAINT_GOAL_SECONDS)
    console = Console()
    console.print(table)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    console.print(f"start: {ratio:.2f} times a bare gdb's, pair by pair")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        painting_session(Path(sys.argv[1]))
    else:
        main()
