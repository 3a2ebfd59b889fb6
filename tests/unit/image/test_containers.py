"""Debug info that is compressed, in another file, or not there: the same answers, or why not."""

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from rcdbg.errors import ImageError
from rcdbg.image import elf_checks
from rcdbg.image.dwarf import dies
from rcdbg.image.elf import load_image
from rcdbg.image.resolve import load_with_types
from tests.unit.image import build
from tests.unit.image.build import Elf, Section
from tests.unit.image.test_cache import everything

Pack = Callable[[Section], Section]


def _compressed(kind: int, pack: Callable[[bytes], bytes]) -> Pack:
    def make(section: Section) -> Section:
        head = struct.pack("<IIQQ", kind, 0, len(section.content), 1)
        return Section(section.name, head + pack(section.content), flags="C")

    return make


def _old(section: Section) -> Section:
    head = b"ZLIB" + struct.pack(">Q", len(section.content))
    name = section.name.replace(".debug_", ".zdebug_")
    return Section(name, head + zlib.compress(section.content))


PACKED: dict[str, Pack] = {
    "zlib": _compressed(1, zlib.compress),
    "zstd": _compressed(2, zstandard.ZstdCompressor().compress),
    "zstd without a size": _compressed(
        2, zstandard.ZstdCompressor(write_content_size=False).compress
    ),
    "zlib-gnu": _old,
}


def _write(path: Path, elf: Elf) -> Path:
    path.write_bytes(elf.bytes())
    return path


def _is_debug(section: Section) -> bool:
    return section.name.startswith(".debug_")


def _packed(pack: Pack) -> Elf:
    elf = build.rich_kernel()
    elf.sections = [pack(one) if _is_debug(one) else one for one in elf.sections]
    return elf


def _stripped(*more: Section) -> Elf:
    elf = build.rich_kernel()
    elf.sections = [*(one for one in elf.sections if not _is_debug(one)), *more]
    return elf


def _link(name: bytes, crc: int) -> Section:
    raw = name + b"\0"
    return Section(".gnu_debuglink", raw + bytes(-len(raw) % 4) + struct.pack("<I", crc))


@pytest.mark.parametrize("how", PACKED)
def test_compressed_debug_info_says_the_same(tmp_path: Path, how: str) -> None:
    plain = load_image(_write(tmp_path / "plain", build.rich_kernel()))
    packed = load_image(_write(tmp_path / "packed", _packed(PACKED[how])))
    assert packed.has_debug_info
    assert everything(packed) == everything(plain)


@pytest.mark.parametrize("folder", [".", ".debug"])
def test_a_link_to_a_file_with_the_debug_info(tmp_path: Path, folder: str) -> None:
    plain = load_image(_write(tmp_path / "plain", build.rich_kernel()))
    whole = tmp_path / folder / "os.debug"
    whole.parent.mkdir(exist_ok=True)
    _write(whole, build.rich_kernel())
    link = _link(b"os.debug", zlib.crc32(whole.read_bytes()))
    found = load_image(_write(tmp_path / "os", _stripped(link)))
    assert found.has_debug_info
    assert everything(found) == everything(plain)


@pytest.mark.parametrize(
    ("name", "crc", "why"),
    [
        (b"gone.debug", 0, "in gone.debug, which is not beside it"),
        (b"other.debug", 1, "other.debug is the debug info of another build"),
        (b"../other.debug", 0, "built without, or stripped"),
        (b"", 0, "built without, or stripped"),
    ],
)
def test_a_link_that_does_not_lead_there(tmp_path: Path, name: bytes, crc: int, why: str) -> None:
    _write(tmp_path / "other.debug", build.rich_kernel())
    path = _write(tmp_path / "os", _stripped(_link(name, crc)))
    assert not load_image(path).has_debug_info
    with pytest.raises(ImageError, match=why):
        load_with_types(path)


def test_a_skeleton_is_told_to_be_split() -> None:
    """Its first unit is of type 4 (DWARF 5, section 7.5.1)."""
    from rcdbg.image.dwarf.split import is_split

    head = struct.pack("<HBBI", 5, 4, 8, 0) + bytes(8)
    assert is_split(struct.pack("<I", len(head)) + head, b"\0")
    assert not is_split(struct.pack("<I", len(head)) + head.replace(b"\5\0\4", b"\5\0\1"), b"\0")
    assert not is_split(b"", b"")


@pytest.mark.parametrize("how", ["zlib", "zstd", "zlib-gnu"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, how: str) -> None:
    """Six sections that claim 1 GiB of zeros each; what is packed is less, to be quick."""
    elf = build.rich_kernel()
    zeros = bytes(1 << 20)
    packer = zlib.compressobj() if how != "zstd" else zstandard.ZstdCompressor().compressobj()
    packed = b"".join(packer.compress(zeros) for _ in range(16)) + packer.flush()
    names = [".debug_info", ".debug_abbrev", ".debug_str", ".debug_line", ".debug_loc", ".debug_x"]
    kept = [one for one in elf.sections if not _is_debug(one)]
    if how == "zlib-gnu":
        head = b"ZLIB" + struct.pack(">Q", 1 << 30)
        bombs = [Section(n.replace(".debug", ".zdebug"), head + packed) for n in names]
    else:
        head = struct.pack("<IIQQ", 1 if how == "zlib" else 2, 0, 1 << 30, 1)
        bombs = [Section(n, head + packed, flags="C") for n in names]
    elf.sections = [*kept, *bombs]
    path = _write(tmp_path / "os", elf)
    before = time.process_time()
    with pytest.raises(ImageError, match="claim more than 256 MiB"):
        _ = load_image(path).types
    assert time.process_time() - before < 1


def test_a_section_that_holds_more_than_it_claims(tmp_path: Path) -> None:
    def lie(section: Section) -> Section:
        packed = PACKED["zlib"](section)
        head = struct.pack("<IIQQ", 1, 0, max(len(section.content) - 1, 0), 1)
        return Section(packed.name, head + packed.content[24:], flags="C")

    path = _write(tmp_path / "os", _packed(lie))
    with pytest.raises(ImageError, match=r"claims \d+ bytes and has others"):
        _ = load_image(path).types


@pytest.mark.parametrize("size", [elf_checks.MAX_FILE + 1, 60 << 30])
def test_a_sparse_file_of_any_size_costs_nothing(tmp_path: Path, size: int) -> None:
    path = _write(tmp_path / "os", build.rich_kernel())
    os.truncate(path, size)
    with pytest.raises(ImageError, match="is larger than 256 MiB"):
        load_image(path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (".debug_info", bytes(dies.MAX_INFO + 1), "bytes"),
        (".debug_line", b"\4" * (1 << 23), "bytes"),
    ],
)
def test_what_would_take_minutes_is_refused_at_once(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    elf = build.rich_kernel()
    (plain,) = (one for one in elf.sections if one.name == name)
    if name == ".debug_line":  # its program goes on and on
        length = struct.pack("<I", len(plain.content) - 4 + len(content))
        content = length + plain.content[4:] + content
    elf.sections = [Section(name, content) if one.name == name else one for one in elf.sections]
    path = _write(tmp_path / "os", elf)
    before = time.process_time()
    with pytest.raises(ImageError, match=why):
        _ = load_image(path).types, load_image(path).lines.lookup(0)
    assert time.process_time() - before < 5
