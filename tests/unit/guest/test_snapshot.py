"""The snapshot file: what goes in comes out, and nothing that comes from outside does harm."""

import hashlib
import json
import lzma
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcdbg.errors import MemoryReadError, OutputError
from rcdbg.guest import snapshot_writer
from rcdbg.guest.memory import RamTarget
from rcdbg.guest.protocol import Ram, Registers
from rcdbg.guest.snapshot import Snapshot, read_snapshot
from rcdbg.guest.snapshot_checks import SnapshotError
from rcdbg.guest.snapshot_writer import Machine, pack

BASE, PAGE = 0x8000_0000, 4096
PREFIX = struct.Struct("<16sIIQ32s")
REGISTERS = Registers(
    0xFFFF_FFFF_8020_0000, (0, *range(1, 31), (1 << 64) - 1), {"satp": 8 << 60 | 5, "sie": 2}, 1
)


def machine(pages: int, **more: Any) -> Machine:
    fields = {"elf": b"\x7fELF not really", "kernel_name": "os", "console": "hällo\n"} | more
    return Machine(REGISTERS, Ram(BASE, pages * PAGE), **fields)


def packed(memory: bytes, *, small: bool = False, **more: Any) -> bytes:
    target = RamTarget(memory, BASE, lambda: REGISTERS)
    return pack(machine(len(memory) // PAGE, **more), target.read_phys, small=small)


def sample_memory(pages: int = 700) -> bytearray:
    """More than one block of used pages, with holes."""
    memory = bytearray(pages * PAGE)
    chance = random.Random(1)
    for page in range(pages):
        if page % 7:
            memory[page * PAGE + chance.randrange(PAGE)] = 1 + page % 255
    return memory


@given(
    st.lists(st.tuples(st.integers(0, 599), st.binary(min_size=1, max_size=64)), max_size=20),
    st.lists(st.tuples(st.integers(0, 600 * PAGE), st.integers(0, 3 * PAGE)), max_size=20),
    st.booleans(),
)
@settings(max_examples=60)
def test_memory_comes_back(
    writes: list[tuple[int, bytes]], reads: list[tuple[int, int]], small: bool
) -> None:
    memory = bytearray(600 * PAGE)
    for page, data in writes:
        memory[page * PAGE : page * PAGE + len(data)] = data
    target = Snapshot(packed(bytes(memory), small=small), "file").target
    for at, size in reads:
        if at + size <= len(memory):
            assert target.read_phys(BASE + at, size) == memory[at : at + size]
        else:
            with pytest.raises(MemoryReadError):
                target.read_phys(BASE + at, size)


def test_everything_else_comes_back() -> None:
    others = {"mstatus": 5, "ft0": (1 << 64) - 1}
    found = Snapshot(packed(bytes(PAGE), others=others), "file")
    assert found.target.registers() == REGISTERS
    assert found.ram == found.target.ram == Ram(BASE, PAGE)
    assert (found.elf, found.kernel_name, found.console) == (b"\x7fELF not really", "os", "hällo\n")
    assert found.others == others
    assert Snapshot(packed(bytes(PAGE), console=None), "file").console is None


def test_a_large_sparse_machine_is_a_small_file() -> None:
    page = b"x" * PAGE

    def read(address: int, size: int) -> bytes:
        at = address - BASE
        return page + bytes(size - PAGE) if at == 0 else bytes(size)

    data = pack(machine(1 << 16), read)
    assert len(data) < 2000
    target = Snapshot(data, "file").target
    assert target.read_phys(BASE, PAGE) == page
    assert target.read_phys(BASE + (1 << 28) - PAGE, PAGE) == bytes(PAGE)


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "kernel.snap"
    target = RamTarget(bytes(PAGE), BASE, lambda: REGISTERS)
    size = snapshot_writer.write_snapshot(path, machine(1), target.read_phys)
    assert path.stat().st_size == size
    assert read_snapshot(path).console == "hällo\n"
    before = path.read_bytes()
    with pytest.raises(MemoryReadError):
        snapshot_writer.write_snapshot(path, machine(2), target.read_phys)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    for bad in (tmp_path / "no" / "folder", tmp_path / ("x" * 300), tmp_path):
        with pytest.raises(OutputError, match="cannot write"):
            snapshot_writer.write_snapshot(bad, machine(1), target.read_phys)
    assert list(tmp_path.iterdir()) == [path]


# files that are not what they should be

WHOLE = packed(bytes(sample_memory()))


def refused(data: bytes) -> str:
    with pytest.raises(SnapshotError) as caught:
        Snapshot(data, "file")
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


def unpacked() -> tuple[dict[str, Any], bytes]:
    _, _, size, _, _ = PREFIX.unpack_from(WHOLE)
    end = PREFIX.size + size
    return json.loads(WHOLE[PREFIX.size : end]), WHOLE[end:]


def sealed(header: Any, body: bytes, version: int = 1) -> bytes:
    """A file whose checksum is right, whatever is in it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = text + body
    digest = hashlib.sha256(data).digest()
    size = PREFIX.size + len(data)
    return PREFIX.pack(WHOLE[:16], version, len(text), size, digest) + data


def test_the_sealer_of_these_tests_makes_good_files() -> None:
    found = Snapshot(sealed(*unpacked()), "file")
    assert found.target.read_phys(BASE, 700 * PAGE) == sample_memory()


def borders() -> list[int]:
    header, body = unpacked()
    at = len(WHOLE) - len(body)
    found = [0, 1, 8, 16, 20, 24, 32, PREFIX.size, at]
    for *_, stored in header["parts"]:
        at += stored
        found.append(at)
    return found[:-1]


@pytest.mark.parametrize("size", borders())
def test_truncated(size: int) -> None:
    for cut in {max(size - 1, 0), size, size + 1}:
        said = refused(WHOLE[:cut])
        assert "truncated" in said if cut >= 1 else "not a snapshot" in said


@given(st.integers(16, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_damaged_bytes(at: int, flip: int) -> None:
    refused(WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :])


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    refused(data)
    refused(WHOLE[:16] + data)


def test_foreign_and_newer_files() -> None:
    assert "not a snapshot" in refused(b"\x7fELF" + bytes(200))
    assert "not a snapshot" in refused(b"\x80\x04\x95cposix\nsystem\n")
    said = refused(sealed({"anything": 1}, b"", version=7))
    assert "newer" in said
    assert "format 7" in said
    assert "damaged" in refused(sealed(*unpacked(), version=0))
    assert "too many" in refused(WHOLE + b"x")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *way, last = path.split(".")

    def apply(header: dict[str, Any]) -> None:
        at: Any = header
        for step in way:
            at = at[int(step) if step.lstrip("-").isdigit() else step]
        at[int(last) if last.lstrip("-").isdigit() else last] = value

    return apply


HUGE = 1 << 60


@pytest.mark.parametrize(
    "hostile",
    [
        change("ram.size", HUGE),
        change("ram.size", 0),
        change("ram.size", -PAGE),
        change("ram.size", PAGE),
        change("ram.size", 700.5 * PAGE),
        change("ram.start", "0xfffffffffffff000"),
        change("ram.start", "0x80000001"),
        change("ram.start", "0x" + "f" * 5000),
        change("ram", []),
        change("registers", None),
        change("registers.x", ["0x0"] * 31),
        change("registers.x", 5),
        change("registers.pc", "-0x1"),
        change("registers.pc", "0x1" + "0" * 16),
        change("registers.pc", 17),
        change("registers.privilege", 9),
        change("registers.privilege", True),
        change("registers.csrs", [1]),
        change("registers.csrs", {"satp": None}),
        change("registers.csrs", {"x" * 100: "0x0"}),
        change("registers.csrs", {"\x1b[31m": "0x0"}),
        change("others", {str(i): "0x0" for i in range(9000)}),
        change("kernel", "a\nb"),
        change("kernel", ["os"]),
        change("parts", None),
        change("parts", []),
        change("parts.0", ["elf", "zlib", HUGE, 5]),
        change("parts.0.1", "pickle"),
        change("parts.0.1", ["zlib"]),
        change("parts.0.1", "lzma"),
        change("parts.0.2", (1 << 28)),
        change("parts.0.2", 3),
        change("parts.0.2", -1),
        change("parts.0.3", HUGE),
        change("parts.0.3", -1),
        change("parts.2.2", 1 << 20),
        change("parts.3.2", 1 << 30),
        change("parts.-1.2", PAGE),
        change("parts.1.0", "elf"),
    ],
)
def test_hostile_headers(hostile: Callable[[dict[str, Any]], None]) -> None:
    header, body = unpacked()
    hostile(header)
    refused(sealed(header, body))


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"null", b"[" * 100_000, b"{" * 1000, b"\xff\xfe", b'{"a":' + b"9" * 9999],
)
def test_headers_that_are_none(header: bytes) -> None:
    refused(sealed(header, b""))


def with_runs(runs: list[tuple[int, int]]) -> bytes:
    header, body = unpacked()
    content = b"".join(struct.pack("<QI", *run) for run in runs)
    stored = zlib.compress(content)
    sizes = [part[3] for part in header["parts"]]
    index = next(i for i, part in enumerate(header["parts"]) if part[0] == "runs")
    at = sum(sizes[:index])
    header["parts"][index] = ["runs", "zlib", len(content), len(stored)]
    return sealed(header, body[:at] + stored + body[at + sizes[index] :])


FIRST = BASE // PAGE


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [(FIRST, 0)],
        [(FIRST, 701)],
        [(FIRST - 1, 599)],
        [(0, 599)],
        [(FIRST, 300), (FIRST + 200, 299)],
        [(FIRST + 300, 299), (FIRST, 300)],
        [((1 << 64) - 1, 599)],
        [(FIRST, (1 << 32) - 1)],
    ],
)
def test_hostile_runs(runs: list[tuple[int, int]]) -> None:
    refused(with_runs(runs))


def peak(data: bytes) -> int:
    tracemalloc.start()
    try:
        refused(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ["zlib", "lzma"])
@pytest.mark.parametrize("claimed", [100, 1 << 30])
def test_a_bomb_is_not_unpacked(codec: str, claimed: int) -> None:
    """64 MiB of zeros that claim to be little, or more than any kernel."""
    zeros = bytes(64 << 20)
    bomb = zlib.compress(zeros) if codec == "zlib" else lzma.compress(zeros, preset=0)
    header, body = unpacked()
    old = header["parts"][0][3]
    header["parts"][0] = ["elf", codec, claimed, len(bomb)]
    data = sealed(header, bomb + body[old:])
    del zeros
    assert peak(data) < len(data) * 3 + (4 << 20)


def test_a_block_that_lies_is_unreadable_memory_and_no_more() -> None:
    header, body = unpacked()
    *_, last = header["parts"]
    data = sealed(header, body[: -last[3]] + bytes(last[3]))
    target = Snapshot(data, "file").target
    assert target.read_phys(BASE, PAGE) == sample_memory()[:PAGE]
    with pytest.raises(MemoryReadError, match="damaged"):
        target.read_phys(BASE + 699 * PAGE, 8)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="does not exist"):
        read_snapshot(tmp_path / "nothing")
    with pytest.raises(SnapshotError, match="not a regular file"):
        read_snapshot(tmp_path)
    with pytest.raises(SnapshotError, match="not a regular file"):
        read_snapshot(Path("/dev/zero"))
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SnapshotError, match="too large"):
        read_snapshot(huge)
