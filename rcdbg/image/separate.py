"""Debug info that is kept in a file of its own, beside the program that was stripped of it.

Sources: gdb's manual, "Debugging Information in Separate Files": `.gnu_debuglink` holds a file's
name and its CRC-32, and a file of the same build id may lie under `.build-id`.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.elf_checks import check_header, read_file

_SYSTEM = Path("/usr/lib/debug")
_CRC_SIZE = 4
_MIN_BUILD_ID = 8


@dataclass(frozen=True, slots=True)
class Separate:
    """A file with debug info; `data` is None where none fits, and `why` what was looked for."""

    path: Path | None = None
    data: bytes | None = None
    why: str = ""


def find_separate(path: Path, link: bytes, build_id: str | None) -> Separate:
    """The debug info of the program at `path`, by its .gnu_debuglink or its build id.

    Only a file that the link's CRC or the build id says to belong to it is taken.
    """
    name, expected = _linked(link)
    why = ""
    if name:
        why = f"its debug info is in {name}, which is not beside it"
        for place in (path.parent, path.parent / ".debug", _SYSTEM / path.parent.relative_to("/")
                      if path.is_absolute() else _SYSTEM):  # fmt: skip
            data = _bytes(place / name)
            if data is not None and place / name != path:
                if zlib.crc32(data) == expected:
                    return Separate(place / name, data)
                why = f"{place / name} is the debug info of another build"
    for candidate in _by_build_id(build_id):
        data = _bytes(candidate)
        if data is not None:
            return Separate(candidate, data, why)
    return Separate(why=why)


def _linked(link: bytes) -> tuple[str, int]:
    """The file's name, which is no path, and its CRC-32; an empty name without a link."""
    raw, end, _ = link.partition(b"\0")
    padded = -(-(len(raw) + 1) // 4) * 4
    crc = link[padded : padded + _CRC_SIZE]
    name = raw.decode("utf-8", "replace")
    if not end or len(crc) != _CRC_SIZE or not name or "/" in name or name in (".", ".."):
        return "", 0
    return name, int.from_bytes(crc, "little")


def _by_build_id(build_id: str | None) -> Iterator[Path]:
    if build_id is not None and len(build_id) >= _MIN_BUILD_ID:
        yield _SYSTEM / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"


def _bytes(path: Path) -> bytes | None:
    """An ELF for RISC-V, or None."""
    try:
        data = read_file(path)
        check_header(path, data)
    except ImageError:
        return None
    return data
