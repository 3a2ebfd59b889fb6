"""One QEMU command line for many kernels: what of it is replaced, and what is not."""

from pathlib import Path

import pytest

from rcdbg.errors import UsageError
from rcdbg.trace.own_boot import elf_booted, line_for, with_symbols_of, words_of

FOLDER = Path("/suite")
QEMU = ("qemu-system-riscv64", "-machine", "virt")


def test_the_kernel_of_the_line_is_replaced_and_nothing_else() -> None:
    words = (*QEMU, "-kernel", "mine", "-drive", "file=fs.img,if=none")
    own = line_for(words, Path("/theirs/os"), FOLDER)
    assert own.kernel == Path("/theirs/os")
    assert own.words == ("-drive", "file=fs.img,if=none", "-snapshot")
    assert own.folder == FOLDER


def test_a_kernel_that_is_loaded_is_replaced_where_it_is_loaded() -> None:
    words = (*QEMU, "-bios", "fw.bin", "-device", "loader,file=os.bin,addr=0x80200000")
    own = line_for(words, Path("/theirs/os"), FOLDER)
    assert (own.kernel, own.loader) == (Path("/theirs/os"), "addr=0x80200000")
    assert own.bios == "fw.bin"


def test_of_a_firmware_alone_the_kernel_is_qemus_own() -> None:
    own = line_for((*QEMU, "-bios", "fw.bin"), Path("/theirs/os"), FOLDER)
    assert own.kernel is None
    assert not own.is_firmware
    placed = line_for((*QEMU, "-bios", "{kernel}"), Path("/theirs/os"), FOLDER)
    assert placed.kernel == Path("/theirs/os")
    assert placed.is_firmware


def test_the_place_of_the_kernel_may_be_anywhere() -> None:
    words = (*QEMU, "-kernel", "{kernel}", "-drive", "file={kernel}.img,if=none")
    own = line_for(words, Path("/a,b/os"), FOLDER)
    assert own.kernel == Path("/a,b/os")
    # QEMU takes two commas for one (QEMU manual, "Invocation").
    assert own.words[1] == "file=/a,,b/os.img,if=none"


def test_relative_kernels_are_where_the_caller_is() -> None:
    own = line_for((*QEMU, "-kernel", "mine"), Path("os"), FOLDER)
    assert own.kernel == Path.cwd() / "os"


def test_a_line_as_text() -> None:
    assert words_of("a 'b c'") == ("a", "b c")
    assert words_of(["a", "b c"]) == ("a", "b c")
    with pytest.raises(UsageError, match="is no command line"):
        words_of("a 'b")


def test_a_line_without_a_kernel_wants_one() -> None:
    with pytest.raises(UsageError, match="boots no kernel: name its ELF with --kernel"):
        elf_booted(line_for(QEMU, Path("os"), FOLDER))


def test_a_kernel_named_beside_a_firmware_is_booted_by_it(tmp_path: Path) -> None:
    firmware, elf = tmp_path / "fw.bin", tmp_path / "os"
    firmware.write_bytes(b"firmware")
    elf.write_bytes(b"\x7fELF")
    own = line_for((*QEMU, "-bios", "{kernel}"), firmware, tmp_path)
    assert with_symbols_of(own, elf).kernel is None
    same = tmp_path / "same"
    same.write_bytes(b"\x7fELF")
    own = line_for((*QEMU, "-bios", "{kernel}"), same, tmp_path)
    assert with_symbols_of(own, elf).kernel == same
