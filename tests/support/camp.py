"""A project as students have it: `tests/camp`, copied, with a toolchain that can build it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.variants import ROOT, TARGET

_TOOLCHAIN = """
set -eu
say() { printf '%s\\n' "$*" >&2; }
fail() { say "$@"; exit 2; }
. "$0"
find_toolchain "$1"
export CARGO_FLAGS="${build_flags[*]-}"
exec env -0
"""
_SECONDS = 300


def toolchain() -> dict[str, str]:
    """The environment in which cargo builds for the kernel's target."""
    found = subprocess.run(
        ["bash", "-c", _TOOLCHAIN, str(ROOT / "kernel" / "toolchain.sh"), TARGET],
        check=True, capture_output=True, text=True, timeout=_SECONDS,
    ).stdout  # fmt: skip
    environment = {"PYTHONPATH": str(ROOT)}
    for one in found.split("\0"):
        name, _, value = one.partition("=")
        if name:
            environment[name] = value
    return environment


@dataclass(frozen=True)
class Camp:
    """The copy: `os` and `user` are its folders."""

    os: Path
    user: Path
    environment: dict[str, str]

    @property
    def elf(self) -> Path:
        """Where the user's own build is."""
        return self.os / "target" / TARGET / "release" / "os"

    @property
    def debug_elf(self) -> Path:
        """Where rcdbg's build is."""
        return self.os / "target" / "rcdbg" / TARGET / "release" / "os"

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command in `os`."""
        return subprocess.run(
            words, cwd=self.os, env=self.environment, stdin=subprocess.DEVNULL, check=False,
            capture_output=True, text=True, timeout=_SECONDS,
        )  # fmt: skip

    def rcdbg(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`rcdbg` in `os`."""
        return self.run(sys.executable, "-m", "rcdbg.cli.main", *words)

    def files(self) -> dict[str, bytes]:
        """All files but those that are built."""
        root = self.os.parent
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and "target" not in path.relative_to(root).parts
        }


def camp(work: Path) -> Camp:
    """A copy in a folder, not built yet."""
    root = work / "camp"
    shutil.copytree(ROOT / "tests" / "camp", root, ignore=shutil.ignore_patterns("target"))
    environment = {**os.environ, **toolchain()}
    return Camp(root / "os", root / "user", environment)
