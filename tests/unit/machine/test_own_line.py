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
    assert (line.machine, line.memory, line.smp, line.cpu) == ("virt", "128M", None, None)
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
    assert (line.memory, line.smp, line.append) == ("1G", "cpus=4,cores=1", "a b")
    assert line.kernel == Path("os")
    assert line.loader is None
    assert line.words == ("-m", "slots=2", "-serial", "file:second", "-no-reboot")
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
        (["qemu-system-riscv64", "-machine", "help"], "-machine help leaves nothing to debug"),
    ],
)
def test_what_is_no_such_line_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(words)


def test_of_options_that_are_unknown_qemu_says_what_is_wrong() -> None:
    line = parse(["qemu-system-riscv64", "--kernel=os", "-no-such", "-kernel", "os", "-append"
                  , "-v", "-last"])  # fmt: skip
    assert line.words == ("--kernel=os", "-no-such", "-last")
    assert (line.kernel, line.append) == (Path("os"), "-v")


def test_machines_properties_add_up() -> None:
    line = parse(["qemu-system-riscv64", "-machine", "virt", "-M", "aclint=on"])
    assert line.machine == "virt,aclint=on"
    assert line.takes_any_cpu
    other = parse(["qemu-system-riscv64", "-M", "virt,aclint=on", "-M", "spike,a=b"])
    assert other.machine == "spike,aclint=on,a=b"
    assert not parse(["qemu-system-riscv64", "-M", "sifive_u"]).takes_any_cpu
    assert parse(["qemu-system-riscv64"]).machine is None, "QEMU's own default"


def test_a_kernel_may_be_all_the_firmware_there_is() -> None:
    assert parse(["qemu-system-riscv64", "-bios", "os"]).is_firmware
    for line in (["-bios", "fw", "-kernel", "os"], ["-bios", "none"], ["-bios", "default"], []):
        assert not parse(["qemu-system-riscv64", *line]).is_firmware


def test_a_disk_that_qemu_cannot_spare_is_told() -> None:
    disk = "driver=raw,node-name=d,file.driver=file,file.filename=fs.img"
    line = parse(["qemu-system-riscv64", "-blockdev", disk, "-blockdev", f"{disk},read-only=on"])
    assert line.changes == (f"-blockdev {disk} is written to: only -drive need not be",)
    assert line.words == ("-blockdev", disk, "-blockdev", f"{disk},read-only=on")


def test_names_are_relative_to_the_folder_of_the_line() -> None:
    folder = Path("/suite")
    assert parse(["qemu-system-riscv64", "-kernel", "os"], folder).kernel == Path("/suite/os")
    assert parse(["./qemu-system-riscv64"], folder).program == "/suite/qemu-system-riscv64"
    assert parse(["qemu-system-riscv64"], folder).program == "qemu-system-riscv64"


def test_what_a_qemu_is_called() -> None:
    assert is_qemu("qemu-system-riscv64")
    assert is_qemu("/usr/local/bin/qemu-system-riscv64-7.0")
    assert not is_qemu("qemu-img")
    assert not is_qemu("show")
