"""The user's own QEMU command line, behind `--` or as cargo's runner."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rcdbg.errors import UsageError
from rcdbg.image.elf import load_image
from rcdbg.machine.qemu.own_line import parse
from rcdbg.machine.qemu.qemu import Qemu
from rcdbg.trace.run import Boot

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


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk image, as cargo would leave it beside the kernel."""
    path = tmp_path / "fs.img"
    path.write_bytes(b"\x5a" * 65536)
    return path


VIRTIO = ("-device", "virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0")
ODD_LINES = {
    "loader": "-machine virt -kernel OS -device loader,file=FS,addr=0x84000000,force-raw=on",
    "loaded": "-machine virt -bios default -device loader,file=OS -kernel OS",
    "virtio": "-M virt -kernel OS -drive file=FS,if=virtio,format=raw",
    "blockdev": "-M virt -kernel OS -blockdev driver=raw,node-name=x0,read-only=on,"
    "file.driver=file,file.filename=FS -device virtio-blk-device,drive=x0",
    "monitor": "-machine virt -kernel OS -display none -serial mon:stdio -gdb tcp::1234 -S",
    "stdio": "-machine virt -nographic -serial stdio -kernel OS -append scenario=timer",
    "chardev": "-M virt -kernel OS -chardev stdio,id=c0,mux=on -serial chardev:c0 -mon c0",
    "memory": "-machine virt -m size=0.25G,slots=1,maxmem=1G --kernel OS",
    "harts": "-machine virt -smp sockets=1,cores=2 -kernel OS",
    "twice": "-machine virt -machine aclint=on -kernel OS -cpu rv64,v=true",
    "devices": "-M virt -kernel OS -netdev user,id=n -device virtio-net-device,netdev=n"
    " -device virtio-gpu-device -vga none -rtc base=localtime -global"
    " virtio-mmio.force-legacy=false",
    "config": "-readconfig CONFIG -kernel OS",
    "other": "-machine sifive_u -smp 2 -kernel OS",
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=list(ODD_LINES))
def test_odd_lines_boot_as_qemu_boots_them(
    line: str, rcdbg_kernel: Path, disk: Path, tmp_path: Path
) -> None:
    config = tmp_path / "machine.cfg"
    config.write_text('[machine]\n  type = "virt"\n')
    names = {"OS": str(rcdbg_kernel), "FS": str(disk), "CONFIG": str(config)}
    words = [re.sub("OS|FS|CONFIG", lambda found: names[found[0]], word) for word in line.split()]
    if "sifive_u" in line:
        at = f"{load_image(rcdbg_kernel).entry & 0xFFFF_FFFF:#x}"
        done = rcdbg("show", "csr", "--at", at, "--", QEMU[0], *words)
    else:
        done = rcdbg("show", "csr", "--", QEMU[0], *words)
        assert "satp" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
    assert disk.read_bytes() == b"\x5a" * 65536


@pytest.mark.parametrize(
    "wrong",
    [
        ("-device", "no-such-device"),
        ("-drive", "file=no-such.img,if=none,format=raw,id=x0", *VIRTIO),
        ("-frobnicate",),
        ("--kernel=os",),
        ("-smp", "cpus=4,sockets=3,cores=2"),
        ("-rtc", "base=yesterday"),
        ("-bios", "no-such.bin"),
        ("-readconfig", "no-such.cfg"),
        ("-append", "x", "-initrd", "no-such.img"),
        ("-machine", "virtual"),
    ],
)
def test_qemus_own_complaints_are_shown_whole(rcdbg_kernel: Path, wrong: tuple[str, ...]) -> None:
    line = (QEMU[0], "-machine", "virt", "-kernel", str(rcdbg_kernel), *wrong)
    alone = subprocess.run(
        [*line, "-display", "none", "-S"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    done = rcdbg("show", "csr", "--", *line)
    assert done.returncode == 2
    assert alone.stderr, "QEMU itself takes it"
    for complaint in alone.stderr.splitlines():
        assert complaint.removeprefix(f"{QEMU[0]}: ") in done.stderr
    assert len(done.stderr.splitlines()) == len(alone.stderr.splitlines())


@pytest.mark.parametrize(("asked", "is_opened"), [("", False), (",snapshot=off", True)])
def test_a_disk_is_written_to_only_where_its_drive_says_so(
    rcdbg_kernel: Path, disk: Path, asked: str, is_opened: bool
) -> None:
    """By QEMU's own account of which file a write would go to."""
    drive = f"file={disk},if=none,format=raw,id=x0{asked}"
    line = parse([*QEMU, "-kernel", str(rcdbg_kernel), "-drive", drive, *VIRTIO])
    with Qemu(Boot(rcdbg_kernel, own=line).config()) as qemu:
        found: Any = qemu.monitor.execute("query-block")
    written = [d["inserted"]["image"]["filename"] for d in found if "inserted" in d]
    assert (written == [str(disk)]) is is_opened


def test_what_qemu_prints_as_help_is_no_machine() -> None:
    done = rcdbg("show", "csr", "--", QEMU[0], "-machine", "help")
    assert (done.returncode, "leaves nothing to debug" in done.stderr) == (2, True)


def test_every_option_without_an_argument_is_known_to_take_none() -> None:
    """By QEMU's own list of options: `-name   what it does`, or `-name argument  what it does`."""
    listed = subprocess.run([QEMU[0], "-help"], capture_output=True, text=True, check=True).stdout
    flags = re.findall(r"^(-[\w-]+)(?: {2,}|\n|$)(?!.*=)", listed, re.MULTILINE)
    assert {"-S", "-nographic", "-snapshot"} <= {*flags}
    # Of -dtb, the list has the argument where others have what they do.
    for flag in {*flags} - {"-h", "-help", "-version", "-daemonize", "-dtb"}:
        assert parse([QEMU[0], flag, "-kernel", "os"]).kernel == Path("os"), flag
        with pytest.raises(UsageError, match="follows no option"):
            parse([QEMU[0], flag, "os"])


def test_a_place_may_be_an_address(rcdbg_kernel: Path) -> None:
    entry = f"{load_image(rcdbg_kernel).symbols.address_of('handle_interrupt'):#x}"
    at = rcdbg("show", "csr", "--json", "--kernel", str(rcdbg_kernel), "--at", entry)
    named = rcdbg("show", "csr", "--json", "--kernel", str(rcdbg_kernel))
    assert json.loads(at.stdout)["csrs"]["sepc"] == json.loads(named.stdout)["csrs"]["sepc"]
    bad = rcdbg("show", "csr", "--kernel", str(rcdbg_kernel), "--at", "0x1ffff0000ffff0000")
    assert bad.returncode == 2
    assert "is not a 64-bit address" in bad.stderr
