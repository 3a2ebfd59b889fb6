"""Grades as files for other programs: JSON, and JUnit XML as CI systems read it."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from rcdbg.outputs import write_whole

if TYPE_CHECKING:
    from rcdbg.machine.host.results import CaseResult
    from rcdbg.machine.host.suite import Grade

FORMAT = 1

_TAGS = {"failed": "failure", "error": "error", "skipped": "skipped", "not run": "error"}

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold (section 2.2); a kernel prints what it likes."""


def write_json(path: Path, suite: str, grades: Sequence["Grade"]) -> None:
    """Write the grades, in the order of the kernels; raises OutputError if that cannot be."""
    document = {
        "format": FORMAT,
        "suite": suite,
        "kernels": [
            {
                **asdict(g),
                "passed": g.count("passed"),
                "failed": g.count("failed", "error"),
                "not_run": g.count("not run"),
            }
            for g in grades
        ],
    }
    _write(path, json.dumps(document, indent=2) + "\n")


def write_junit(path: Path, _: str, grades: Sequence["Grade"]) -> None:
    """Write a test suite for each kernel; one that could not be graded has an error of its own.

    A test that was not run is an error too: JUnit has no word for it, and skipped looks harmless.
    """
    root = ElementTree.Element("testsuites", name="rcdbg grade")
    for grade in grades:
        ungraded = grade.outcome == "error"
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_clean(grade.kernel),
            tests=str(len(grade.tests) + ungraded),
            failures=str(grade.count("failed")),
            errors=str(grade.count("error", "not run") + ungraded),
            skipped=str(grade.count("skipped")),
            time=f"{grade.seconds:.3f}",
        )
        for test in grade.tests:
            _case(suite, grade.kernel, test)
        if ungraded:
            case = ElementTree.SubElement(suite, "testcase", classname=_clean(grade.kernel),
                                          name="the suite runs to its end")  # fmt: skip
            ElementTree.SubElement(case, "error", message=_clean(grade.cause))
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _case(suite: ElementTree.Element, kernel: str, test: "CaseResult") -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(kernel),
        name=_clean(test.name),
        time=f"{test.seconds:.3f}",
    )
    if test.properties:
        kept = ElementTree.SubElement(case, "properties")
        for name, value in test.properties.items():
            ElementTree.SubElement(kept, "property", name=name, value=_clean(value))
    if test.outcome != "passed":
        ElementTree.SubElement(case, _TAGS[test.outcome], message=_clean(test.cause)).text = _clean(
            test.details
        )


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("�", text)


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode("utf-8", "replace"))
