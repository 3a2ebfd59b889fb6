"""A subject that is added to the table is there wherever the others are, without another change."""

import json
import re
from pathlib import Path

import pytest

from rcdbg.cli.main import main
from rcdbg.kernels.reading import NOTHING
from rcdbg.model.kept import kernel_in
from rcdbg.subjects import docs, prompt, table
from tests.support.questions import ask
from tests.support.semaphores import ENTRY, NAME

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "three-threads-preempted.snap"
PROCESSOR = "os::process::processor::PROCESSOR"


@pytest.fixture(autouse=True)
def with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SUBJECTS", (*table.SUBJECTS, ENTRY))


def rcdbg(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What it prints about the snapshot; it is content."""
    assert main([*words, "--snapshot", str(SNAPSHOT)]) == 0
    return capsys.readouterr().out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    text = rcdbg(capsys, "show", NAME)
    assert re.search(rf"^{PROCESSOR}: (held|free)$", text, re.MULTILINE)


def test_json_and_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    every = json.loads(rcdbg(capsys, "show", NAME, "--json"))
    assert every["schema"] == 1
    assert len(every[NAME]["held"]) > 2
    one = json.loads(rcdbg(capsys, "show", NAME, "--named", "PROCESSOR", "--json"))
    assert list(one[NAME]["held"]) == [PROCESSOR]


def test_the_report_has_its_panel_and_its_document() -> None:
    kernel = kernel_in(SNAPSHOT, NOTHING)
    answer = ask(kernel, "all")
    assert answer.document["state"][NAME] == ask(kernel, NAME).document[NAME]
    from rcdbg.views.render import render_text

    assert f" {ENTRY.title} " in render_text(answer.view)


def test_help_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"backtraces, all, {NAME}" in text
    assert f"only for {NAME}: --named NAME only those whose names end so" in text


def test_another_subject_has_not_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "heap", "--named", "x", "--snapshot", str(SNAPSHOT)]) == 2
    assert capsys.readouterr().err == f"rcdbg: --named is for {NAME}, not for heap\n"


def test_help_and_completion_at_gdbs_prompt() -> None:
    text = prompt.help_text(table.subject(NAME), "rc")
    assert text.startswith("Show the locks of the kernel's statics: held or free.\n")
    assert f"Usage: rc {NAME} [--named NAME] [--json]" in text
    assert f"Example: rc {NAME} --json" in text
    nothing = prompt.Sources(
        lambda: kernel_in(SNAPSHOT, NOTHING).image, lambda: kernel_in("", NOTHING)
    )
    assert prompt.complete(table.subject(NAME), [], "--n", nothing) == ["--named"]


def test_the_documents() -> None:
    rows = docs.json_table()
    assert f"| `show {NAME}`, `rc {NAME}` | `{NAME}` |" in rows
    assert f"| `show {NAME} --named NAME` | `{NAME}` |" in rows
    assert f"`diagnosis`, `{NAME}`, `problems` |" in rows
