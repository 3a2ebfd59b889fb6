"""Which of two builds may be debugged by the other's debug info."""

from pathlib import Path

import pytest

from rcdbg.image.elf import Image, load_image
from rcdbg.image.same_code import debug_build_of, difference
from tests.unit.image.build import BASE, LOADED, Elf, Section

CODE = bytes(range(200))
DATA = b"data" * 8


def make(
    path: Path, code: bytes = CODE, data_at: int = 0x1000, *, debug: bool = False, entry: int = BASE
) -> Image:
    loads = [
        (BASE, LOADED, code, len(code), 5),
        (BASE + data_at, LOADED + data_at, DATA, len(DATA), 6),
    ]
    sections = [
        Section(".text", address=BASE, flags="ax", size=len(code), type=8),
        Section(".data", address=BASE + data_at, flags="aw", size=len(DATA), type=8),
        *([Section(".debug_info", b"\0" * 16)] if debug else []),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Elf(loads, sections, entry=entry).bytes())
    return load_image(path)


def test_the_same_code_with_and_without_debug_info(tmp_path: Path) -> None:
    found = difference(make(tmp_path / "a"), make(tmp_path / "b", debug=True))
    assert found.is_none


def test_what_differs_is_named(tmp_path: Path) -> None:
    mine = make(tmp_path / "a")
    other = make(tmp_path / "b", CODE[:100] + b"\xff\xff" + CODE[102:])
    assert difference(mine, other).code == (".text differs in 2 of 200 bytes",)
    assert difference(mine, make(tmp_path / "b", CODE[:-2])).code == (
        ".text has 198 bytes instead of 200",
    )
    moved = difference(mine, make(tmp_path / "b", data_at=0x2000))
    assert moved.code == ()
    assert moved.layout == (f".data begins at {BASE + 0x2000:#x} instead of {BASE + 0x1000:#x}",)
    assert not moved.is_none
    entry = difference(mine, make(tmp_path / "b", entry=BASE + 4))
    assert entry.code == (f"the entry is {BASE + 4:#x} instead of {BASE:#x}",)


@pytest.mark.parametrize("place", ["target/triple/release/os", "target/release/os"])
def test_a_build_beside_it_counts_if_it_is_the_same(tmp_path: Path, place: str) -> None:
    mine = make(tmp_path / place)
    beside = tmp_path / "target" / "rcdbg" / Path(place).relative_to("target")
    assert debug_build_of(mine) is None
    make(beside)
    assert debug_build_of(mine) is None, "it has no debug info either"
    make(beside, debug=True)
    found = debug_build_of(mine)
    assert found is not None
    assert found.path == beside
    make(beside, CODE[::-1], debug=True)
    assert debug_build_of(mine) is None
    beside.write_bytes(b"no ELF")
    assert debug_build_of(mine) is None
