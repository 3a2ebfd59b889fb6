"""What is wrong with a configuration is said before anything is started."""

import stat
from pathlib import Path

import pytest

from rcdbg.errors import MachineError
from rcdbg.machine.qemu.board import parse_memory
from rcdbg.machine.qemu.config import QemuConfig, find_qemu
from rcdbg.machine.qemu.qemu import Qemu


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128M", 128 << 20),
        ("128", 128 << 20),
        ("1g", 1 << 30),
        (" 65536K ", 64 << 20),
        ("8M", 8 << 20),
        ("0.5G", 512 << 20),
        ("8388608b", 8 << 20),
    ],
)
def test_memory_sizes_are_read_as_qemu_does(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write it as"),
        ("lots", "write it as"),
        ("-1M", "write it as"),
        ("1.5.5G", "write it as"),
        ("128MB", "write it as"),
        ("0x80M", "write it as"),
        ("1M", "at least"),
        ("0", "at least"),
        ("8193K", "4 KiB"),
    ],
)
def test_bad_memory_sizes_are_explained(text: str, why: str) -> None:
    with pytest.raises(MachineError, match=why):
        parse_memory(text)


def test_a_missing_qemu_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt install qemu-system-misc"):
        find_qemu()
    with pytest.raises(MachineError, match="not an executable QEMU"):
        find_qemu(str(tmp_path))
    program = tmp_path / "qemu-system-riscv64"
    program.touch()
    program.chmod(stat.S_IRWXU)
    assert find_qemu() == str(program)


def test_a_missing_kernel_is_named(tmp_path: Path) -> None:
    program = tmp_path / "qemu"
    program.touch()
    program.chmod(stat.S_IRWXU)
    with pytest.raises(MachineError, match=r"no kernel image at .*/os: build it"):
        Qemu(QemuConfig(tmp_path / "os", qemu=str(program)))


def test_a_qemu_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    kernel = tmp_path / "os"
    kernel.touch()
    program = tmp_path / "qemu"
    program.write_text("#!/bin/sh\necho warning >&2\necho 'unknown machine type' >&2\nexit 1\n")
    program.chmod(stat.S_IRWXU)
    with pytest.raises(MachineError, match="QEMU did not start: warning\n  unknown machine type"):
        Qemu(QemuConfig(kernel, qemu=str(program)))
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(MachineError, match="it ended with status 3"):
        Qemu(QemuConfig(kernel, qemu=str(program)))
