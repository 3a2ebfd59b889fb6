"""Text that we did not write reaches a terminal through one door, whatever says it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rcdbg.errors
from rcdbg.cli import door
from rcdbg.errors import MemoryReadError, RcdbgError
from rcdbg.escape import safe, safe_lines
from rcdbg.testing import report

HOSTILE = {
    "the clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "the title": "\x1b]0;root\x07",
    "clear": "\x1b[2J\x1b[H",
    "right to left": "a\u202egnp.exe",
    "C1": "\x9b2J\x9d0;x\x9c",
    "back": "harmless\rrm -rf",
    "a lone surrogate": "\udcff",
    "a line of its own": "\u2028rcdbg: all tests passed",
}
ALLOWED = re.compile(
    r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]*"
)


def errors() -> Iterator[Callable[[str], RcdbgError]]:
    for kind in vars(rcdbg.errors).values():
        if isinstance(kind, type) and issubclass(kind, RcdbgError):
            if kind is MemoryReadError:
                yield lambda text: MemoryReadError(0, 8, text)
            else:
                yield kind


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_error_is_harmless(text: str) -> None:
    kinds = list(errors())
    assert len(kinds) > 5
    for make in kinds:
        said = str(make(f"it said: {text}"))
        assert "it said" in said
        assert ALLOWED.fullmatch(said)


@pytest.mark.parametrize("say", [door.tell, door.remark, door.progress, door.tell_json])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_the_command_line_prints_is_harmless(
    say: Callable[[str], None], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(f"/home/{text}/os: 1.5 MB")
    printed = capsys.readouterr()
    whole = printed.out + printed.err
    assert "1.5 MB" in whole
    assert whole.endswith("\n")
    assert ALLOWED.fullmatch(whole)
    whole.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_escaping_again_changes_nothing(text: str) -> None:
    assert safe(safe(text)) == safe(text)
    assert safe_lines(safe_lines(f"a\n{text}")) == "a\n" + safe(text)


def test_a_failed_tests_report_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its console section is what the guest printed."""

    class Boot:
        kernel = Path("/nowhere/os")

    class Story:
        boot = Boot
        exit_status = 0
        history = ()
        console = "\n".join(HOSTILE.values())

    monkeypatch.setattr(report, "_CONSOLE_LINES", 20)
    said = report.report(Story(), [])  # type: ignore[arg-type]
    assert "harmless" in said
    assert ALLOWED.fullmatch(said)
