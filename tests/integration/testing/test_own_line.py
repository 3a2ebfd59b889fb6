"""Tests and grades that boot by a QEMU command line of the teacher's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT
from .test_grade import grade

LINE = (
    "qemu-system-riscv64 -machine virt -m 32M -bios default -nographic"
    " -drive file=fs.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0"
)
IN_A_TEST = f"""
from rcdbg.testing import switch

LINE = "{LINE} -kernel mine -append scenario=preempt"

def test_own(rcdbg_boot):
    run = rcdbg_boot(qemu=LINE, append="threads=2 interval=100000")
    run.expect_order(switch(to=1), switch(to=2), switch(to=1))
    assert run.boot.kernel.name == KERNEL
    assert run.machine.qemu.ram.size == 32 << 20
"""
BY_OPTION = """
from rcdbg.testing import exited

def test_heap(rcdbg_boot):
    run = rcdbg_boot("heap")
    run.until(exited(status=0))
    assert run.machine.qemu.ram.size == 32 << 20
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A teacher's folder, with a disk image in it."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "fs.img").write_bytes(bytes(4096))
    return folder


def pytest_in(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import pytest; sys.exit(pytest.main())"
    return subprocess.run(
        [sys.executable, "-c", start, "-p", "no:asyncio", "-p", "no:cacheprovider", *options],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def test_a_test_may_have_a_line_of_its_own(suite: Path, tmp_path: Path, rcdbg_kernel: Path) -> None:
    """Its files lie beside the test, wherever pytest is started; --rcdbg-kernel comes first."""
    shutil.copy2(rcdbg_kernel, suite / "mine")
    (suite / "test_mine.py").write_text(IN_A_TEST.replace("KERNEL", "'mine'"))
    done = pytest_in(tmp_path, "suite")
    assert "1 passed" in done.stdout, done.stdout
    (suite / "mine").unlink()
    (suite / "test_mine.py").write_text(IN_A_TEST.replace("KERNEL", f"'{rcdbg_kernel.name}'"))
    done = pytest_in(tmp_path, "suite", f"--rcdbg-kernel={rcdbg_kernel.absolute()}")
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("kernel", ["mine", "{kernel}"])
def test_the_line_may_be_an_option_or_stand_in_the_ini_file(
    suite: Path, tmp_path: Path, rcdbg_kernel: Path, kernel: str
) -> None:
    (suite / "test_mine.py").write_text(BY_OPTION)
    named = [f"--rcdbg-kernel={rcdbg_kernel.absolute()}"] if kernel == "{kernel}" else []
    shutil.copy2(rcdbg_kernel, suite / "mine")
    done = pytest_in(suite, f"--rcdbg-qemu={LINE} -kernel {kernel}", *named)
    assert "1 passed" in done.stdout, done.stdout
    (suite / "pytest.ini").write_text(f"[pytest]\nrcdbg_qemu = {LINE} -kernel {kernel}\n")
    done = pytest_in(tmp_path, "suite", *named)
    assert "1 passed" in done.stdout, done.stdout
    if named:
        assert "is for any {kernel}: name it with --rcdbg-kernel" in pytest_in(suite).stdout


def test_what_a_line_changes_is_a_warning_and_a_wrong_one_a_failure(
    suite: Path, rcdbg_kernel: Path
) -> None:
    (suite / "test_mine.py").write_text(BY_OPTION)
    kernel = f"--rcdbg-kernel={rcdbg_kernel.absolute()}"
    done = pytest_in(suite, kernel, f"--rcdbg-qemu={LINE} -s -kernel x")
    assert "UserWarning: QEMU's -s is left out: the gdb stub is rcdbg's" in done.stdout
    assert "1 passed" in done.stdout
    done = pytest_in(suite, kernel, "--rcdbg-qemu=rm -rf /")
    assert "comes a QEMU command line, and not 'rm'" in done.stdout
    done = pytest_in(suite, kernel, f"--rcdbg-qemu={LINE} -device no-such")
    assert "'no-such' is not a valid device model name" in done.stdout


TRAPS = {
    "Makefile": "$(shell touch ../../ran)\nrun build:\n\ttouch ../../ran\n",
    "rcdbg.toml": 'qemu = "qemu-system-riscv64 -kernel no-such"\nbuild = "touch ../../ran"\n',
    "build.rs": 'fn main() { std::fs::write("../../ran", "").unwrap(); }\n',
    "Cargo.toml": '[package]\nname = "os"\nversion = "0.1.0"\n',
    ".cargo/config.toml": '[build]\nrustc = "touch"\ntarget = "x"\n[target.x]\nrunner = "touch"\n',
    "conftest.py": "open('../../ran', 'w')\n",
    "pytest.ini": "[pytest]\naddopts = --no-such-option\nrcdbg_qemu = touch ../../ran\n",
}


@pytest.mark.parametrize("inside", [False, True], ids=["beside them", "in their folder"])
def test_grading_runs_the_kernels_and_nothing_else_of_a_student(
    suite: Path, tmp_path: Path, rcdbg_kernel: Path, inside: bool
) -> None:
    (suite / "test_mine.py").write_text(BY_OPTION)
    for name in ("ada", "brian"):
        folder = tmp_path / "students" / name
        for trap, text in TRAPS.items():
            (folder / trap).parent.mkdir(parents=True, exist_ok=True)
            (folder / trap).write_text(text)
        shutil.copy2(rcdbg_kernel, folder / "os")
    line = ["--", *LINE.replace("fs.img", str(suite / "fs.img")).split(), "-kernel", "mine"]
    cwd = tmp_path / "students" / "ada" if inside else tmp_path
    kernels = ["os", "../brian/os"] if inside else ["students/ada/os", "students/brian/os"]
    report = tmp_path / "grades.json"
    done = grade(suite, *kernels, "-n", "1", "--json", report, *line, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(report.read_text())["kernels"]
    assert [row["passed"] for row in rows] == [1, 1]
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "students" / "ran").exists()


def test_a_grade_without_such_a_line_is_refused_in_one(suite: Path, rcdbg_kernel: Path) -> None:
    (suite / "test_mine.py").write_text(BY_OPTION)
    done = grade(suite, rcdbg_kernel.absolute(), "--", "make", "run", cwd=suite)
    assert done.returncode == 2
    assert done.stderr == "rcdbg: after -- comes a QEMU command line, and not 'make'\n"
