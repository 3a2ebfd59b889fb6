"""All programs of one kernel, wherever they are: looked for when somebody asks, and once."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image
from rcdbg.image.programs.disk_image import programs_on_disk
from rcdbg.image.programs.embedded import embedded
from rcdbg.image.programs.folder import program_file, programs_in, users_beside
from rcdbg.image.programs.program import Program

_FOLDER, _DISK, _KERNEL = range(3)
"""What is taken first of several that say the same."""

_START = "_start"
_UNIT = re.compile(rb"\.rs/@/")
"""Behind the name of a unit, `src/bin/hello.rs/@/1a2b`, as it stands in the debug info."""
_NAME = re.compile(rb"[\w-]+\Z")
_MAX_NAME = 80
_MAGIC = b"\x7fELF"


class Shelf:
    """The programs of a kernel; `places` are folders, disk images and ELFs beside what it holds."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._places: list[Path] = []
        self._found: tuple[Program, ...] | None = None
        self._problems: list[str] = []

    def look_in(self, places: Iterable[Path]) -> None:
        """Look there as well: in folders, disk images and ELFs."""
        more = [place for place in places if place not in self._places]
        if more:
            self._places += more
            self._found = None

    @property
    def places(self) -> tuple[Path, ...]:
        """Where programs are looked for beside in the kernel."""
        return tuple(self._places)

    @property
    def programs(self) -> tuple[Program, ...]:
        """All of them, those that the user named first."""
        if self._found is None:
            self._problems = []
            self._found = tuple(self._look())
        return self._found

    @property
    def problems(self) -> tuple[str, ...]:
        """What made no sense on the way, a line each."""
        _ = self.programs
        return tuple(self._problems)

    def _look(self) -> list[Program]:
        found: list[Program] = []
        beside = users_beside(self._image.path)
        for place in (*self._places, *([] if beside is None else [beside])):
            found += self._look_at(place)
        return found + self._embedded()

    def _look_at(self, place: Path) -> list[Program]:
        if place.is_dir():
            return list(programs_in(place, _FOLDER))
        try:
            with place.open("rb") as file:
                if file.read(len(_MAGIC)) == _MAGIC:
                    return [program_file(place, _FOLDER)]
        except OSError as error:
            self._problems.append(f"{place} cannot be read: {error.strerror}")
            return []
        every = list(programs_on_disk(place, _DISK))
        self._problems += [item for item in every if isinstance(item, str)]
        return [item for item in every if isinstance(item, Program)]

    def _embedded(self) -> list[Program]:
        data, elves = self._image.data, embedded(self._image)
        names: dict[int, list[str]] = {elf.address: [] for elf in elves}
        for symbol in self._image.symbols if elves else ():
            if symbol.address in names:
                names[symbol.address].append(symbol.path)
        found = []
        for elf in elves:
            # Where one ends the next one begins: of the symbols there, its own says so.
            called = sorted(names[elf.address], key=lambda name: not name.endswith(_START))
            name = called[0].removesuffix(_START) if called else f"{elf.address:#x}"
            contents = partial(_cut, data, elf.start, elf.size)
            part = partial(_part, data, elf.start, elf.size)
            found.append(Program(name, "in the kernel", contents, _KERNEL, elf.address, part))
        return _named(found)


def _cut(data: bytes, start: int, size: int) -> bytes:
    return data[start : start + size]


def _part(data: bytes, base: int, end: int, start: int, size: int) -> bytes:
    """Of the ELF of `end` bytes at `base`."""
    return data[base + start : base + min(start + size, end)]


def _named(programs: list[Program]) -> list[Program]:
    """The same, called by the source file that only one of them has, where there is such."""
    sources = [_sources(program) for program in programs]
    counts = Counter(name for names in sources for name in names)
    found = []
    for program, names in zip(programs, sources, strict=True):
        own = [name for name in names if counts[name] == 1]
        alone = len(own) == 1 and len(programs) > 1
        found.append(replace(program, name=own[0]) if alone else program)
    return found


def _sources(program: Program) -> set[str]:
    """The files that a program was made of, without what comes behind the first dot.

    rustc calls its units so in the debug info; and in the symbol table, where it optimizes.
    """
    if units := set(_units(program.contents())):
        return units
    try:
        names = program.image.source_names
    except ImageError:
        return set()
    return {name.partition(".")[0] for name in names if "." in name}


def _units(data: bytes) -> Iterator[str]:
    # What stands behind the name is looked for: a pattern with the name first tries each byte.
    for behind in _UNIT.finditer(data):
        start = behind.start()
        if name := _NAME.search(data[max(0, start - _MAX_NAME) : start]):
            yield name[0].decode("utf-8", "replace")


def programs_of(image: Image) -> Shelf:
    """The programs of that kernel: the same shelf as long as it is loaded."""
    return image.kept("programs", lambda: Shelf(image))
