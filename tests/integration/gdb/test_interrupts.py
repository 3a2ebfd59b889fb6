"""Ctrl-C in `rcdbg gdb`, as a person types it, while a command waits for what does not come."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.support.in_gdb import TIMEOUT

PROMPT = "(gdb) "
OFTEN, NEVER = 20_000, 1_000_000_000_000
"""How long the timer takes: one tick after the other, or longer than any test."""

TELLS_THAT_IT_RUNS = """
import gdb

def told(event):
    gdb.events.cont.disconnect(told)
    gdb.write("@runs\\n")
    gdb.flush()
"""


class Terminal:
    """A gdb at a kernel whose threads spin: from here on only the timer makes traps."""

    def __init__(self, gdb: str, elf: Path, interval: int, tells: Path) -> None:
        self.child: Any = pexpect.spawn(
            sys.executable,
            ["-m", "rcdbg.cli.main", "gdb", "--gdb", gdb, "--kernel", str(elf),
             "--scenario", "preempt", "--append", f"interval={interval}", "-x", f"source {tells}"],
            env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
            encoding="utf-8",
            timeout=TIMEOUT,
            dimensions=(50, 150),
        )  # fmt: skip
        self._answer()
        self("tbreak spin_with_pattern")
        assert "spin_with_pattern" in self("continue")

    def __call__(self, command: str) -> str:
        """What a command prints up to the next prompt."""
        self.child.sendline(command)
        return self._answer()

    def broken_off(self, command: str) -> str:
        """What a command prints that is ended by Ctrl-C as soon as the kernel runs."""
        self("python gdb.events.cont.connect(told)")
        self.child.sendline(command)
        self.child.expect_exact("@runs")
        self.child.sendintr()
        return self._answer()

    def _answer(self) -> str:
        self.child.expect_exact(PROMPT)
        return str(self.child.before)


@pytest.fixture
def terminal(
    gdb: str, rcdbg_kernel: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Terminal]:
    tells = tmp_path / "tells.py"
    tells.write_text(TELLS_THAT_IT_RUNS)
    opened = Terminal(gdb, rcdbg_kernel, request.param, tells)
    try:
        yield opened
        opened.child.sendline("quit")
        opened.child.expect(pexpect.EOF)
        assert "Remote" not in opened.child.before, "it parts without a complaint"
    finally:
        opened.child.close()
    assert opened.child.exitstatus == 0


def check(terminal: Terminal, *commands: str) -> None:
    """Each is broken off; the kernel stands then, and nothing of the command is left."""
    for command in commands:
        text = terminal.broken_off(command)
        assert "did not come first" in text
        assert "Traceback" not in text
        assert "Python Exception" not in text, "gdb's words; riscv has a type called Exception"
        assert "No breakpoints" in terminal("maint info breakpoints")
        assert "running" in terminal("rc threads")
    assert "SIGINT" in terminal.broken_off("continue"), "gdb's own Ctrl-C is as before"


@pytest.mark.parametrize("terminal", [NEVER], indirect=True, ids=[""])
def test_ctrl_c_while_nothing_happens(terminal: Terminal) -> None:
    check(terminal, "rc next-trap", "rc until-sret", "rc next-switch")


@pytest.mark.parametrize("terminal", [OFTEN], indirect=True, ids=[""])
def test_ctrl_c_while_other_traps_come_one_after_the_other(terminal: Terminal) -> None:
    """The kernel stands at a breakpoint most of the time, where a stub drops the request."""
    check(terminal, *['rc next-trap "load page fault"', "rc next-switch to 99"] * 3)
    assert "timer interrupt at" in terminal("rc next-trap")


@pytest.mark.parametrize("terminal", [NEVER, OFTEN], indirect=True, ids=["silent", "busy"])
def test_ctrl_c_ends_a_trace(terminal: Terminal) -> None:
    """Whether the kernel runs undisturbed, or is at one of our breakpoints most of the time."""
    for _ in range(2):
        text = terminal.broken_off("rc trace --events traps,switch")
        assert "Ctrl-C" in text
        assert "the kernel stands at" in text
        assert "Traceback" not in text
        assert "No breakpoints" in terminal("maint info breakpoints")
        assert "running" in terminal("rc threads")
    assert "SIGINT" in terminal.broken_off("continue"), "gdb's own Ctrl-C is as before"
