"""What a failed test tells: all that is needed to find the mistake, in order, on one screen."""

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from rcdbg.guest.snapshot import read_snapshot

from .conftest import RunSuite, command

TITLES = ["events", "stands at", "threads", "trap", "console", "saved"]

NO_THREAD_7 = """
from rcdbg.testing import switch, trap_enter

def test_seven(rcdbg_boot):
    run = rcdbg_boot("preempt", "threads=3 interval=100000")
    run.until(trap_enter(cause="timer"))
    run.until(switch(to=7), ticks=1_000_000)
"""


def titles(failure: str) -> list[str]:
    """The titles of the kernel's part, by their first word but for `stands at`."""
    report = failure.split("─ kernel ", 1)[1].splitlines()[1:]
    heads = [line for line in report if line and not line.startswith(" ")]
    return [head.split(",")[0] for head in heads[: len(TITLES)]]


def test_a_failure_has_all_its_parts(run_suite: RunSuite, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    outcome = run_suite(NO_THREAD_7, "--rcdbg-artifacts", str(kept))
    assert outcome.status == 1
    failure = outcome.failure("test_seven")
    assert "> " in failure
    assert "run.until(switch(to=7), ticks=1_000_000)" in failure
    assert "StoryError: expected switch:to=7 within 1,000,000 ticks (100 ms)" in failure
    assert titles(failure) == TITLES
    assert "trap_enter  supervisor timer interrupt from S spin_with_pattern" in failure
    assert "switch      1 → 2 (timer)" in failure
    assert "preempt.rs" in failure, "the kernel's source"
    assert "▸" in failure, "the line where it stands, and the thread that runs"
    assert "thread 3 never yields" in failure, "the console"
    for inside in ("_happenings", "OverdueError", "raise StoryError"):
        assert inside not in failure, "how rcdbg came to it is of no interest"

    properties = outcome.properties("test_seven")
    snapshot, trace = Path(properties["rcdbg_snapshot"]), Path(properties["rcdbg_trace"])
    assert {snapshot.parent, trace.parent} == {kept}
    assert str(snapshot) in failure
    assert str(trace) in failure
    assert "thread 3 never yields" in (read_snapshot(snapshot).console or "")
    assert len(trace.read_text().splitlines()) > 10


def test_any_failure_tells_of_the_kernel_and_of_each_one(run_suite: RunSuite) -> None:
    outcome = run_suite("""
from rcdbg.testing import reached

def test_two(rcdbg_boot):
    first, second = rcdbg_boot("heap"), rcdbg_boot("frames")
    first.until(reached("scenarios::run"))
    assert first.state().processor.threads
""")
    failure = outcome.failure("test_two")
    assert "scenario=heap" in failure
    assert "scenario=frames" in failure
    assert set(outcome.properties("test_two")) == {
        f"rcdbg_{what}-{number}" for what in ("snapshot", "trace") for number in (1, 2)
    }


def test_a_hang_is_told_with_the_loop_it_hangs_in(run_suite: RunSuite) -> None:
    outcome = run_suite("""
from rcdbg.testing import reached, switch

def test_hang(rcdbg_boot):
    run = rcdbg_boot("preempt", "threads=2 interval=2000000000")
    run.until(switch(to=1))
    run.until(switch(to=2), ticks=3_000_000)
""")
    failure = outcome.failure("test_hang")
    assert "expected switch:to=2 within 3,000,000 ticks (300 ms)" in failure
    assert "spin_with_pattern" in failure.split("within", 1)[1].splitlines()[0]
    assert "preempted_process" in failure.split("stands at", 1)[1], "who called it"


def test_an_end_is_told_with_the_kernels_last_words(run_suite: RunSuite) -> None:
    outcome = run_suite("""
from rcdbg.testing import exited

def test_end(rcdbg_boot):
    rcdbg_boot("panic").until(exited(status=0))
""")
    failure = outcome.failure("test_end")
    assert "expected a shutdown with status 0, but the kernel ended with status 1" in failure
    assert "it has ended, with status 1" in failure
    assert "rcdbg_snapshot" not in outcome.properties("test_end"), "of what has ended there is none"


def test_workers_keep_to_themselves(run_suite: RunSuite) -> None:
    """A test that kills its worker, and one that waits in vain, leave the others alone."""
    outcome = run_suite(
        """
import os, signal
from rcdbg.testing import exited, switch
import pytest

@pytest.mark.parametrize("number", range(4))
def test_good(rcdbg_boot, number):
    rcdbg_boot("heap").until(exited(status=0))

def test_killer(rcdbg_boot):
    rcdbg_boot("preempt").until(switch(to=2))
    os.kill(os.getpid(), signal.SIGKILL)

def test_late(rcdbg_boot):
    rcdbg_boot("preempt").until(switch(to=9), ticks=1_000_000)
""",
        *("-n", "2", "--dist", "load"),
    )
    assert outcome.status == 1
    failed = {
        case.get("name")
        for case in outcome.junit.iter("testcase")
        if any(child.tag in ("failure", "error") for child in case)
    }
    assert failed == {"test_killer", "test_late"}
    assert titles(outcome.failure("test_late")) == TITLES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_pytest_that_is_killed_leaves_no_machine(
    tmp_path: Path, rcdbg_kernel: Path, number: signal.Signals
) -> None:
    (tmp_path / "test_mine.py").write_text("""
from rcdbg.testing import switch

def test_long(rcdbg_boot):
    run = rcdbg_boot("preempt", "interval=100000")
    print("QEMU", run.machine.qemu.pid, flush=True)
    run.never(switch(to=9), ticks=10**12)
""")
    with subprocess.Popen(
        command(tmp_path, rcdbg_kernel.absolute(), "-s", "-q"),
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            words = next(line for line in process.stdout if "QEMU" in line).split()
            machine = os.pidfd_open(int(words[-1]))
        finally:
            process.send_signal(number)
    assert process.returncode != 0
    try:
        assert ended(machine, seconds=20)
    finally:
        os.close(machine)


def ended(pidfd: int, seconds: float) -> bool:
    """Whether a process ends in that time: pidfd_open(2), "readable"."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
