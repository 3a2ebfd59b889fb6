"""A pytest plugin of `rcdbg grade`: each kernel is an item that runs a suite in its own pytest.

So pytest-xdist spreads the kernels over its workers, and replaces a worker that crashes. The list
of kernels is a file `NAME.rcdbg-grade`, JSON: {"suite": [...], "kernels": [...], "timeout": S,
"artifacts": FOLDER or null, "profile": FILE or null, "qemu": WORDS, "sources": FOLDERS}.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from rcdbg.machine.host.results import CaseResult
from rcdbg.machine.host.suite import Grade, run_suite

SUFFIX = ".rcdbg-grade"
_PROPERTY = "rcdbg-grade"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take lists of kernels."""
    if file_path.suffix != SUFFIX:
        return None
    found: KernelList = KernelList.from_parent(parent, path=file_path)
    return found


class KernelList(pytest.File):
    """A file that names kernels and the suite to run over them."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each kernel, named by its number in the list."""
        order = json.loads(self.path.read_text())
        for number, kernel in enumerate(order["kernels"]):
            item: KernelItem = KernelItem.from_parent(self, name=str(number))
            item.order, item.kernel = order, kernel
            yield item


class KernelItem(pytest.Item):
    """The grade of one kernel; never fails, since the grade is its result."""

    order: dict[str, Any]
    kernel: str

    def runtest(self) -> None:
        """Run the suite over the kernel."""
        folder = self.order["artifacts"]
        kept = Path(folder) / f"{self.name}-{_as_name(self.kernel)}" if folder else None
        profile = self.order["profile"]
        grade = run_suite(
            self.order["suite"],
            self.kernel,
            timeout=self.order["timeout"],
            artifacts=kept,
            profile=Path(profile) if profile else None,
            qemu=self.order["qemu"],
            sources=[Path(folder) for folder in self.order["sources"]],
        )
        self.user_properties.append((_PROPERTY, json.dumps(asdict(grade))))


class Grades:
    """Collects the grades, where the workers' reports come in, and tells of each as it comes."""

    def __init__(self, kernels: list[str], tell: Callable[[Grade], None]) -> None:
        self._kernels = kernels
        self._tell = tell
        self.by_number: dict[int, Grade] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the grade out of a report, or note why there is none."""
        number = int(report.nodeid.rpartition("::")[2])
        found = dict(report.user_properties).get(_PROPERTY)
        if report.when == "call" and isinstance(found, str):
            self._add(number, _grade(json.loads(found)))
        elif report.failed:
            why = str(report.longrepr).strip().splitlines() or ["no reason given"]
            self._add(number, Grade(self._kernels[number], "error", None, 0.0, why[-1]))

    def _add(self, number: int, grade: Grade) -> None:
        if number not in self.by_number:
            self.by_number[number] = grade
            self._tell(grade)


def _grade(document: dict[str, Any]) -> Grade:
    tests = tuple(CaseResult(**test) for test in document.pop("tests"))
    return Grade(**document, tests=tests)


def _as_name(path: str) -> str:
    """A kernel's path as the name of a folder."""
    return re.sub(r"[^\w.-]+", "-", path).strip("-")[-80:]
