"""A pytest plugin of `rcdbg grade`: tells of every test when it happens, one JSON line each.

The format is that of `rcdbg.machine.host.results`. JUnit's file comes at pytest's end only: nothing
would be known of a run that was killed, and a test that was broken off would count as passed.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rcdbg.machine.host.results import OPTION


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption(OPTION, metavar="FILE", help="tell of each test here")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to tell, if it was asked for."""
    path = config.getoption(OPTION)
    if path:
        config.pluginmanager.register(_Teller(path))


class _Teller:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _tell(self, **document: Any) -> None:
        data = json.dumps(document).encode() + b"\n"
        while data:
            data = data[os.write(self._file, data) :]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tell(tests=[item.nodeid for item in session.items])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._tell(
                report=report.nodeid, when="collect", outcome="failed", at=time.monotonic(),
                seconds=0.0, cause="could not be collected", details=str(report.longrepr),
                properties={},
            )  # fmt: skip

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell(start=nodeid, at=time.monotonic())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._tell(
            report=report.nodeid, when=report.when, outcome=report.outcome, at=time.monotonic(),
            seconds=report.duration, cause=_cause(report),
            details=str(report.longrepr) if report.failed else "",
            properties={str(name): str(value) for name, value in report.user_properties},
        )  # fmt: skip

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Iterator[None]:
        found = yield
        self._tell(end=int(exitstatus))
        return found


def _cause(report: pytest.TestReport) -> str:
    """Why it did not pass, in pytest's own words; empty if it did."""
    if report.passed:
        return ""
    if report.skipped:
        reason = getattr(report, "wasxfail", None)
        if reason is None and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
        return str(reason or "")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr)
