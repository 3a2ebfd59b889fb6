"""What a pytest process tells of its tests while they run: one JSON document a line.

Written by the pytest plugin `rcdbg.testing.results`, each line when it happens, so that nothing is
lost where pytest is killed:

    {"tests": [ID, ...]}                what was collected
    {"start": ID, "at": SECONDS}        a test begins
    {"report": ID, "when": "setup" | "call" | "teardown" | "collect", "outcome": ..., "at": SECONDS,
     "seconds": SECONDS, "cause": ..., "details": ..., "properties": {...}}
    {"end": STATUS}                     pytest has come to its end

`at` is of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["passed", "failed", "error", "skipped", "not run"]

OPTION = "--rcdbg-results"
PLUGIN = "rcdbg.testing.results"

_CAUSE_LENGTH = 300
_ERROR = re.compile("^E +.*$", re.MULTILINE)
_EXCEPTION = re.compile(r"^(?:Failed|AssertionError|rcdbg\.[\w.]+): ")


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
class Results:
    """All tests of a run in their order; `running` is the one that had no end, if there is one.

    `complete` tells whether pytest came to its end and every test to its own.
    """

    tests: tuple[CaseResult, ...]
    running: str | None
    complete: bool


def read_results(path: Path, deadline: float, late: str) -> Results:
    """What a file of that format tells; all tests of it that did not end before `deadline` count
    as errors, with `late` for the cause, and those that did not begin as "not run".
    """
    runs: dict[str, _Run] = {}
    ended = False
    for line in _documents(path):
        for test in line.get("tests", ()):
            runs.setdefault(test, _Run())
        if "start" in line and line["at"] <= deadline:
            runs.setdefault(line["start"], _Run()).started = True
        if "report" in line:
            runs.setdefault(line["report"], _Run()).reports.append(line)
        ended |= "end" in line
    tests = tuple(run.result(_name(test), deadline, late) for test, run in runs.items())
    open_ones = [test for test, run in runs.items() if run.started and not run.ended(deadline)]
    complete = ended and all(run.ended(deadline) for run in runs.values())
    return Results(tests, _name(open_ones[0]) if open_ones else None, complete)


@dataclass(slots=True)
class _Run:
    started: bool = False
    reports: list[dict[str, Any]] = field(default_factory=list)

    def ended(self, deadline: float) -> bool:
        return any(
            one["when"] in ("teardown", "collect") and one["at"] <= deadline for one in self.reports
        )

    def result(self, name: str, deadline: float, late: str) -> CaseResult:
        known = [one for one in self.reports if one["at"] <= deadline]
        seconds = sum(one["seconds"] for one in self.reports)
        properties = known[-1]["properties"] if known else {}
        bad = next((one for one in known if one["outcome"] == "failed"), None)
        if bad is not None:
            outcome: Outcome = "failed" if bad["when"] == "call" else "error"
            cause = _first_line(bad["cause"], bad["details"], bad["when"])
            return CaseResult(name, outcome, seconds, cause, bad["details"], properties)
        if not self.ended(deadline):
            if self.started:
                return CaseResult(name, "error", seconds, late, properties=properties)
            return CaseResult(name, "not run", 0.0, "pytest did not come to it")
        skipped = next((one for one in known if one["outcome"] == "skipped"), None)
        if skipped is not None:
            return CaseResult(name, "skipped", seconds, skipped["cause"], properties=properties)
        return CaseResult(name, "passed", seconds, properties=properties)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of the file; the last may be half a line."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            yield document


def _name(test: str) -> str:
    """A test's id in short: its module or class, and its name."""
    place, bracket, parameters = test.partition("[")
    path, *inner = place.split("::")
    parts = [Path(path).stem, *inner]
    return "::".join(parts[-2:]) + bracket + parameters


def _first_line(message: str, details: str, when: str) -> str:
    """What a failure says in one line; pytest wraps some failures in words of its own."""
    if when == "collect":
        message = next((e[1:] for e in reversed(_ERROR.findall(details))), message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return _EXCEPTION.sub("", lines[0])[:_CAUSE_LENGTH] if lines else "no reason given"
