"""A suite of tests over one kernel: one pytest process, ended with us, and what became of it."""

import math
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Literal

import rcdbg
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.results import (
    OPTION,
    PLUGIN,
    CaseResult,
    Outcome,
    Results,
    read_results,
)
from rcdbg.machine.host.session import scratch

_STARTER = "import sys; sys.path.insert(0, sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"
"""So that the plugin is the one of this rcdbg, also where another one is installed."""

_END_SECONDS = 10.0
_TAIL_BYTES = 64 << 10
_CAUSE_LENGTH = 300
_NO_TESTS = 5


@dataclass(frozen=True, slots=True)
class Grade:
    """What became of a suite over one kernel.

    `exit_status` is that of pytest: None if it had to be ended, -N if signal N ended it. `outcome`
    is "error" where the tests could not be run to their end. `cause` is that of the first failure.
    """

    kernel: str
    outcome: Literal["passed", "failed", "error"]
    exit_status: int | None
    seconds: float
    cause: str = ""
    tests: tuple[CaseResult, ...] = ()

    def count(self, *outcomes: Outcome) -> int:
        """How many tests ended so."""
        return sum(test.outcome in outcomes for test in self.tests)


def run_suite(
    suite: Sequence[str],
    kernel: str,
    *,
    timeout: float,
    artifacts: Path | None = None,
    profile: Path | None = None,
    qemu: Sequence[str] = (),
    sources: Sequence[Path] = (),
) -> Grade:
    """Run the tests in `suite` (paths, as for pytest) over `kernel`; never fails.

    After `timeout` seconds of host time, pytest is interrupted, and soon after that killed.
    `artifacts` is where failed tests save snapshots and traces; None for nowhere. `profile` tells
    what the kernel calls its things. `qemu` is a command line that boots it, in place of the kernel
    that it names. `sources` are the folders whose files a report may quote lines of; if there is
    none, the kernel's own.
    """
    started = time.monotonic()
    with scratch() as folder:
        told, log = folder / "results.jsonl", folder / "log"
        arguments = [
            *(sys.executable, "-c", _STARTER, str(Path(rcdbg.__file__).parents[1])),
            # With `=`, since pytest would look for its configuration also where the kernel is.
            *(*suite, f"--rcdbg-kernel={kernel}", f"--rcdbg-artifacts={artifacts or ''}"),
            *([f"--rcdbg-profile={profile}"] if profile else ()),
            *([f"--rcdbg-qemu={shlex.join(qemu)}"] if qemu else ()),
            *(f"--rcdbg-sources={place}" for place in sources),
            *("-p", PLUGIN, f"{OPTION}={told}"),
            *("-v", "--tb=short", "-n0", "-p", "no:cacheprovider"),
            *("--basetemp", str(folder / "tmp"), "--color=no"),
        ]
        with log.open("wb") as output:
            status = _run(arguments, output.fileno(), timeout)
        seconds = time.monotonic() - started
        why = _why(status, timeout)
        deadline = math.inf if status is not None else started + timeout
        results = read_results(told, deadline, f"it had not ended: {why}")
        said = _tail(log)
    return _grade(kernel, status, seconds, results, why, said)


def _why(status: int | None, timeout: float) -> str:
    """How pytest ended."""
    if status is None:
        return f"did not end within {timeout:g} s"
    if status < 0:
        return f"pytest was ended by signal {-status}"
    return f"pytest ended with status {status}"


def _run(arguments: Sequence[str], output: int, timeout: float) -> int | None:
    with Process(arguments, stdout=output, stderr=output) as process:
        try:
            return process.wait(timeout)
        except DeadlineError:
            # In order at first: what has been tested by now is worth a line.
            process.send_signal(SIGINT)
            with suppress(DeadlineError):
                process.wait(_END_SECONDS)
            return None


def _grade(
    kernel: str, status: int | None, seconds: float, results: Results, why: str, said: str
) -> Grade:
    tests = results.tests
    first = next((t for t in tests if t.outcome in ("failed", "error")), None)
    told = f"{first.name}: {first.cause}" if first else ""
    if status == 0 and results.complete and tests:
        return Grade(kernel, "failed" if first else "passed", status, seconds, told, tests)
    ran = [t for t in tests if t.outcome != "not run"]
    same = len({(t.outcome, t.cause) for t in ran}) == 1 and ran[0].outcome == "error"
    if status is not None and status > 0 and first is not None:
        # All of them errors, and the same: not one test got as far as the kernel.
        if status == 1 and not same:
            return Grade(kernel, "failed", status, seconds, told, tests)
        cause = first.cause if same else told
        return Grade(kernel, "error", status, seconds, cause, tests)
    if status == _NO_TESTS:
        return Grade(kernel, "error", status, seconds, "the suite has no tests", tests)
    cause = why + (f" in {results.running.rpartition('::')[2]}" if results.running else "")
    if missing := len(tests) - len(ran):
        cause += f"; {missing} not run" if missing > 1 else "; one test not run"
    lines = [line for line in said.splitlines() if line.strip()]
    if status is not None and status >= 0 and lines:
        errors = [line for line in lines if line.startswith(("ERROR", "E  "))]
        cause += f": {(errors or lines)[-1].strip()[:_CAUSE_LENGTH]}"
    return Grade(kernel, "error", status, seconds, cause, tests)


def _tail(log: Path) -> str:
    data = log.read_bytes()
    return data[-_TAIL_BYTES:].decode("utf-8", "replace")
