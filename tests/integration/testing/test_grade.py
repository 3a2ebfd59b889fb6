"""`rcdbg grade`: many kernels, each a row, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from .conftest import ROOT

SECONDS = 240

SUITE = """
import os, signal, time
from rcdbg.testing import exited, switch

def test_heap(rcdbg_boot):
    rcdbg_boot("heap").until(exited(status=0))

def test_own_ways(rcdbg_kernel, rcdbg_boot):
    name = rcdbg_kernel.name
    if name == "wrong":
        rcdbg_boot("preempt", "interval=100000").until(switch(to=9), ticks=1_000_000)
    if name == "crash":
        rcdbg_boot("preempt").until(switch(to=1))
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "hang":
        time.sleep(10**6)
"""

ENDLESS = """
import time

def test_before():
    pass

def test_for_ever():
    time.sleep(10**6)

def test_never_come_to():
    pass
"""


def grade(*arguments: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    start = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from rcdbg.cli.main import main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", start, "grade", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "110"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def kernels(tmp_path: Path, rcdbg_kernel: Path) -> Path:
    """A folder with a kernel under several names, by which the suite treats them, and non-kernels.

    The links are found at, so that each is the same ELF.
    """
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name in ("right", "wrong", "crash", "hang"):
        (folder / name).symlink_to(rcdbg_kernel.absolute())
    (folder / "text").write_text("no kernel at all")
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_them.py").write_text(SUITE)
    return folder


def test_every_kernel_is_a_row(kernels: Path, tmp_path: Path) -> None:
    names = ["right", "wrong", "crash", "text", "absent"]
    done = grade(
        "suite", *(f"kernels/{name}" for name in names), "-n", "2",
        "--json", "grades.json", "--junit", "grades.xml", "--artifacts", "kept", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "grades.json").read_text())
    rows: dict[str, dict[str, Any]] = {Path(k["kernel"]).name: k for k in document["kernels"]}
    assert list(rows) == names, "in the order given"
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "right": "passed", "wrong": "failed", "crash": "error",
        "text": "error", "absent": "error",
    }  # fmt: skip
    assert [rows[name]["exit_status"] for name in ("right", "wrong")] == [0, 1]
    assert (rows["wrong"]["passed"], rows["wrong"]["failed"]) == (1, 1)
    causes = {name: row["cause"] for name, row in rows.items()}
    assert causes["wrong"].startswith("test_them::test_own_ways: expected switch:to=9 within")
    assert causes["crash"] == "pytest was ended by signal 9 in test_own_ways"
    assert "is not an ELF file" in causes["text"]
    assert "does not exist" in causes["absent"]
    for name in names:
        assert f"kernels/{name}" in done.stdout
    assert "5 kernels  1 passed  1 failed  3 could not be tested to the end" in done.stdout

    (test,) = (t for t in rows["wrong"]["tests"] if t["outcome"] == "failed")
    for kept in test["properties"].values():
        assert Path(kept).is_file()
        assert Path(kept).is_relative_to(tmp_path / "kept")
    suites = ElementTree.parse(tmp_path / "grades.xml").getroot()
    assert [Path(s.get("name", "")).name for s in suites] == names
    assert [s.get("errors") for s in suites][:3] == ["0", "0", "2"], "the test, and the suite"
    failure = next(s for s in suites if s.get("name") == "kernels/wrong").find(".//failure")
    assert failure is not None
    assert "stands at" in (failure.text or "")


def test_a_grade_that_does_not_end_is_a_row(kernels: Path, tmp_path: Path) -> None:
    (tmp_path / "suite" / "test_them.py").write_text(ENDLESS)
    done = grade("suite", "kernels/right", "--timeout", "20", "--json", "it.json",
                 "--junit", "it.xml", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1, done.stderr
    (row,) = json.loads((tmp_path / "it.json").read_text())["kernels"]
    assert row["outcome"] == "error"
    assert row["cause"] == "did not end within 20 s in test_for_ever; one test not run"
    outcomes = {test["name"].rpartition("::")[2]: test["outcome"] for test in row["tests"]}
    assert outcomes == {
        "test_before": "passed", "test_for_ever": "error", "test_never_come_to": "not run",
    }  # fmt: skip
    cases = list(ElementTree.parse(tmp_path / "it.xml").iter("testcase"))
    assert [case.find("error") is None for case in cases] == [True, False, False, False]
    assert all(case.get("name") for case in cases)


def test_all_passed_is_status_0(kernels: Path, tmp_path: Path) -> None:
    done = grade("suite", "kernels/right", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 kernel  1 passed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no-such-suite", "kernels/right"), "no tests at no-such-suite"),
        (("suite", "kernels/right", "--timeout", "0"), "more than 0 seconds"),
        (("suite", "kernels/right", "--json", "no/such/folder.json"), "there is no folder"),
    ],
)
def test_what_cannot_be_graded_is_one_line(
    kernels: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = grade(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_suite_that_cannot_be_imported_is_told_for_each(kernels: Path, tmp_path: Path) -> None:
    (tmp_path / "suite" / "test_them.py").write_text("import no_such_module\n")
    done = grade("suite", "kernels/right", cwd=tmp_path)
    assert done.returncode == 1
    assert "no_such_module" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_grading_that_is_broken_off_tells_what_it_has(
    kernels: Path, tmp_path: Path, number: signal.Signals
) -> None:
    # In what a shell starts in the background (`make test &`), SIGINT is ignored from the start.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from rcdbg.cli.main import main; sys.exit(main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start, "grade", "suite", "kernels/right", "kernels/hang",
         "-n", "1", "--json", "grades.json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        first = next(line for line in process.stderr if line.startswith("["))
        process.send_signal(number)
        said, complaints = process.communicate(timeout=SECONDS)
    assert "kernels/right: passed" in first
    assert process.returncode == 128 + number
    assert "INTERNALERROR" not in said + complaints
    assert "interrupted" in said
    rows = json.loads((tmp_path / "grades.json").read_text())["kernels"]
    assert [row["outcome"] for row in rows] == ["passed", "error"]


def test_a_full_disk_loses_the_files_only(kernels: Path, tmp_path: Path) -> None:
    (tmp_path / "suite" / "test_them.py").write_text("def test_one(rcdbg_kernel): pass")
    full = tmp_path / "full.json"
    full.symlink_to("/dev/full")
    done = grade("suite", "kernels/right", "--json", full, "--junit", "it.xml", cwd=tmp_path)
    assert done.returncode == 2
    assert "1 kernel  1 passed" in done.stdout
    assert f"cannot write {full}" in done.stderr.splitlines()[-1]
    assert ElementTree.parse(tmp_path / "it.xml").getroot().find(".//testcase") is not None
