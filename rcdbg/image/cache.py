"""What was read out of an image's debug info, kept by the hash of the file, for an instant start.

A file holds a line that says what it is, a JSON line with its parts' sizes, and the parts: JSON and
arrays of little-endian numbers, nothing that could run code. Rows of types stay text until they are
asked for. The cache only saves time: whatever is wrong with a file or with the directory, the
tables are read from the ELF again. A directory or file that others can write is not looked at: who
can write there could make a kernel show what they like.
"""

import contextlib
import json
import os
import stat
import sys
import tempfile
import time
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rcdbg.image.dwarf.forms import DebugSections
from rcdbg.image.dwarf.reader import extract, line_programs
from rcdbg.image.lines import LineTable, read_lines
from rcdbg.image.rows import Row, Rows, Tables

FORMAT = 11
"""Goes up whenever the extraction or the layout of the file changes."""

KEPT_FILES = 64
"""Two for each build: types and lines."""

_MAGIC = b"rcdbg image cache\n"
_MAX_HEADER = 4096
_MAX_FILE = 1 << 28
_STALE_SECONDS = 3600

Parts = dict[str, bytes]


def directory() -> Path | None:
    """Where the cache is: $XDG_CACHE_HOME/rcdbg or ~/.cache/rcdbg; None without a home."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    if configured and Path(configured).is_absolute():
        return Path(configured) / "rcdbg"
    try:
        return Path.home() / ".cache" / "rcdbg"
    except RuntimeError:
        return None


def tables(key: str, sections: Callable[[], DebugSections]) -> Rows:
    """The rows of the file with that hash: from the cache, or else from its sections.

    Raises what `rcdbg.image.dwarf.reader.extract` raises on damaged data.
    """
    parts = _load(key, "types")
    if parts is not None:
        with contextlib.suppress(KeyError, ValueError):
            return StoredRows(parts)
    found = extract(sections())
    _store(key, "types", _pack_tables(found))
    return found


def lines(key: str, sections: Callable[[], DebugSections]) -> LineTable:
    """The line table of the file with that hash: from the cache, or else from its sections.

    Raises what `rcdbg.image.lines.read_lines` raises on damaged data.
    """
    parts = _load(key, "lines")
    if parts is not None:
        with contextlib.suppress(KeyError, ValueError):
            return _unpack_lines(parts)
    found_sections = sections()
    found = read_lines(found_sections, line_programs(found_sections))
    _store(key, "lines", _pack_lines(found))
    return found


class StoredRows:
    """`Rows` over the parts of a cache file, decoded one by one."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        """Raises KeyError or ValueError when a part is missing or does not fit the others."""
        self._parts = parts
        self._ids = _numbers("Q", parts["ids"])
        self._ends = _numbers("Q", parts["ends"])
        self._rows = parts["rows"]
        if len(self._ids) != len(self._ends):
            raise ValueError("as many ends as ids are needed")

    def row(self, type_id: int) -> Row | None:
        """The row of that type."""
        index = bisect_left(self._ids, type_id)
        if index == len(self._ids) or self._ids[index] != type_id:
            return None
        start = self._ends[index - 1] if index else 0
        row: Row = json.loads(self._rows[start : self._ends[index]])
        return row

    def ids_named(self, name: str) -> Sequence[int]:
        """The types of that name."""
        return self._names.get(name, ())

    def every_name(self) -> Iterable[str]:
        """All names that `ids_named` knows."""
        return self._names

    @cached_property
    def statics(self) -> Sequence[Row]:
        """Rows of statics."""
        found: list[Row] = json.loads(self._parts["statics"])
        return found

    @cached_property
    def lost(self) -> Sequence[str]:
        """Paths of statics without an address."""
        found: list[str] = json.loads(self._parts["lost"])
        return found

    @cached_property
    def functions(self) -> Sequence[Row]:
        """Rows of functions."""
        found: list[Row] = json.loads(self._parts["functions"])
        return found

    @cached_property
    def inlined(self) -> Mapping[str, int]:
        """Path of a function -> copies of it inside of other functions."""
        found: dict[str, int] = json.loads(self._parts["inlined"])
        return found

    @cached_property
    def copies(self) -> Sequence[Row]:
        """Rows of those copies."""
        found: list[Row] = json.loads(self._parts["copies"])
        return found

    @cached_property
    def texts(self) -> Sequence[str]:
        """Paths and files of those rows."""
        found: list[str] = json.loads(self._parts["texts"])
        return found

    @cached_property
    def vtables(self) -> Mapping[int, int]:
        """Address of a vtable -> type id."""
        return dict(json.loads(self._parts["vtables"]))

    @cached_property
    def _names(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = json.loads(self._parts["names"])
        return found


def _pack_tables(found: Tables) -> Parts:
    ids, ends, rows, end = array("Q"), array("Q"), [], 0
    for type_id, row in sorted(found.types.items()):
        text = _json(row)
        end += len(text)
        ids.append(type_id)
        ends.append(end)
        rows.append(text)
    return {
        "ids": _bytes(ids),
        "ends": _bytes(ends),
        "rows": b"".join(rows),
        "names": _json(found.names),
        "statics": _json(found.statics),
        "lost": _json(found.lost),
        "functions": _json(found.functions),
        "inlined": _json(found.inlined),
        "copies": _json(found.copies),
        "texts": _json(found.texts),
        "vtables": _json(list(found.vtables.items())),
    }


def _pack_lines(found: LineTable) -> Parts:
    return {
        "files": _json(found.files),
        "pcs": _bytes(found.pcs),
        "file_numbers": _bytes(found.file_numbers),
        "lines": _bytes(found.lines),
        "columns": _bytes(found.columns),
        "flags": _bytes(found.flags),
    }


def _unpack_lines(parts: Parts) -> LineTable:
    return LineTable(
        json.loads(parts["files"]),
        _numbers("Q", parts["pcs"]),
        _numbers("I", parts["file_numbers"]),
        _numbers("I", parts["lines"]),
        _numbers("H", parts["columns"]),
        _numbers("B", parts["flags"]),
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _numbers(code: str, data: bytes) -> "array[int]":
    numbers = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _bytes(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody but this user can have written it."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _load(key: str, kind: str) -> Parts | None:
    """The parts of a cache file; None unless it is whole, our own and belongs to that image."""
    folder = directory()
    if folder is None:
        return None
    path = folder / f"{key}.{kind}"
    try:
        if not _is_ours(folder.stat()):
            return None
        with path.open("rb") as file:
            if not _is_ours(os.fstat(file.fileno())):
                return None
            data = file.read(_MAX_FILE)
        parts = _parse(data, key)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        # Not there, or not ours: the caller reads the ELF instead.
        return None
    # Marks it as used, for the next `_prune`; a read-only cache is as good.
    with contextlib.suppress(OSError):
        os.utime(path)
    return parts


def _parse(data: bytes, key: str) -> Parts:
    """Raises ValueError, TypeError or LookupError when the file is not the one expected."""
    end = data.find(b"\n", len(_MAGIC), _MAX_HEADER)
    if not data.startswith(_MAGIC) or end < 0:
        raise ValueError("not a cache file")
    header = json.loads(data[len(_MAGIC) : end])
    body = memoryview(data)[end + 1 :]
    expected = {"format": FORMAT, "sha256": key}
    if any(header[name] != value for name, value in expected.items()):
        raise ValueError("of another version or image")
    if header["crc32"] != zlib.crc32(body):
        raise ValueError("corrupt")
    parts, start = {}, 0
    for name, size in header["parts"]:
        parts[name] = bytes(body[start : start + size])
        start += size
    if start != len(body):
        raise ValueError("incomplete")
    return parts


def _store(key: str, kind: str, parts: Parts) -> None:
    """Writes a cache file, or leaves it: without one the next start is slower, nothing else."""
    folder = directory()
    if folder is None:
        return
    body = b"".join(parts.values())
    header = {
        "format": FORMAT,
        "sha256": key,
        "crc32": zlib.crc32(body),
        "parts": [[name, len(part)] for name, part in parts.items()],
    }
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.stat()):
            return
        replace_file(folder / f"{key}.{kind}", _MAGIC + _json(header) + b"\n" + body)
        _prune(folder)


def replace_file(path: Path, data: bytes) -> None:
    """Replaces the file in one step, so that no reader sees half of it. Raises OSError."""
    handle, temporary = tempfile.mkstemp(prefix="new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _prune(folder: Path) -> None:
    """Removes all but the files used last, and what a killed writer left. Raises OSError."""
    used = []
    for path in folder.iterdir():
        # Another rcdbg may remove files at the same time.
        with contextlib.suppress(FileNotFoundError):
            modified = path.stat().st_mtime
            if path.suffix in (".types", ".lines"):
                used.append((modified, path))
            elif path.name.startswith("new-") and modified < time.time() - _STALE_SECONDS:
                path.unlink()
    for _, path in sorted(used, reverse=True)[KEPT_FILES:]:
        path.unlink(missing_ok=True)
