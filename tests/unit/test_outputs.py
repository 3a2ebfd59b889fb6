"""What may be written over: regular files, and nothing else."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rcdbg.errors import OutputError
from rcdbg.outputs import growing, write_new, write_whole


def _grow(path: Path, data: bytes) -> None:
    with growing(path) as file:
        file.write(data)


WAYS = [write_whole, _grow]
Write = Callable[[Path, bytes], None]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with what is no regular file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "to-device").symlink_to("/dev/full")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    return tmp_path


def _kinds(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IFMT(path.lstat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["pipe", "to-pipe", "folder", "socket", "to-device"])
def test_what_is_no_regular_file_stays_what_it_is(odd: Path, name: str) -> None:
    before = _kinds(odd)
    with pytest.raises(OutputError, match=f"cannot write .*{name}: it is a"):
        write_whole(odd / name, b"new")
    assert _kinds(odd) == before


@pytest.mark.parametrize("name", ["folder", "socket", "to-device"])
def test_a_recording_does_not_grow_there_either(odd: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        _grow(odd / name, b"new")
    with pytest.raises(FileExistsError):
        write_new(odd / name, b"new")


def test_a_recording_may_go_into_a_pipe(odd: Path) -> None:
    reader = os.open(odd / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    _grow(odd / "pipe", b"events")
    assert os.read(reader, 100) == b"events"
    os.close(reader)


@pytest.mark.parametrize("write", WAYS)
def test_files_are_written_and_links_stay(tmp_path: Path, write: Write) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    write(file, b"one")
    assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0o044 & ~_mask()
    file.chmod(0o640)
    link.symlink_to("file")
    write(link, b"two")
    assert link.is_symlink()
    assert file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert {p.name for p in tmp_path.iterdir()} == {"file", "link"}


@pytest.mark.parametrize("write", [*WAYS, write_new])
@pytest.mark.parametrize("name", ["no/such/file", "x" * 300, "a\0b"])
def test_a_place_that_is_none_is_one_line(tmp_path: Path, write: Write, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write") as caught:
        write(tmp_path / name, b"")
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
