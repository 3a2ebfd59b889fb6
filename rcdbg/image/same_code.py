"""Whether two ELFs are the same code, so that one can be debugged by the other's debug info."""

from dataclasses import dataclass
from pathlib import Path

from rcdbg.errors import ImageError
from rcdbg.image.elf import Image, Section, load_image

BESIDE = "rcdbg"
"""The folder in cargo's target folder that has builds with debug info."""

_DEPTH = 4
"""Folders between cargo's target folder and an ELF, at the most: triple, profile, deps."""


@dataclass(frozen=True, slots=True)
class CodeDifference:
    """What differs between two ELFs' sections in memory: one line each, empty where nothing does.

    `layout` is about where the other sections lie: variables are found there.
    """

    code: tuple[str, ...]
    layout: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether either can stand for the other."""
        return not self.code and not self.layout


def difference(mine: Image, other: Image) -> CodeDifference:
    """What of `other` is not as in `mine`."""
    code: list[str] = []
    layout: list[str] = []
    ours, theirs = _loaded(mine), _loaded(other)
    for name in sorted({*ours, *theirs}):
        one, two = ours.get(name), theirs.get(name)
        says = code if "x" in (one or two or _NOTHING).flags else layout
        if one is None or two is None:
            says.append(f"{name} is only in {(mine if two is None else other).path}")
        elif one.address != two.address:
            says.append(f"{name} begins at {two.address:#x} instead of {one.address:#x}")
        elif one.size != two.size:
            says.append(f"{name} has {two.size} bytes instead of {one.size}")
        elif "x" in one.flags and (changed := _changed(mine, other, one)):
            says.append(f"{name} differs in {changed} of {one.size} bytes")
    if mine.entry != other.entry:
        code.append(f"the entry is {other.entry:#x} instead of {mine.entry:#x}")
    return CodeDifference(tuple(code), tuple(layout))


def debug_build_of(image: Image) -> Image | None:
    """A build with debug info and the same code, where `rcdbg build` puts it; None without one."""
    here = image.path.absolute()
    for folder in here.parents[:_DEPTH]:
        candidate = folder / BESIDE / here.relative_to(folder)
        if BESIDE in here.relative_to(folder).parts or not candidate.is_file():
            continue
        try:
            found = load_image(candidate)
        except ImageError:
            continue
        if found.has_debug_info and difference(image, found).is_none:
            return found
    return None


def place_of_debug_build(elf: Path, target: Path) -> Path:
    """Where the build with debug info of an ELF in cargo's folder `target` is."""
    return target / BESIDE / elf.absolute().relative_to(target.absolute())


_NOTHING = Section("", 0, 0, "")


def _loaded(image: Image) -> dict[str, Section]:
    return {s.name: s for s in image.sections if "a" in s.flags and s.size}


def _changed(mine: Image, other: Image, section: Section) -> int:
    one, two = (i.read(section.address, section.size) for i in (mine, other))
    if one is None or two is None:
        return section.size
    if one == two:
        return 0
    return sum(a != b for a, b in zip(one, two, strict=True))
