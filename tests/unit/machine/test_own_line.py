"""A user's QEMU command line: what is taken over, what is left out, and what is said of it."""

import shlex
from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.machine.qemu.own_line import is_qemu, parse


def test_a_line_as_the_camps_have_it() -> None:
    line = parse(shlex.split(
        "qemu-system-riscv64 -machine virt -nographic -bios ../bootloader/rustsbi-qemu.bin"
        " -device loader,file=os.bin,addr=0x80200000"
        " -drive file=fs.img,if=none,format=raw,id=x0"
        " -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0"
    ))  # fmt: skip
    assert line.kernel == Path("os.bin")
    assert line.loader == "addr=0x80200000"
    assert line.bios == "../bootloader/rustsbi-qemu.bin"
    assert (line.machine, line.memory, line.harts, line.cpu) == ("virt", "128M", 1, None)
    assert line.words == (
        *("-drive", "file=fs.img,if=none,format=raw,id=x0"),
        *("-device", "virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0"),
        "-snapshot",
    )
    assert line.changes == ()


def test_what_is_rcdbgs_own_is_left_out_and_said() -> None:
    line = parse(shlex.split(
        "/opt/qemu/bin/qemu-system-riscv64 -M virt,aclint=on -m size=1G,slots=2 -smp cpus=4,cores=1"
        " --kernel os -s -S -gdb tcp::1234 -serial stdio -serial file:second -monitor none -d int"
        " -append 'a b' -no-reboot"
    ))  # fmt: skip
    assert line.program == "/opt/qemu/bin/qemu-system-riscv64"
    assert line.machine == "virt,aclint=on"
    assert (line.memory, line.harts, line.append) == ("1G", 4, "a b")
    assert line.kernel == Path("os")
    assert line.loader is None
    assert line.words == ("-serial", "file:second", "-no-reboot")
    said = [change.split(" is ")[0] for change in line.changes]
    assert said == ["-s", "-S", "-gdb tcp::1234", "-d int"]


def test_of_two_images_the_kernel_is_the_one_that_qemu_calls_so() -> None:
    line = parse(
        ["qemu-system-riscv64", "-device", "loader,file=fs,addr=0x84000000", "-kernel", "os"]
    )
    assert line.kernel == Path("os")
    assert line.words == ("-device", "loader,file=fs,addr=0x84000000")


def test_a_disk_that_shall_be_written_to_is() -> None:
    """QEMU's -snapshot leaves drives alone that say otherwise (blockdev.c)."""
    own = "file=fs.img,snapshot=off"
    assert parse(["qemu-system-riscv64", "-drive", own]).words == ("-drive", own, "-snapshot")
    assert parse(["qemu-system-riscv64", "-snapshot"]).words == ("-snapshot",)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "after -- comes a QEMU command line"),
        (["echo"], "and not 'echo'"),
        (["qemu-system-riscv64", "os"], "'os' follows no option"),
        (["qemu-system-riscv64", "-kernel"], "-kernel wants an argument"),
        (["qemu-system-riscv64", "-daemonize"], "-daemonize leaves nothing to debug"),
        (["qemu-system-riscv64", "-smp", "many"], "-smp many"),
    ],
)
def test_what_is_no_such_line_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(words)


def test_what_a_qemu_is_called() -> None:
    assert is_qemu("qemu-system-riscv64")
    assert is_qemu("/usr/local/bin/qemu-system-riscv64-7.0")
    assert not is_qemu("qemu-img")
    assert not is_qemu("show")
