"""Faults of students as patches to the kernel; the tests in tests/traces must notice each."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.variants import KERNEL, ROOT

PATCHES = Path(__file__).parent / "patches"
TRACES = ROOT / "tests" / "traces"

_KEYS = ("Fault", "Chapter", "Says", "Build")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch: what was done wrong, the chapter that must notice, and words that it must say."""

    path: Path
    fault: str
    chapter: Path
    says: re.Pattern[str]
    build: tuple[str, ...] = ()
    """Arguments for cargo, where the fault is in a part that is not built otherwise."""

    @property
    def name(self) -> str:
        """The patch's name."""
        return self.path.stem


def mutants() -> list[Mutant]:
    """All of them, by name; raises ValueError for a header that is not as the README says."""
    return [read(path) for path in sorted(PATCHES.glob("*.patch"))]


def read(path: Path) -> Mutant:
    """A mutant, from the comment before its patch; raises ValueError."""
    header = dict(_header(path))
    unknown = header.keys() - set(_KEYS)
    missing = set(_KEYS) - {"Build"} - header.keys()
    if unknown or missing:
        wrong = ", ".join(sorted(unknown | missing))
        raise ValueError(f"{path.name}: missing or not known in its header: {wrong}")
    chapter = TRACES / header["Chapter"]
    if not chapter.is_file():
        raise ValueError(f"{path.name}: there is no {chapter}")
    build = tuple(header.get("Build", "").split())
    return Mutant(path, header["Fault"], chapter, re.compile(header["Says"]), build)


def _header(path: Path) -> Iterator[tuple[str, str]]:
    key, text = "", ""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if found := re.match(r"# (\w+): (.*)", line):
            if key:
                yield key, text
            key, text = found.groups()
        else:
            text += " " + line.lstrip("# ")
    if key:
        yield key, text


def copy_sources(work: Path) -> Path:
    """A copy of the kernel's sources, to be patched."""
    source = work / "kernel"
    shutil.copytree(KERNEL, source, ignore=shutil.ignore_patterns("target"))
    return source


def patch(source: Path, mutant: Mutant, *options: str) -> "subprocess.CompletedProcess[str]":
    """Apply the patch to a kernel's sources; exact, without a look elsewhere in the file."""
    return subprocess.run(
        ["patch", "-p0", "--fuzz=0", "--batch", "--no-backup-if-mismatch", *options, "-i",
         str(mutant.path)],
        cwd=source, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
