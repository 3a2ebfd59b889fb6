"""A suite of tests over one kernel: one pytest process, ended with us, and what became of it."""

import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT
from typing import Literal
from xml.etree import ElementTree

import rcdbg
from rcdbg.machine.host.deadline import DeadlineError
from rcdbg.machine.host.process import Process
from rcdbg.machine.host.session import scratch

Outcome = Literal["passed", "failed", "error", "skipped"]

_STARTER = "import sys; sys.path.insert(0, sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"
"""So that the plugin is the one of this rcdbg, also where another one is installed."""

_END_SECONDS = 10.0
_TAIL_BYTES = 64 << 10
_CAUSE_LENGTH = 300
_NO_TESTS = 5
_RUNNING = re.compile(r"^(\S+::\S.*?) ?$", re.MULTILINE)
_ERROR = re.compile("^E +.*$", re.MULTILINE)
_EXCEPTION = re.compile(r"^(?:Failed|AssertionError|rcdbg\.[\w.]+): ")
_OUTCOMES: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one test; `cause` is the first line of why it did not pass."""

    name: str
    outcome: Outcome
    seconds: float
    cause: str = ""
    details: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    """What the test recorded: where its snapshots and traces are."""


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
) -> Grade:
    """Run the tests in `suite` (paths, as for pytest) over `kernel`; never fails.

    After `timeout` seconds of host time, pytest is interrupted, and soon after that killed.
    `artifacts` is where failed tests save snapshots and traces; None for nowhere. `profile` tells
    what the kernel calls its things. `qemu` is a command line that boots it, in place of the kernel
    that it names.
    """
    started = time.monotonic()
    with scratch() as folder:
        junit, log = folder / "junit.xml", folder / "log"
        arguments = [
            *(sys.executable, "-c", _STARTER, str(Path(rcdbg.__file__).parents[1])),
            # With `=`, since pytest would look for its configuration also where the kernel is.
            *(*suite, f"--rcdbg-kernel={kernel}", f"--rcdbg-artifacts={artifacts or ''}"),
            *([f"--rcdbg-profile={profile}"] if profile else ()),
            *([f"--rcdbg-qemu={shlex.join(qemu)}"] if qemu else ()),
            *("--junitxml", str(junit), "-v", "--tb=short", "-n0", "-p", "no:cacheprovider"),
            *("--basetemp", str(folder / "tmp"), "--color=no"),
        ]
        with log.open("wb") as output:
            status = _run(arguments, output.fileno(), timeout)
        seconds = time.monotonic() - started
        tests = tuple(_read_junit(junit))
        said = _tail(log)
    return _grade(kernel, status, seconds, tests, said, timeout)


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
    kernel: str,
    status: int | None,
    seconds: float,
    tests: tuple[CaseResult, ...],
    said: str,
    timeout: float,
) -> Grade:
    first = next((t for t in tests if t.outcome in ("failed", "error")), None)
    if tests and len({(t.outcome, t.cause) for t in tests}) == 1 and tests[0].outcome == "error":
        # Not one test got as far as the kernel.
        return Grade(kernel, "error", status, seconds, tests[0].cause, tests)
    if status == 0 or (status == 1 and first is not None):
        cause = f"{first.name}: {first.cause}" if first else ""
        return Grade(kernel, "failed" if first else "passed", status, seconds, cause, tests)
    at = _RUNNING.findall(said)
    where = f" in {at[-1].split('::', 1)[-1]}" if at else ""
    if status is None:
        cause = f"did not end within {timeout:g} s{where}"
    elif status < 0:
        cause = f"pytest was ended by signal {-status}{where}"
    elif status == _NO_TESTS:
        cause = "the suite has no tests"
    elif first is not None:
        cause = f"{first.name}: {first.cause}"
    else:
        lines = [line for line in said.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("ERROR", "E  "))]
        cause = f"pytest ended with status {status}{where}"
        cause += f": {(errors or lines)[-1].strip()[:_CAUSE_LENGTH]}" if lines else ""
    return Grade(kernel, "error", status, seconds, cause, tests)


def _read_junit(path: Path) -> Iterator[CaseResult]:
    """The tests in pytest's report; none if it was not written to its end."""
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return
    for case in cases:
        found = next((child for child in case if child.tag in _OUTCOMES), None)
        properties = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        seconds = float(case.get("time", "0"))
        module = case.get("classname", "").rpartition(".")[2]
        name = "::".join(filter(None, (module, case.get("name", ""))))
        if found is None:
            yield CaseResult(name, "passed", seconds, properties=properties)
        else:
            details = found.text or ""
            cause = _first_line(found.get("message", ""), details)
            yield CaseResult(name, _OUTCOMES[found.tag], seconds, cause, details, properties)


def _first_line(message: str, details: str) -> str:
    """What a failure says in one line; pytest wraps some failures in words of its own."""
    if message == "collection failure":
        message = next((e[1:] for e in reversed(_ERROR.findall(details))), message)
    text = re.sub(r'^failed on (?:setup|teardown) with "(.*)"$', r"\1", message, flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _EXCEPTION.sub("", lines[0])[:_CAUSE_LENGTH] if lines else "no reason given"


def _tail(log: Path) -> str:
    data = log.read_bytes()
    return data[-_TAIL_BYTES:].decode("utf-8", "replace")
