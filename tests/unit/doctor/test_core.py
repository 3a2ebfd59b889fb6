"""The doctor's core: order, what was not checked, rules that fail, texts, pages, JSON."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rcdbg.cli.main import main
from rcdbg.doctor import examine as core
from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.examine import Diagnosis, NotChecked, ask, examine, ranked
from rcdbg.doctor.explanations import explanation, titles
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.needs import NEEDS
from rcdbg.doctor.serial import diagnosis
from rcdbg.doctor.table import CHECKS, CODES, Check
from rcdbg.kernels.reading import NOTHING
from rcdbg.lazy import named
from rcdbg.model.kept import kernel_in
from rcdbg.model.state import Place
from rcdbg.model.values.value import DecodeError
from rcdbg.views.doctor import view
from rcdbg.views.render import render_text

ROOT = Path(__file__).resolve().parents[3]
SNAPSHOTS = sorted((ROOT / "tests" / "snapshots").glob("*.snap"))
FACT = Fact("seen", None, "show frames")
ERROR = Finding("RC0601", Severity.ERROR, Confidence.CERTAIN, "broken", (FACT,), "b")
CHECK = Check("RC0601", "frames", "x:y")


def test_what_the_events_show_first_comes_first_and_consequences_last() -> None:
    note = replace(ERROR, severity=Severity.NOTE, title="note")
    likely = replace(ERROR, confidence=Confidence.LIKELY, title="likely")
    first = replace(likely, first_seen=3, title="first")
    later = replace(ERROR, first_seen=9, title="later")
    follows = replace(ERROR, code="RC0101", because_of=("RC0601",), title="follows")
    shuffled = [note, follows, likely, later, ERROR, first]
    order = [found.title for found in ranked(shuffled)]
    assert order == ["first", "later", "broken", "likely", "follows", "note"]
    assert ranked([replace(follows, severity=Severity.ERROR), note])[0].title == "follows"


def test_the_bucket_has_no_address() -> None:
    assert bucket_of("RC0101", "main.rs", "at 0x80200000!") == "RC0101/main.rs/at"
    assert bucket_of("RC0101", None, "a::b<c>") == "RC0101/a::b<c>"


def _rule(raised: Exception | None) -> Any:
    def rule(examination: Examination) -> Iterator[Finding]:
        yield ERROR
        if raised is not None:
            raise raised

    return rule


@pytest.mark.parametrize(
    ("raised", "why"),
    [
        (None, ""),
        (UndecidedError("the lock is held"), "the lock is held"),
        (DecodeError("the list", "a cycle"), "the list: a cycle"),
        (ZeroDivisionError("no"), "the rule failed: ZeroDivisionError: no"),
    ],
)
def test_a_rule_that_cannot_decide_is_not_silence(
    monkeypatch: pytest.MonkeyPatch, raised: Exception | None, why: str
) -> None:
    monkeypatch.setattr(core, "named", lambda name: _rule(raised))
    kernel: Any = None
    assert ask(CHECK, Examination(kernel)) == ([ERROR], why)


def test_what_a_rule_needs_and_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "named", lambda name: pytest.fail("asked all the same"))
    kernel: Any = None
    found, why = ask(replace(CHECK, needs=("events",)), Examination(kernel))
    assert (found, why) == ([], "events: nothing was recorded")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.code}-{check.rule}")
def test_the_table_names_what_is_there(check: Check) -> None:
    assert callable(named(f"rcdbg.doctor.rules.{check.rule}"))
    assert set(check.needs) <= NEEDS.keys()
    text = explanation(check.code)
    assert text.startswith(f"# {check.code}: ")
    assert "rcdbg" in text, "it tells how to look"


def test_the_table_is_in_order() -> None:
    assert [check.code for check in CHECKS] == sorted(check.code for check in CHECKS)
    assert len({check.rule for check in CHECKS}) == len(CHECKS)
    assert tuple(dict(titles())) == CODES
    for code in CODES:
        text = explanation(code)
        assert text.startswith(f"# {code}: ")
        assert "rcdbg" in text, "it tells how to look"


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_silence_on_healthy_kernels(path: Path) -> None:
    found = examine(kernel_in(path, NOTHING))
    codes = ["RC0201"] if "fault" in path.stem else []
    assert [finding.code for finding in found.findings] == codes
    assert len(found.checked) + len(found.not_checked) == len(CHECKS)
    assert not [left.why for left in found.not_checked if "failed" in left.why]
    document = diagnosis(found)
    assert [item["code"] for item in document["checked"]] == [c.code for c in found.checked]


def test_the_page(tmp_path: Path) -> None:
    source = tmp_path / "main.rs"
    source.write_text("".join(f"line {number}\n" for number in range(1, 9)))
    place = Place(0x80200000, "os::main", 4, str(source), 5)
    found = replace(ERROR, place=place, cause="why", help="do", may_be_wrong_when="odd")
    left = NotChecked(replace(CHECK, name="traps"), "events: nothing was recorded")
    text = render_text(view(Diagnosis((found,), (CHECK,), (left,))), 100)
    assert "error[RC0601]: broken\n" in text
    assert "> 5 | line 5\n" in text
    assert "    4 | line 4\n" in text
    assert "= seen  [rcdbg show frames]" in text
    for words in ("cause: why", "help: do", "may be wrong when: odd", "rcdbg explain RC0601"):
        assert words in text
    assert "not checked: traps (events: nothing was recorded)" in text
    for width in (20, 40, 300):
        render_text(view(Diagnosis((found,), (CHECK,), (left,))), width)


def test_all_well_says_what_was_checked_and_nothing_else() -> None:
    text = render_text(view(Diagnosis((), (CHECK,), ())), 100)
    assert text == "nothing found by 1 rule: frames\n"


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "rc0101"]) == 0
    assert capsys.readouterr().out.startswith("# RC0101: ")
    assert main(["explain"]) == 0
    assert "RC0101  the kernel has panicked\n" in capsys.readouterr().out
    assert main(["explain", "RC9999"]) == 2
    assert "there is no RC9999" in capsys.readouterr().err
