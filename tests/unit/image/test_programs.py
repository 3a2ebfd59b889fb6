"""Programs for U-mode: in a kernel's data, on a disk, in a folder; and what is no program."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image, image_of
from rcdbg.image.programs.embedded import MAX_EMBEDDED, embedded
from rcdbg.image.programs.folder import builds_of
from rcdbg.image.programs.program import Program
from rcdbg.image.programs.shelf import programs_of
from tests.support import disks
from tests.unit.image import build
from tests.unit.image.build import BASE, LOADED, Section, Symbol

START = 0x1_0000


def program(code: bytes, name: str = "", *, constants: bytes = b"") -> bytes:
    """A program with that code at 0x10000; made of the source file `name`, if it has one."""
    loads = [(START, START, code, len(code), 5)]
    if constants:
        loads.append((START + 0x1000, START + 0x1000, constants, len(constants), 4))
    symbols = [Symbol(f"{name}.5f3e-cgu.0", 0, kind=4, section=0xFFF1)] if name else []
    symbols.append(Symbol("_start", START, len(code)))
    sections = [Section(".text", address=START, flags="ax", size=len(code))]
    return build.Elf(loads, sections, symbols, entry=START).bytes()


def kernel(data: bytes, symbols: list[Symbol] | None = None) -> Image:
    """A kernel with that data at BASE + 0x1000."""
    loads = [
        (BASE, LOADED, bytes(64), 64, 5),
        (BASE + 0x1000, LOADED + 0x1000, data, len(data), 6),
    ]
    sections = [
        Section(".text", address=BASE, flags="ax", size=64),
        Section(".data", address=BASE + 0x1000, flags="wa", size=len(data)),
    ]
    return image_of(build.Elf(loads, sections, symbols or []).bytes(), Path("os"))


def test_elves_in_the_kernels_data_are_found_with_their_sizes() -> None:
    first, second = program(b"first" * 8), program(b"second" * 20)
    # A magic number alone, and a header that promises more than there is, are none.
    data = b"\x7fELF" + bytes(60) + first + b"gap" + second + first[: len(first) // 2]
    found = embedded(kernel(data))
    places = [(elf.address - BASE - 0x1000, elf.size) for elf in found]
    assert places == [(64, len(first)), (64 + len(first) + 3, len(second))]


def test_no_more_of_them_than_can_be() -> None:
    assert len(embedded(kernel(program(b"same") * (MAX_EMBEDDED + 3)))) == MAX_EMBEDDED


def test_they_are_called_by_the_source_file_that_only_they_have() -> None:
    data = program(b"1" * 32, "hello") + program(b"2" * 32, "power")
    assert [p.name for p in programs_of(kernel(data)).programs] == ["hello", "power"]


def test_or_by_the_symbol_where_they_begin() -> None:
    one = program(b"1" * 32)
    symbols = [
        Symbol("app_0_start", BASE + 0x1000, kind=0, section=2),
        Symbol("app_1_start", BASE + 0x1000 + len(one), kind=0, section=2),
    ]
    found = programs_of(kernel(one + one, symbols)).programs
    assert [(p.name, p.origin) for p in found] == [
        ("app_0", "in the kernel"),
        ("app_1", "in the kernel"),
    ]


def test_what_of_a_program_can_be_compared() -> None:
    data = program(b"code" * 9, constants=b"constants")
    (found,) = programs_of(kernel(data)).programs
    assert [(p.address, p.content, p.is_code) for p in found.pieces] == [
        (START, b"code" * 9, True),
        (START + 0x1000, b"constants", False),
    ]
    assert found.image.symbols.at(START + 2) == ("_start", 2)


@pytest.mark.parametrize("write", [disks.easy_fs, disks.xv6_fs, disks.sfs])
def test_programs_on_a_disk(write: Callable[[dict[str, bytes]], bytes], tmp_path: Path) -> None:
    # Through direct blocks, indirect ones, and where there are such, doubly indirect ones.
    sizes = {"tiny": 0, "small": 5000, "large": 60_000, "huge": 200_000}
    files = {name: program(name.encode() * 8 + bytes(size)) for name, size in sizes.items()}
    disk = tmp_path / "fs.img"
    disk.write_bytes(write({"README": b"no program", **files}))
    shelf = programs_of(kernel(bytes(64)))
    shelf.look_in([disk])
    assert {p.name: p.contents() for p in shelf.programs} == files
    assert {p.origin for p in shelf.programs} == {"in fs.img"}
    assert shelf.problems == ()


@pytest.mark.parametrize("write", [disks.easy_fs, disks.xv6_fs, disks.sfs])
@given(place=st.integers(0, 30_000), word=st.integers(0, (1 << 32) - 1))
@settings(max_examples=60, deadline=None)
def test_a_damaged_disk_ends_with_problems(
    write: Callable[[dict[str, bytes]], bytes],
    place: int,
    word: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = bytearray(write({"one": program(b"1" * 20_000), "two": program(b"2" * 40)}))
    struct.pack_into("<I", data, min(place, len(data) - 4) & -4, word)
    disk = tmp_path_factory.mktemp("disk") / "fs.img"
    disk.write_bytes(data)
    shelf = programs_of(kernel(bytes(64)))
    shelf.look_in([disk])
    for found in shelf.programs:
        assert _reads(found) in (True, False)


def _reads(found: Program) -> bool:
    try:
        return bool(found.pieces)
    except ImageError:
        return False


def test_a_disk_that_is_cut_off_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "fs.img"
    disk.write_bytes(disks.easy_fs({"one": program(b"1" * 40)})[:5000])
    shelf = programs_of(kernel(bytes(64)))
    shelf.look_in([disk])
    assert shelf.programs == ()
    (problem,) = shelf.problems
    assert problem.startswith("fs.img: ")


def test_programs_that_cargo_has_built(tmp_path: Path) -> None:
    build_folder = tmp_path / "user/target/riscv64gc-unknown-none-elf/release"
    build_folder.mkdir(parents=True)
    (build_folder / "hello").write_bytes(program(b"hello" * 8))
    (build_folder / "hello.d").write_text("hello: src/bin/hello.rs")
    assert builds_of(tmp_path / "user") == [build_folder]
    shelf = programs_of(kernel(bytes(64)))
    shelf.look_in([tmp_path / "user"])
    assert [p.name for p in shelf.programs] == ["hello"]
    (build_folder / "hello").unlink()
    with pytest.raises(ImageError, match="does not exist"):
        _ = shelf.programs[0].pieces


def test_the_crate_beside_the_kernels_is_looked_in(tmp_path: Path) -> None:
    target = "target/riscv64gc-unknown-none-elf/release"
    for crate, name in (("os", "os"), ("user", "hello")):
        (tmp_path / crate / target).mkdir(parents=True)
        (tmp_path / crate / target / name).write_bytes(program(b"code" * 8))
    own = tmp_path / "os" / target / "os"
    image = image_of(own.read_bytes(), own)
    assert [p.name for p in programs_of(image).programs] == ["hello"]
