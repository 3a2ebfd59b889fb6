"""Traces and stories of the kernels in the shapes of rCore-Tutorial-v3, against what they print."""

import re
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from rcdbg.testing import exited, switch, trap_enter, trap_leave
from rcdbg.trace.conditions import exited as exited_with
from rcdbg.trace.kinds import parse_kinds
from rcdbg.trace.recorders.recording import record
from rcdbg.trace.run import Boot, Run
from rcdbg.trace.story.story import begin
from rcdbg.trace.wanted import Wanted
from tests.support.shapes import MEMORY, build

ECALL = "environment call from U-mode"


@pytest.fixture(params=["ch3", "ch4", "ch5", "ch8"])
def elf(request: pytest.FixtureRequest) -> Path:
    return build("v3", "--release") / str(request.param)


def test_switches_and_traps_are_those_that_the_kernel_tells_of(elf: Path) -> None:
    boot = Boot(elf, memory=MEMORY, deterministic=True)
    with record(boot, Wanted(parse_kinds("traps,threads"))) as recording:
        events = list(recording)
    # Such a run does the same again. To stop at each letter takes long.
    with Run(boot) as run:
        run.until(exited_with(0))
        said = run.console.splitlines()
    # As `run 3` or `run 0.3`, by the processor; or as `switch 2 3`. The first app runs unsaid.
    told = [re.fullmatch(r"(?:run|switch \d+) (?:\d+\.)?(\d+)", line) for line in said]
    runs = [int(match[1]) for match in told if match]
    if elf.name in ("ch3", "ch4"):
        runs.insert(0, 0)
    switches = [e.fields["to"] for e in events if e.kind == "switch"]
    assert len(switches) > 10
    # Whoever runs on is no switch; ids of ch8 count in each process.
    went_on, ran = ([n for n, _ in groupby(each)] for each in (switches, runs))
    if elf.name == "ch8":
        # Whoever is woken for a lock that another one has sleeps again before its trap ends.
        rest = iter(ran)
        assert all(number in rest for number in went_on)
    else:
        assert went_on == ran
    entered = [e for e in events if e.kind == "trap_enter"]
    assert {e.fields["privilege"] for e in entered} == {"U"}
    assert {e.fields["depth"] for e in entered} == {1}
    left = [e for e in events if e.kind == "trap_leave"]
    # Those before the first trap and after the last are programs that begin and end.
    assert abs(len(left) - len(entered)) <= len(switches)
    ended = [e.fields["why"] for e in events if e.kind == "thread_exit"]
    assert ended.count("exit") >= sum(line.startswith("exit") for line in said) - 1


def test_a_story() -> None:
    elf = build("v3", "--release") / "ch5"
    run = begin(Boot(elf, memory=MEMORY, deterministic=True))
    with closing(run.machine):
        first = run.until(switch(), ticks=20_000_000)
        assert first.fields == {"from": None, "to": 0, "why": "start"}
        call = run.until(trap_enter(cause=ECALL), ticks=20_000_000)
        assert call.fields["privilege"] == "U"
        current = run.state().processor.current
        assert current is not None
        assert current.id == call.thread
        back = run.until(trap_leave(), ticks=20_000_000)
        assert back.fields["privilege"] == "U"
        run.until(switch(to=2), ticks=100_000_000)
        run.until(exited(status=0), ticks=400_000_000)
        assert run.console.rstrip().endswith("ended")
