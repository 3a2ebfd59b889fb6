"""Other ways to ask than the decoders: default stop, gdb, snapshots, on each shape of kernel."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shapes import MEMORY, SOURCE, build

QEMU = ("qemu-system-riscv64", "-machine", "virt", "-nographic")
PROGRAMS = {"ch3": 0x80400000, "ch4": 0x10000, "ch5": 0x10000, "ch8": 0x10000, "xv6": 0}
"""Where the first user program begins."""


@pytest.fixture(scope="module")
def xv6(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kernel = tmp_path_factory.mktemp("xv6") / "kernel"
    subprocess.run([SOURCE / "xv6" / "build.sh", kernel, "-O1"], check=True)
    return kernel


@pytest.fixture(params=list(PROGRAMS))
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def line(shape: str, request: pytest.FixtureRequest) -> tuple[str, ...]:
    if shape == "xv6":
        kernel = request.getfixturevalue("xv6")
        return (*QEMU, "-m", "16M", "-smp", "3", "-bios", "none", "-kernel", str(kernel))
    elf = build("v3", "--release") / shape
    return (*QEMU, "-m", MEMORY, "-bios", "default", "-kernel", str(elf))


def rcdbg(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_default_stop_is_the_first_trap_of_the_first_program(
    shape: str, line: tuple[str, ...], tmp_path: Path
) -> None:
    file = str(tmp_path / "it.snap")
    rcdbg("snapshot", file, "--", *line)
    state = json.loads(rcdbg("show", "all", "--json", "--snapshot", file))["state"]
    sepc = int(state["trap"]["context"]["sepc"]["address"], 16)
    assert PROGRAMS[shape] <= sepc < PROGRAMS[shape] + 0x1000
    assert state["threads"]["current"] is not None


def test_gdb_goes_from_trap_to_switch_and_back(shape: str, line: tuple[str, ...]) -> None:
    words = ("rc next-trap", "rc next-switch", "rc until-sret", "rc next-switch", "rc until-sret")
    said = rcdbg("gdb", "--batch", *(word for w in words for word in ("-x", w)), "--", *line)
    told = [text for text in said.splitlines() if text.startswith("rcdbg: ")]
    assert len(told) == len(words), said
    for text in told[1::2]:
        assert re.search(r"(gave way to thread|goes on)", text), said
    for text in told[2::2]:
        back = re.search(r"back at 0x([0-9a-f]+)", text)
        assert back is not None, said
        assert 0 <= int(back[1], 16) - PROGRAMS[shape] < 0x80000, said
