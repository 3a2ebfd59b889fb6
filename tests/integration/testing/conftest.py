"""Suites written into a folder of their own, and run as a student would run them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rcdbg

ROOT = Path(rcdbg.__file__).parents[1]
SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """What a run of pytest left behind."""

    status: int
    text: str
    junit: ElementTree.Element

    def failure(self, test: str) -> str:
        """The whole failure of a test, as JUnit has it."""
        (case,) = (c for c in self.junit.iter("testcase") if c.get("name") == test)
        (found,) = (child for child in case if child.tag in ("failure", "error"))
        return found.text or ""

    def properties(self, test: str) -> dict[str, str]:
        """What a test recorded."""
        (case,) = (c for c in self.junit.iter("testcase") if c.get("name") == test)
        return {p.get("name", ""): p.get("value", "") for p in case.iter("property")}


RunSuite = Callable[..., Outcome]


def command(suite: Path, kernel: Path, *options: str) -> list[str]:
    """A pytest over `suite`, with this rcdbg, in a folder outside of the repository."""
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import pytest; sys.exit(pytest.main())"
    asyncio = ("-p", "no:asyncio")  # it warns about the missing configuration of these suites
    return [sys.executable, "-c", start, str(suite), f"--rcdbg-kernel={kernel}", *asyncio,
            "-p", "no:cacheprovider", *options]  # fmt: skip


@pytest.fixture
def run_suite(tmp_path: Path, rcdbg_kernel: Path) -> RunSuite:
    """Run tests given as text over the kernel under test."""

    def run(text: str, *options: str, kernel: Path = rcdbg_kernel) -> Outcome:
        folder = tmp_path / "students-own"
        folder.mkdir(exist_ok=True)
        (folder / "test_mine.py").write_text(text)
        junit = tmp_path / "junit.xml"
        done = subprocess.run(
            [*command(folder, kernel.absolute(), "--junitxml", str(junit)), *options],
            cwd=folder,
            env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert junit.is_file(), done.stdout
        return Outcome(done.returncode, done.stdout, ElementTree.parse(junit).getroot())

    return run
