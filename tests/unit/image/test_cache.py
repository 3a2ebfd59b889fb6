import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from rcdbg.image import cache
from rcdbg.image.dwarf.forms import DebugSections
from rcdbg.image.dwarf.reader import extract
from rcdbg.image.elf import Image, load_image
from rcdbg.image.lines import LineTable, read_lines
from rcdbg.image.rows import Tables
from rcdbg.image.types import Type
from tests.unit.image import build
from tests.unit.image.build import BASE, Elf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "os"
    path.write_bytes(build.rich_kernel().bytes())
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read from an ELF's debug info instead of the cache."""
    found: list[str] = []

    def count_types(sections: DebugSections) -> Tables:
        found.append("types")
        return extract(sections)

    def count_lines(sections: DebugSections, tables: Iterable[tuple[int, str]]) -> LineTable:
        found.append("lines")
        return read_lines(sections, tables)

    monkeypatch.setattr(cache, "extract", count_types)
    monkeypatch.setattr(cache, "read_lines", count_lines)
    return found


def everything(image: Image) -> list[object]:
    """All that an image says by way of its debug info."""
    names = ["Option", "os::Color", "U", "Thread", "Word", "u64", "nothing"]
    types: list[Type] = [
        image.types.type(found) for name in names for found in image.types.types_named(name)
    ]
    lines = [image.lines.lookup(BASE + offset) for offset in range(16)]
    places = image.lines.addresses("main.rs", 2)
    return [types, list(image.types.statics()), list(image.functions), lines, places]


def test_the_second_start_finds_the_same_without_reading_the_elf(
    path: Path, reads: list[str], own_cache: Path
) -> None:
    cold = everything(load_image(path))
    assert reads == ["types", "lines"]
    assert len(cold[0]) == 6  # type: ignore[arg-type]
    assert everything(load_image(path)) == cold
    assert reads == ["types", "lines"]
    assert sorted(file.suffix for file in own_cache.iterdir()) == [".lines", ".types"]


def test_vtables_are_cached(path: Path, reads: list[str]) -> None:
    fifo = build.struct_type("Fifo", 8)
    vtable = build.struct_type("{vtable_type}", 24)
    vtable.attributes.append((0x1D, build.REF4, fifo))
    dwarf = build.Dwarf([fifo, vtable, build.static("{vtable}", vtable, BASE)])
    path.write_bytes(build.kernel(dwarf=dwarf).bytes())
    for _ in range(2):
        assert load_image(path).types.vtable_type(BASE) == fifo.offset
    assert reads == ["types"]


def test_another_build_has_its_own_entry(path: Path, reads: list[str]) -> None:
    _ = load_image(path).types
    elf = build.rich_kernel()
    elf.loads[1] = (*elf.loads[1][:2], elf.loads[1][2].replace(b"\x99", b"\xaa"), *elf.loads[1][3:])
    path.write_bytes(elf.bytes())
    _ = load_image(path).types
    assert reads == ["types", "types"]


def test_one_with_the_same_build_id_and_size_does_not_change_what_another_says(
    path: Path, reads: list[str]
) -> None:
    """Both are their author's choice: a student could have written them into his ELF."""
    right = everything(load_image(path))
    plain = path.read_bytes()
    path.write_bytes(plain.replace(b"THREAD", b"FORGED"))
    forged = load_image(path)
    assert forged.file_size == len(plain)
    assert forged.build_id == "00112233445566778899"
    assert everything(forged) != right
    path.write_bytes(plain)
    assert everything(load_image(path)) == right


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_others_can_write_is_not_trusted(
    path: Path, reads: list[str], own_cache: Path, what: str
) -> None:
    cold = everything(load_image(path))
    for file in own_cache.iterdir() if what == "file" else [own_cache]:
        file.chmod(file.stat().st_mode | 0o022)
    assert everything(load_image(path)) == cold
    assert reads == ["types", "lines"] * 2


def test_a_file_of_another_size_with_the_same_build_id(path: Path, reads: list[str]) -> None:
    _ = load_image(path).types
    path.write_bytes(path.read_bytes() + b"\0")
    _ = load_image(path).types
    assert reads == ["types", "types"]


def _header(data: bytes) -> tuple[dict[str, object], bytes]:
    _, header, body = data.split(b"\n", 2)
    return json.loads(header), body


def _with_header(data: bytes, **changes: object) -> bytes:
    header, body = _header(data)
    return b"rcdbg image cache\n" + json.dumps(header | changes).encode() + b"\n" + body


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-20] + b"\xff" + data[-19:],
        lambda data: b"something else entirely\n" * 20,
        lambda data: b"rcdbg image cache\n[1, 2]\n",
        lambda data: b"rcdbg image cache\n" + b"[" * 3000 + b"\n",
        lambda data: b"rcdbg image cache\nnot JSON\n",
        lambda data: _with_header(data, format=cache.FORMAT + 1),
        lambda data: _with_header(data, sha256="ffff"),
        lambda data: _with_header(data, crc32="?"),
        lambda data: _with_header(data, parts=[["ids", 8]]),
        lambda data: _with_header(data, parts=[[["ids"], 8]]),
        lambda data: _with_header(data, parts=7),
        lambda data: _with_header(data, parts=[]),
    ],
)
def test_a_broken_cache_file_is_ignored_and_replaced(
    path: Path, reads: list[str], own_cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    cold = everything(load_image(path))
    for file in own_cache.iterdir():
        file.write_bytes(damage(file.read_bytes()))
    assert everything(load_image(path)) == cold
    assert everything(load_image(path)) == cold
    assert reads == ["types", "lines"] * 2


def test_a_cache_whose_parts_do_not_fit_is_ignored(
    path: Path, reads: list[str], own_cache: Path
) -> None:
    image = load_image(path)
    cold = everything(image)
    for kind in ("types", "lines"):
        key = hashlib.sha256(image.data).hexdigest()
        cache._store(key, kind, {"ids": b"123", "ends": b""})
    assert everything(load_image(path)) == cold
    assert reads == ["types", "lines"] * 2


@pytest.mark.parametrize("obstacle", ["a file", "/dev/null/x", "a directory for the entry"])
def test_a_cache_that_cannot_be_written_does_no_harm(
    path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    if obstacle == "a file":
        own_cache.write_text("in the way")
    elif obstacle == "/dev/null/x":
        monkeypatch.setenv("XDG_CACHE_HOME", obstacle)
    else:
        key = hashlib.sha256(path.read_bytes()).hexdigest()
        (own_cache / f"{key}.types").mkdir(parents=True)
    for _ in range(2):
        assert len(list(load_image(path).types.statics())) == 1
    if obstacle == "a directory for the entry":
        assert not [f for f in own_cache.iterdir() if f.is_file()], "no temporary file stays"


def test_without_a_home_there_is_no_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert cache.directory() is None
    assert len(list(load_image(path).types.statics())) == 1


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.directory() == tmp_path / "rcdbg"
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache.directory() == tmp_path / ".cache/rcdbg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.directory() == tmp_path / ".cache/rcdbg"


def test_only_the_user_may_read_it(path: Path, own_cache: Path) -> None:
    _ = load_image(path).types
    assert own_cache.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in own_cache.iterdir())


def test_the_files_used_last_are_kept(path: Path, own_cache: Path, reads: list[str]) -> None:
    _ = load_image(path).types
    used = next(own_cache.iterdir())
    long_ago = time.time() - 1e6
    os.utime(used, (long_ago, long_ago))
    for number in range(cache.KEPT_FILES):
        file = own_cache / f"{number}.types"
        file.touch()
        os.utime(file, (long_ago + 1 + number, long_ago + 1 + number))
    stale, fresh, foreign = own_cache / "new-1", own_cache / "new-2", own_cache / "notes.txt"
    for file in (stale, fresh, foreign):
        file.touch()
    os.utime(stale, (long_ago, long_ago))
    # A hit counts as a use: the entry survives the next write, the oldest others go.
    _ = load_image(path).types
    _ = load_image(path).lines
    left = {file.name for file in own_cache.iterdir()}
    assert len(left - {"new-2", "notes.txt"}) == cache.KEPT_FILES
    assert used.name in left
    assert {"0.types", "1.types", "new-1"}.isdisjoint(left)
    assert {"2.types", "new-2", "notes.txt"} <= left


def test_an_image_without_debug_info_is_not_worth_a_file(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "os"
    path.write_bytes(Elf([(BASE, BASE, b"abcd", 4, 4)]).bytes())
    assert list(load_image(path).types.statics()) == []
    assert not own_cache.exists()
