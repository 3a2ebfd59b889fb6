"""The test kernels in the shapes of other families: tests/kernels, built, and what they say."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.variants import KERNEL, ROOT, TARGET

SOURCE = ROOT / "tests" / "kernels"
MEMORY = "32M"


@cache
def build(package: str, *arguments: str, target: Path | None = None) -> Path:
    """Builds a package; the folder with its programs. `arguments` are cargo's, as --release.

    The libraries are built where those of the sample kernel are, so that both use the same.
    """
    target = target or KERNEL / "target"
    subprocess.run(
        [SOURCE / "build.sh", "-p", package, *arguments],
        check=True,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    profile = "release" if "--release" in arguments else "debug"
    return target / TARGET / profile


@dataclass(frozen=True)
class Account:
    """What a kernel says that it holds; threads go by their number, or by `process.thread`."""

    number: int
    free: int | None = None
    heap: tuple[int, int] | None = None
    """Bytes given out, and all."""
    kernel_root: int | None = None
    current: str | None = None
    tasks: dict[str, dict[str, str]] = field(default_factory=dict)
    processes: dict[str, dict[str, str]] = field(default_factory=dict)
    ready: tuple[str, ...] = ()
    ended: int = 0
    """Threads that have ended and that nobody has waited for yet."""


def accounts(console: str) -> list[Account]:
    """All that were told to the end, in order."""
    found = re.finditer(r"^account (\d+)\r?\n(.*?)^accounted \1\r?$", console, re.M | re.S)
    return [_account(int(each[1]), each[2]) for each in found]


def _account(number: int, text: str) -> Account:
    said: dict[str, dict[str, dict[str, str]]] = {"task": {}, "process": {}}
    ready: list[str] = []
    one: dict[str, str] = {}
    ended = 0
    for line in text.splitlines():
        kind, _, rest = line.strip().partition(" ")
        name, *words = rest.split()
        pairs = dict(word.split("=", 1) for word in (name, *words) if "=" in word)
        if kind in said:
            said[kind][name] = pairs
        elif kind == "ready":
            ready.append(name)
        elif kind == "ended":
            ended += 1
        elif kind == "current":
            one["current"] = name
        else:
            one |= {f"{kind}.{key}": value for key, value in pairs.items()}
    heap = one.get("memory.heap", "").split("/")
    return Account(
        number,
        int(one["memory.free"]) if "memory.free" in one else None,
        (int(heap[0]), int(heap[1])) if len(heap) == 2 else None,
        int(one["kernel.root"], 16) if "kernel.root" in one else None,
        None if one["current"] == "none" else one["current"],
        said["task"],
        said["process"],
        tuple(ready),
        ended,
    )


def bounds(text: str) -> tuple[int, int]:
    """`0x1000..0x2000` as numbers."""
    start, end = text.split("..")
    return int(start, 16), int(end, 16)
