"""Kernels that differ from the sample: other features, a release build, fields in another order."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "kernel"
TARGET = "riscv64imac-unknown-none-elf"

REORDERED = ("Thread", "ThreadInner", "Process", "ProcessInner", "Processor", "MemorySet",
             "Mapping", "FrameAllocator", "StackedAllocator", "FifoScheduler")  # fmt: skip
"""Structs whose fields are put in reverse order, in memory as well."""


@dataclass(frozen=True)
class Variant:
    """A way to build the kernel; `folder` names its profile's folder in cargo's target."""

    name: str
    arguments: tuple[str, ...] = ()
    folder: str = "debug"
    reordered: bool = False


VARIANTS = (
    Variant("release-and-reordered", ("--release",), "release", reordered=True),
    Variant("other-scheduler-and-allocator", ("--features", "scheduler-priority,allocator-bitmap")),
)


def build(variant: Variant, work: Path) -> Path:
    """The variant's ELF, with kernel.bin beside it; builds of one `work` share their libraries."""
    source = KERNEL
    if variant.reordered:
        source = work / "source"
        shutil.copytree(KERNEL, source, ignore=shutil.ignore_patterns("target"))
        reorder(source)
    subprocess.run(
        [source / "build.sh", "build", *variant.arguments],
        check=True,
        env={**_environment(), "CARGO_TARGET_DIR": str(work / "target")},
    )
    built = work / "target" / TARGET / variant.folder
    place = work / variant.name
    place.mkdir()
    for name in ("os", "kernel.bin"):
        shutil.copy2(built / name, place / name)
    return place / "os"


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def reorder(source: Path) -> None:
    """Reverse the fields of the REORDERED structs, and keep Rust from sorting them again."""
    left = set(REORDERED)
    for path in source.rglob("*.rs"):
        text, done = reversed_fields(path.read_text(), REORDERED)
        left -= done
        path.write_text(text)
    if left:
        raise ValueError(f"structs that were not found: {', '.join(sorted(left))}")


def reversed_fields(text: str, names: Iterable[str]) -> tuple[str, set[str]]:
    """A source with the fields of these structs in reverse order, and those that it has."""
    done = set()
    for name in names:
        pattern = rf"^(pub(?:\(\w+\))? )?struct {name}\b([^{{;]*)\{{\n(.*?)^\}}"
        match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        if match is None:
            continue
        done.add(name)
        fields = "\n".join(reversed(_fields(match[3])))
        new = f"#[repr(C)]\n{match[1] or ''}struct {name}{match[2]}{{\n{fields}\n}}"
        text = text[: match.start()] + new + text[match.end() :]
    return text, done


def _fields(body: str) -> list[str]:
    """Each field with the comments and attributes above it."""
    fields: list[list[str]] = [[]]
    for line in body.splitlines():
        fields[-1].append(line)
        if re.match(r"    (pub(\(\w+\))? )?\w+: .*,$", line):
            fields.append([])
    return ["\n".join(lines) for lines in fields if lines]
