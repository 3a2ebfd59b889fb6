"""How a project starts its kernel: what its own files say, as students have them."""

import os
from pathlib import Path

import pytest

from rcdbg.cli.project.start import build_of_project, how_it_starts
from rcdbg.errors import UsageError

RUNNER = """
[build]
target = "riscv64gc-unknown-none-elf"

[target.riscv64gc-unknown-none-elf]
runner = ["qemu-system-riscv64", "-machine", "virt", "-bios", "none", "-kernel"]
"""
MAKEFILE = """
QEMU := qemu-system-riscv64
build:
\t@echo building
run: build
\t@$(QEMU) --version | head -1
\t@$(QEMU) -machine virt -nographic -bios fw.bin \\
\t\t-device loader,file=os.bin,addr=0x80200000 > log.txt && echo done
"""


def cargo(folder: Path, *built: str) -> None:
    (folder / ".cargo").mkdir()
    (folder / ".cargo" / "config.toml").write_text(RUNNER)
    (folder / "Cargo.toml").write_text('[package]\nname = "os"\n')
    for number, profile in enumerate(built):
        elf = folder / "target" / "riscv64gc-unknown-none-elf" / profile / "os"
        elf.parent.mkdir(parents=True)
        elf.write_bytes(b"")
        os.utime(elf, (1000 + number, 1000 + number))


def test_nothing_says_so(tmp_path: Path) -> None:
    assert how_it_starts(tmp_path) is None


def test_by_cargos_runner_the_newest_build(tmp_path: Path) -> None:
    cargo(tmp_path, "release", "debug")
    found = how_it_starts(tmp_path)
    assert found is not None
    assert found.source == "the runner in .cargo/config.toml"
    elf = "target/riscv64gc-unknown-none-elf/debug/os"
    assert found.words == (
        *["qemu-system-riscv64", "-machine", "virt", "-bios", "none", "-kernel"],
        elf,
    )


def test_a_kernel_that_is_not_built(tmp_path: Path) -> None:
    cargo(tmp_path)
    with pytest.raises(UsageError, match="os is not built yet: run `cargo build`"):
        how_it_starts(tmp_path)


def test_by_what_make_would_run(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    found = how_it_starts(tmp_path)
    assert found is not None
    assert found.source == "`make -n run`"
    loader = ("-device", "loader,file=os.bin,addr=0x80200000")
    start = ["qemu-system-riscv64", "-machine", "virt", "-nographic", "-bios", "fw.bin"]
    assert found.words == (*start, *loader)
    assert not (tmp_path / "log.txt").exists()


def test_by_its_own_file_before_all_others(tmp_path: Path) -> None:
    cargo(tmp_path, "debug")
    (tmp_path / "rcdbg.toml").write_text("qemu = \"qemu-system-riscv64 -M virt -kernel 'a b'\"")
    found = how_it_starts(tmp_path)
    assert found is not None
    assert found.words == ("qemu-system-riscv64", "-M", "virt", "-kernel", "a b")
    assert found.source == "rcdbg.toml"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("qemu = 3", "has to be a command line"),
        ('qemu = "rm -rf /"', "has to be a command line"),
        ("qemu =", "is no TOML file"),
    ],
)
def test_an_own_file_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "rcdbg.toml").write_text(text)
    with pytest.raises(UsageError, match=why):
        how_it_starts(tmp_path)


@pytest.mark.parametrize("text", ["", "run:\n\t@echo no kernel\n", "run:\n\t@false\n\tbroken"])
def test_a_makefile_that_starts_no_machine(tmp_path: Path, text: str) -> None:
    (tmp_path / "Makefile").write_text(text)
    assert how_it_starts(tmp_path) is None


def test_what_builds_it_by_its_own_file(tmp_path: Path) -> None:
    assert build_of_project(tmp_path) is None
    (tmp_path / "rcdbg.toml").write_text('build = "make os"')
    assert build_of_project(tmp_path) == "make os"
    for wrong in ('build = ""', 'build = ["make"]'):
        (tmp_path / "rcdbg.toml").write_text(wrong)
        with pytest.raises(UsageError, match="build has to be a command"):
            build_of_project(tmp_path)


def test_without_its_own_file(tmp_path: Path) -> None:
    cargo(tmp_path, "debug")
    (tmp_path / "rcdbg.toml").write_text('qemu = "qemu-system-riscv64 -kernel other"')
    found = how_it_starts(tmp_path, own=False)
    assert found is not None
    assert found.source == "the runner in .cargo/config.toml"
