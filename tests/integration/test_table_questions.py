"""The options of `show pagetable`, `show csr` and `walk`: the command line and both gdbs alike."""

import json
import subprocess
from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.subjects.table import subject
from rcdbg.words import take
from tests.integration.test_cli import one_line, rcdbg
from tests.support.in_gdb import InGdb, documents
from tests.support.questions import ask, walk

pytestmark = pytest.mark.every_kernel

QUESTIONS = [
    "pagetable --writable --by-physical",
    "pagetable --executable --process 0",
    "pagetable --user --from 0x1000 --to 0x2000000",
    "pagetable --lint",
    "pagetable --aliases",
    "pagetable --to-physical 0x80200010",
    "pagetable --diff-satp 0",
    "pagetable --satp 0",
    "csr --explain sstatus",
    "csr --explain time",
    "csr --explain privilege",
    "memoryset",
]


def test_gdb_says_the_same_as_rcdbg_itself(in_gdb: InGdb) -> None:
    kernel = in_gdb.run.kernel()
    expected = [ask(kernel, question).document for question in QUESTIONS]
    expected.append(walk(kernel, kernel.registers.sp).document)
    commands = [f"rc {question} --json" for question in QUESTIONS]
    commands.append("rc walk $sp --process 0 --json")
    said = documents(in_gdb(*commands))
    # Inside gdb RAM's extent is not known: a rule of lint says so.
    for one, other in zip(said, expected, strict=True):
        for document in (one, other):
            lint = document.get("lint")
            if isinstance(lint, dict):
                lint.pop("skipped")
        assert one == other


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("rc pagetable --nonsense", "--nonsense"),
        ("rc pagetable --root", "--root"),
        ("rc pagetable --process 7", "process 7"),
        ("rc csr --explain nonsense", "nonsense"),
        ("rc frames --lint", "--lint"),
        ("rc walk 0 --root", "--root"),
    ],
)
def test_wrong_options_in_gdb(in_gdb: InGdb, command: str, words: str) -> None:
    assert words in in_gdb.refused(command)


@pytest.mark.one_kernel
def test_completion_and_help_in_gdb(in_gdb: InGdb) -> None:
    text = in_gdb("complete rc pagetable --wri", "help rc pagetable", "help rc csr")
    for words in ("rc pagetable --writable", "--to-physical PA", "--explain NAME"):
        assert words in text


@pytest.fixture
def kernel(rcdbg_kernel: Path) -> tuple[str, str]:
    return ("--kernel", str(rcdbg_kernel))


def shown(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.one_kernel
def test_questions_on_the_command_line(kernel: tuple[str, str]) -> None:
    every = ("--scenario", "preempt", *kernel)
    text = shown(rcdbg("show", "pagetable", "--executable", "--process", "0", *every))
    assert "r-x" in text
    assert "rw-" not in text
    text = shown(rcdbg("show", "memoryset", *every))
    assert "KERNEL_PROCESS" in text
    assert "the page table maps exactly the segments" in text
    text = shown(rcdbg("show", "csr", "--explain", "satp", *every))
    assert "root page table" in text
    text = shown(rcdbg("walk", "handle_interrupt", "--process", "0", *every))
    assert "W is clear" in text
    reverse = json.loads(
        shown(rcdbg("show", "pagetable", "--to-physical", "0x80200000", "--json", *every))
    )
    assert [m["va"] for m in reverse["reverse"]["mappings"]] == ["0xffffffff80200000"]


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pagetable", "--root", "0x80000000000000"), "no frame number"),
        (("pagetable", "--lint", "--aliases"), "two questions"),
        (("pagetable", "--lint", "--writable"), "no filter"),
        (("pagetable", "--root", "1", "--satp", "1"), "two tables"),
        (("pagetable", "--from", "no_such_thing"), "no_such_thing"),
        (("threads", "--explain", "satp"), "for csr"),
        (("csr", "--explain", "nonsense"), "sstatus"),
    ],
)
def test_wrong_questions_on_the_command_line(
    kernel: tuple[str, str], arguments: tuple[str, ...], words: str
) -> None:
    assert words in one_line(rcdbg("show", *arguments, *kernel))


@pytest.mark.one_kernel
def test_an_option_without_its_value_is_refused() -> None:
    with pytest.raises(UsageError, match="--root"):
        take("rc walk", subject("walk").options, ["0", "--root"])
