"""Grades as files, also with what kernels print that no file format likes."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rcdbg.cli.grading.files import write_json, write_junit
from rcdbg.errors import OutputError
from rcdbg.machine.host.results import CaseResult
from rcdbg.machine.host.suite import Grade

NASTY = 'said \x00\x1b[31m \ud800 <&" and ended'


def grades() -> list[Grade]:
    tests = (
        CaseResult("m::good", "passed", 0.5),
        CaseResult("m::bad", "failed", 1.0, NASTY, NASTY, {"rcdbg_trace": "/kept/t.jsonl"}),
        CaseResult("m::none", "skipped", 0.0, "not for this kernel"),
    )
    late = (
        CaseResult("m::hangs", "error", 9.0, "it had not ended"),
        CaseResult("m::after", "not run", 0.0, "pytest did not come to it"),
    )
    return [
        Grade("a/os", "failed", 1, 1.5, f"m::bad: {NASTY}", tests),
        Grade("b/os", "error", None, 9.0, "did not end within 9 s", late),
    ]


def test_junit_is_xml_whatever_was_printed(tmp_path: Path) -> None:
    file = tmp_path / "grades.xml"
    write_junit(file, "suite", grades())
    first, second = ElementTree.parse(file).getroot()
    counts = [first.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "1", "0", "1"]
    failure = first.find(".//failure")
    assert failure is not None
    assert '<&" and ended' in (failure.text or "")
    kept = first.find(".//property[@name='rcdbg_trace']")
    assert kept is not None
    assert kept.get("value") == "/kept/t.jsonl"
    assert [second.get(name) for name in ("tests", "errors")] == ["3", "3"]
    names = [case.get("name") for case in second.iter("testcase")]
    assert names == ["m::hangs", "m::after", "the suite runs to its end"]
    assert all(case.find("error") is not None for case in second.iter("testcase"))


def test_json_has_every_kernel_and_test(tmp_path: Path) -> None:
    file = tmp_path / "grades.json"
    write_json(file, "suite", grades())
    first, second = json.loads(file.read_text())["kernels"]
    assert (first["passed"], first["failed"], len(first["tests"])) == (1, 1, 3)
    assert first["tests"][1]["cause"] == NASTY
    assert (second["passed"], second["failed"], second["not_run"]) == (0, 1, 1)
    assert (second["exit_status"], second["cause"]) == (None, "did not end within 9 s")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_json(tmp_path / "no" / "folder.json", "suite", [])
