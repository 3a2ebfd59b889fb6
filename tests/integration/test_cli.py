"""The command line as a user meets it: a process, its two outputs and its exit status."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rcdbg.image.elf import load_image
from tests.support.variants import ROOT

TIMEOUT = 120


def rcdbg(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, **(env or {})},
    )


@pytest.fixture
def kernel(rcdbg_kernel: Path) -> tuple[str, str]:
    return ("--kernel", str(rcdbg_kernel))


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("context", ["sepc", "sstatus", "handling a trap"]),
        ("csr", ["satp", "Sv39", "stvec"]),
        ("pagetable", ["r-x", "rw-", "0xffffffff80200000"]),
        ("frames", ["free"]),
        ("threads", ["running", "ready"]),
        ("owners", ["level 2 table", "stack of thread 1", "0 nobody's"]),
        ("heap", ["largest allocation", "4 MiB"]),
    ],
)
def test_show(kernel: tuple[str, str], subject: str, words: list[str]) -> None:
    done = rcdbg("show", subject, "--scenario", "preempt", *kernel)
    assert (done.returncode, done.stderr) == (0, "")
    for word in words:
        assert word in done.stdout


def test_without_a_terminal_the_full_report_is_printed(kernel: tuple[str, str]) -> None:
    done = rcdbg("--scenario", "preempt", *kernel)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("Context", "CSRs", "Page table", "Frames", "Threads"):
        assert word in done.stdout


def test_json(kernel: tuple[str, str]) -> None:
    done = rcdbg(
        "show", "all", "--scenario", "preempt", "--at", "handle_interrupt:3", "--json", *kernel
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    state = document["state"]
    assert state["threads"]["current"]["status"] == "running"
    assert [t["position"] for t in state["threads"]["ready"]] == [0, 1]
    assert state["trap"]["cause"] == "supervisor timer interrupt"
    assert state["trap"]["context"]["sepc"]["address"] == state["hart"]["csrs"]["sepc"]["value"]
    assert state["page_table"]["mode"] == "Sv39"
    assert (
        state["frames"]["used"] + sum(i["end"] - i["start"] for i in state["frames"]["free"])
        == (state["frames"]["total"])
    )


def test_options_may_stand_before_the_command(kernel: tuple[str, str]) -> None:
    done = rcdbg(*kernel, "--memory", "1G", "show", "frames", "--json", "--scenario", "preempt")
    assert done.returncode == 0, done.stderr
    managed = json.loads(done.stdout)["frames"]["managed"]
    assert managed["end"] == 0xC0000


def test_walk(kernel: tuple[str, str]) -> None:
    done = rcdbg("walk", "handle_interrupt", "--json", "--scenario", "preempt", *kernel)
    assert (done.returncode, done.stderr) == (0, "")
    walk = json.loads(done.stdout)["walk"]
    assert int(walk["physical"], 16) == int(walk["address"], 16) - 0xFFFF_FFFF_0000_0000
    assert [s["level"] for s in walk["steps"]] == [2, 1, 0]
    assert walk["symbol"]["symbol"].endswith("handle_interrupt")


def test_walk_of_an_unmapped_address_says_where_it_ends(kernel: tuple[str, str]) -> None:
    done = rcdbg("walk", "0x1234", "--scenario", "preempt", *kernel)
    assert done.returncode == 0
    assert "not valid" in done.stdout


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("rcdbg: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_missing_elf(tmp_path: Path) -> None:
    assert "nowhere" in one_line(rcdbg("show", "--kernel", tmp_path / "nowhere"))


def test_foreign_elf() -> None:
    assert "RISC-V" in one_line(rcdbg("show", "--kernel", Path(sys.executable).resolve()))


def test_not_an_elf(rcdbg_kernel: Path) -> None:
    assert "raw memory image" in one_line(
        rcdbg("show", "--kernel", rcdbg_kernel.with_name("kernel.bin"))
    )


def test_no_debug_info(rcdbg_kernel: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "os"
    subprocess.run(["llvm-objcopy", "--strip-debug", rcdbg_kernel, stripped], check=True)
    said = one_line(rcdbg("show", "threads", "--scenario", "preempt", "--kernel", stripped))
    assert "debug" in said


def test_missing_qemu(kernel: tuple[str, str]) -> None:
    assert "/nowhere/qemu" in one_line(rcdbg("show", "--qemu", "/nowhere/qemu", *kernel))


def test_no_qemu_in_path(kernel: tuple[str, str], tmp_path: Path) -> None:
    said = one_line(rcdbg("show", *kernel, env={"PATH": str(tmp_path)}))
    assert "apt install" in said


def test_unknown_scenario(kernel: tuple[str, str]) -> None:
    said = one_line(rcdbg("show", "--scenario", "nonsense", *kernel))
    assert "nonsense" in said
    assert "preempt" in said, "the known ones are named"


@pytest.mark.parametrize("place", ["handle_interupt", "no_such_thing", "handle_interrupt:0"])
def test_unknown_place(kernel: tuple[str, str], place: str) -> None:
    said = one_line(rcdbg("show", "--at", place, *kernel))
    assert "handle_inter" in said or "no_such_thing" in said


def test_a_misspelt_symbol_is_answered_with_the_right_one(kernel: tuple[str, str]) -> None:
    assert "handle_interrupt" in one_line(rcdbg("show", "--at", "handle_interupt", *kernel))


def test_a_place_that_is_never_reached(kernel: tuple[str, str]) -> None:
    said = one_line(
        rcdbg("show", "--at", "rust_main:2", "--timeout", "2", "--scenario", "preempt", *kernel)
    )
    assert "did not come within 2 s" in said


def test_elf_that_is_not_the_running_kernel(rcdbg_kernel: Path, tmp_path: Path) -> None:
    """A QEMU line boots an image that was built from something else."""
    mine = bytes.fromhex(load_image(rcdbg_kernel).build_id)
    other = tmp_path / "kernel.bin"
    image = rcdbg_kernel.with_name("kernel.bin").read_bytes()
    other.write_bytes(image.replace(mine, mine[::-1]))
    line = ("--", "qemu-system-riscv64", "-machine", "virt", "-kernel", str(other))
    says = one_line(rcdbg("show", "--kernel", rcdbg_kernel, *line))
    assert "is not the kernel that runs" in says
    assert "none beside it has its bytes: name it with --kernel" in one_line(rcdbg("show", *line))


@pytest.mark.parametrize("memory", ["12X", "1M", "", "-5M"])
def test_bad_memory_size(kernel: tuple[str, str], memory: str) -> None:
    assert "memory" in one_line(rcdbg("show", f"--memory={memory}", *kernel))


def test_a_panic_on_the_way_is_shown_and_said(kernel: tuple[str, str]) -> None:
    """What is right is where the scenario's source gives up."""
    done = rcdbg("show", "backtrace", *kernel, "--scenario", "panic", "--at", "handle_interrupt")
    assert done.returncode == 0
    place = re.fullmatch(
        r"rcdbg: the kernel panics at (\S+):(\d+):\d+, before handle_interrupt: .*\n", done.stderr
    )
    assert place is not None
    source = (ROOT / "kernel" / place[1]).read_text().splitlines()
    assert "panic!(" in source[int(place[2]) - 1]
    assert f"{place[1]}:{place[2]}" in done.stdout
    asked = rcdbg("show", "context", *kernel, "--scenario", "panic", "--at", "rust_begin_unwind")
    assert (asked.returncode, asked.stderr) == (0, "")
