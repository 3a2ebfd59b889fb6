"""`rcdbg doctor`: what went wrong first in a whole run."""

import json

import pytest

from rcdbg.cli.main import main

MEMORY = ["--memory", "32M", "--timeout", "20"]


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, object]]]:
    status = main(["doctor", "--json", *MEMORY, *words])
    return status, json.loads(capsys.readouterr().out)["diagnosis"]["findings"]


def test_a_fault_in_the_handler_comes_before_what_is_printed_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The scenario loads from an address that nothing is mapped at, in the trap's handler."""
    status, findings = doctor(capsys, "--scenario", "fault", "--append", "where=handler")
    codes = [finding["code"] for finding in findings]
    assert status == 3
    assert "RC0214" in codes
    assert "load page fault at 0x60000000" in str(findings[0]["title"])
    assert codes[0] in ("RC0201", "RC0211")


def test_a_sound_run_has_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    status, findings = doctor(capsys, "--scenario", "preempt", "--append", "ticks=5")
    assert (status, findings) == (0, [])
