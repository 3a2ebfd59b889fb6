"""The user's own QEMU command line, behind `--` or as cargo's runner."""

import json
import subprocess
import sys
from pathlib import Path

from rcdbg.image.elf import load_image

QEMU = ("qemu-system-riscv64", "-machine", "virt", "-nographic", "-bios", "default")
KERNELS_LINE = ("-append", "scenario=preempt interval=20000")


def rcdbg(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def threads(*arguments: str) -> object:
    done = rcdbg("show", "threads", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["threads"]
    return [found["current"]["id"], [thread["id"] for thread in found["ready"]]]


def test_whichever_way_it_is_said_the_same_kernel_is_booted(rcdbg_kernel: Path) -> None:
    at = ("--at", "handle_interrupt:3")
    usual = threads("--kernel", str(rcdbg_kernel), "--append", KERNELS_LINE[1], *at)
    assert usual == threads(*at, "--", *QEMU, "-kernel", str(rcdbg_kernel), *KERNELS_LINE)
    # Of the raw image, the ELF beside it is known by its bytes.
    raw = str(rcdbg_kernel.with_name("kernel.bin"))
    assert usual == threads(*at, "--", *QEMU, "-kernel", raw, *KERNELS_LINE)


def test_what_is_not_done_as_it_was_said_is_told(rcdbg_kernel: Path) -> None:
    line = (*QEMU, "-kernel", str(rcdbg_kernel), "-s", "-S", *KERNELS_LINE)
    done = rcdbg("show", "csr", "--", *line)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "rcdbg: QEMU's -s is left out: the gdb stub is rcdbg's",
        "rcdbg: QEMU's -S is left out: rcdbg holds the kernel at its start",
    ]
    # As cargo's runner, it is put before the words; without a terminal it reports.
    assert "satp" in rcdbg(*line).stdout


def test_qemus_own_complaints_are_shown(rcdbg_kernel: Path) -> None:
    line = (*QEMU, "-kernel", str(rcdbg_kernel), "-device", "no-such-device")
    done = rcdbg("show", "csr", "--", *line)
    assert done.returncode == 2
    assert "no-such-device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_place_may_be_an_address(rcdbg_kernel: Path) -> None:
    entry = f"{load_image(rcdbg_kernel).symbols.address_of('handle_interrupt'):#x}"
    at = rcdbg("show", "csr", "--json", "--kernel", str(rcdbg_kernel), "--at", entry)
    named = rcdbg("show", "csr", "--json", "--kernel", str(rcdbg_kernel))
    assert json.loads(at.stdout)["csrs"]["sepc"] == json.loads(named.stdout)["csrs"]["sepc"]
    bad = rcdbg("show", "csr", "--kernel", str(rcdbg_kernel), "--at", "0x1ffff0000ffff0000")
    assert bad.returncode == 2
    assert "is not a 64-bit address" in bad.stderr
