"""rcdbg where its machine is odd: full, closed, without a folder, with hardly any descriptors."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import rcdbg

ROOT = Path(rcdbg.__file__).parents[1]
SECONDS = 60
START = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    "from rcdbg.cli.main import main; sys.exit(main())"
)


def in_shell(
    setting: str, words: Sequence[object], folder: Path, then: str = ""
) -> "subprocess.CompletedProcess[str]":
    command = shlex.join([sys.executable, "-c", START, *map(str, words)])
    return subprocess.run(
        ["/bin/bash", "-c", f"{setting}{command} {then}"], cwd=folder, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture
def words(rcdbg_kernel: Path) -> list[object]:
    return ["show", "context", "--kernel", rcdbg_kernel.absolute()]


@pytest.mark.parametrize(
    ("setting", "then", "said"),
    [
        ("", "> /dev/full", "No space left on device"),
        ("", ">&-", "standard output is closed"),
        ("mkdir gone; cd gone; rmdir ../gone; ", "", "does not exist any more"),
        ("ulimit -f 0; ", "", ""),
        *((f"ulimit -n {number}; ", "", "oo many open files") for number in (6, 7, 8, 10, 13, 16)),
    ],
)
def test_one_line_says_what_is_wrong(
    words: list[object], tmp_path: Path, setting: str, then: str, said: str
) -> None:
    done = in_shell(setting, words, tmp_path, then)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rcdbg: ")
    assert said in line


@pytest.mark.parametrize("then", ["2>&-", "<&-"])
def test_other_streams_may_be_closed(words: list[object], tmp_path: Path, then: str) -> None:
    done = in_shell("", words, tmp_path, then)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sepc" in done.stdout


def test_a_full_disk_leaves_no_snapshot(rcdbg_kernel: Path, tmp_path: Path) -> None:
    # The limit is for each file: rcdbg's own notes fit, RAM and a snapshot do not.
    there = ["snapshot", "it.snap", "--kernel", rcdbg_kernel.absolute()]
    done = in_shell("ulimit -f 8; ", there, tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_number_without_end_in_a_profile(words: list[object], tmp_path: Path) -> None:
    profile = tmp_path / "names.toml"
    profile.write_text(f"[trap]\nentry = {'9' * 5000}\n")
    done = in_shell("", [*words, "--profile", profile], tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "is no TOML file" in done.stderr


def test_ctrl_c_has_words_of_its_own(rcdbg_kernel: Path) -> None:
    # It never comes to that place.
    start = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {START}"
    with subprocess.Popen(
        [sys.executable, "-c", start, "show", "--kernel", str(rcdbg_kernel), "--at", "rust_main:9"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        _await_qemu(process)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=SECONDS)
    assert (process.returncode, said, complaints) == (130, "", "rcdbg: interrupted\n")


def _await_qemu(process: "subprocess.Popen[str]") -> None:
    """Wait until it has a child: its import is over by then."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if children.read_text():
            return
    raise AssertionError("it ended before")
