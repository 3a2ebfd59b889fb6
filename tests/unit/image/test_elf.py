import contextlib
import errno
import os
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rcdbg.errors import ImageError
from rcdbg.image import cache
from rcdbg.image.elf import Image, load_image
from tests.unit.image import build
from tests.unit.image.build import BASE, LOADED, Elf, Section

_KERNEL = build.kernel(symbols=[build.Symbol("_start", BASE, 64)]).bytes()


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "os"
    path.write_bytes(_KERNEL)
    return load_image(path)


def test_what_the_headers_say(image: Image) -> None:
    assert image.build_id == "00112233445566778899"
    assert image.entry == BASE
    assert image.file_size == len(_KERNEL)
    assert [(s.vaddr, s.paddr, s.file_size, s.memory_size, s.flags) for s in image.segments] == [
        (BASE, LOADED, 64, 64, "rx"),
        (BASE + 0x1000, LOADED + 0x1000, 58, 58, "r"),
        (BASE + 0x2000, LOADED + 0x2000, 16, 4112, "rw"),
    ]
    text = image.section(".text")
    assert text is not None
    assert (text.address, text.size, text.flags) == (BASE, 64, "ax")
    assert image.section(".nowhere") is None


def test_without_debug_info_the_tables_are_empty(image: Image) -> None:
    assert not image.has_debug_info
    assert list(image.types.statics()) == []
    assert image.types.types_named("Thread") == []
    assert list(image.functions) == []
    assert image.lines.lookup(BASE) is None


@pytest.mark.parametrize(
    ("address", "size", "content"),
    [
        (BASE, 4, bytes(range(4))),
        (BASE + 60, 4, bytes(range(60, 64))),
        (BASE + 0x2000, 16, b"initial contents"),
        (BASE + 0x2008, 12, b"contents" + bytes(4)),  # the file's bytes, then .bss
        (BASE + 0x2010 + 4095, 1, b"\0"),
        (BASE + 0x2010 + 4095, 2, None),  # one past .bss
        (BASE + 60, 8, None),  # the gap behind .text
        (BASE - 1, 1, None),
        (0, 8, None),
        (BASE, 0, b""),
    ],
)
def test_initial_memory(image: Image, address: int, size: int, content: bytes | None) -> None:
    assert image.read(address, size) == content


def test_physical_addresses_follow_the_program_headers(image: Image) -> None:
    assert image.physical(BASE + 5) == LOADED + 5
    assert image.physical(BASE + 0x2010) == LOADED + 0x2010
    assert image.physical(BASE + 64) is None
    assert image.physical(LOADED) is None


def test_reading_goes_on_from_one_segment_into_the_next(tmp_path: Path) -> None:
    path = tmp_path / "os"
    elf = Elf([(BASE, LOADED, b"abcd", 4, 4), (BASE + 4, LOADED + 4, b"efgh", 8, 5)])
    path.write_bytes(elf.bytes())
    assert load_image(path).read(BASE + 2, 6) == b"cdefgh"


@pytest.mark.parametrize("with_neighbour", [True, False])
def test_a_segment_without_a_load_address_of_its_own(tmp_path: Path, with_neighbour: bool) -> None:
    # What the linker writes for a section that the script gives no AT().
    loads = [(BASE, BASE, b"abcd", 4, 4)]
    if with_neighbour:
        loads.append((BASE + 0x1000, 0x9000_1000, b"efgh", 4, 5))
    path = tmp_path / "os"
    path.write_bytes(Elf(loads).bytes())
    assert load_image(path).physical(BASE + 1) == (0x9000_0001 if with_neighbour else LOADED + 1)


def test_without_a_build_id_the_file_is_hashed(tmp_path: Path) -> None:
    path = tmp_path / "os"
    path.write_bytes(Elf([(BASE, LOADED, b"abcd", 4, 4)]).bytes())
    first = load_image(path).build_id
    path.write_bytes(Elf([(BASE, LOADED, b"abce", 4, 4)]).bytes())
    assert first.startswith("sha256-")
    assert len(first) == len("sha256-") + 64
    assert load_image(path).build_id != first


def _header(offset: int, value: bytes) -> bytes:
    return _KERNEL[:offset] + value + _KERNEL[offset + len(value) :]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x7fEL", "is truncated"),
        (_KERNEL[:40], "is truncated"),
        (_KERNEL[:-1], "is truncated"),
        (_KERNEL[:200], "is truncated"),
        (b"#!/bin/sh\n", "is not an ELF file"),
        (_header(18, b"\x3e\0"), "is an ELF for x86-64, not for RISC-V"),
        (_header(18, b"\xb7\0"), "is an ELF for AArch64, not for RISC-V"),
        (_header(18, b"\x99\x99"), "is an ELF for machine 39321, not for RISC-V"),
        (_header(4, b"\x01"), "is a 32-bit ELF"),
        (_header(5, b"\x02")[:16] + b"\0\x02\0\xf3" + _KERNEL[20:], "is a big-endian ELF"),
        (_header(16, b"\x01\0"), "is a relocatable object file (.o)"),
        (_header(16, b"\x04\0"), "is a core dump"),
        (_header(56, b"\0\0"), "no program headers"),
        (_header(58, b"\0\0"), "damaged ELF"),  # sections of size 0: pyelftools would not end
        (_header(54, b"\1\0"), "damaged ELF"),
        (_header(40, b"\xff" * 8), "is truncated"),
        (_header(60, b"\xff\xff"), "is truncated"),
    ],
)  # fmt: skip
def test_bad_files_get_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "os"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist: build the kernel first"):
        load_image(tmp_path / "os")
    with pytest.raises(ImageError, match="is a directory"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="not a regular file"):
        load_image("/dev/zero")
    with pytest.raises(ImageError, match="cannot read"):
        load_image("a\0b")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "os"
    path.write_bytes(_KERNEL)

    def refuse(path: Path, mode: str) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Taking the permission away would not keep root from reading.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"cannot read .*: Permission denied"):
        load_image(path)


def test_a_raw_image_names_the_elf_beside_it(tmp_path: Path) -> None:
    raw = tmp_path / "kernel.bin"
    raw.write_bytes(b"\x17\x01\x05\x00" * 100)
    with pytest.raises(ImageError, match="raw memory image without symbols: give the ELF"):
        load_image(raw)
    (tmp_path / "os.d").write_text("os: main.rs")
    (tmp_path / "os").write_bytes(_KERNEL)
    with pytest.raises(ImageError, match=f"such as {tmp_path / 'os'}"):
        load_image(raw)


def test_debug_info_that_is_not_in_the_file(tmp_path: Path) -> None:
    """What `objcopy --only-keep-debug` leaves of other sections, with an absurd size."""
    elf = build.kernel()
    elf.sections.append(Section(".debug_info", type=8, size=1 << 50))
    path = tmp_path / "os"
    path.write_bytes(elf.bytes())
    assert list(load_image(path).types.statics()) == []


def test_a_compressed_section_that_claims_too_much(tmp_path: Path) -> None:
    elf = build.kernel()
    content = struct.pack("<IIQQ", 1, 0, 1 << 60, 1) + b"x\x9c\x03\0\0\0\0\x01"
    elf.sections.append(Section(".debug_info", content, flags="C"))
    path = tmp_path / "os"
    path.write_bytes(elf.bytes())
    with pytest.raises(ImageError, match="damaged debug info"):
        _ = load_image(path).types


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged files often keep their build id and size, and would be found in the cache."""
    monkeypatch.setattr(cache, "directory", lambda: None)


def _exercise(path: Path) -> None:
    """Everything that reads the file's bytes."""
    image = load_image(path)
    list(image.symbols)
    image.symbols.at(BASE)
    image.symbols.suggest("_stat")
    image.read(BASE, 4096)
    image.physical(BASE)
    for static in image.types.statics():
        image.types.type(static.type)
    for function in image.functions:
        image.functions.at(function.address)
    image.lines.lookup(BASE)


_RICH = build.rich_kernel().bytes()
_FUZZ = settings(
    max_examples=300,
    deadline=20_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.usefixtures("uncached")
@_FUZZ
@given(data=st.data())
def test_a_damaged_file_gives_an_image_or_an_image_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(_RICH)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, content[at] ^ 0x10]))
    path = tmp_path / "os"
    path.write_bytes(bytes(content))
    with contextlib.suppress(ImageError):
        _exercise(path)


@pytest.mark.usefixtures("uncached")
@_FUZZ
@given(length=st.integers(0, len(_RICH)))
def test_a_file_cut_off_anywhere(tmp_path: Path, length: int) -> None:
    path = tmp_path / "os"
    path.write_bytes(_RICH[:length])
    if length == len(_RICH):
        _exercise(path)
    else:
        with pytest.raises(ImageError):
            _exercise(path)


@pytest.mark.usefixtures("uncached")
@_FUZZ
@given(content=st.binary(max_size=300))
def test_random_bytes_behind_a_good_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "os"
    path.write_bytes(_RICH[:64] + content)
    started = time.monotonic()
    with pytest.raises(ImageError):
        _exercise(path)
    assert time.monotonic() - started < 2
