"""Build each mutant of the kernel, run its chapter of tests/traces, and say what noticed it.

`python -m tests.mutants [--all] [NAME ...]`: those named, else all. Exit status 1 if one is not
built, not noticed, or noticed by other words than its header says.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rcdbg.image.elf import load_image
from rcdbg.machine.host.results import CaseResult
from rcdbg.machine.host.suite import Grade, run_suite
from tests.mutants import TRACES, Mutant, copy_sources, mutants, patch
from tests.support.variants import KERNEL, TARGET

WORKERS = 2
TIMEOUT = 300.0
"""Host seconds for one mutant: only for a machine that does not run at all, since tests have
deadlines in the guest's time."""

ENOUGH = 3
"""Failed tests of a chapter after which no more are run: each may take its whole deadline."""

_BAD = ("failed", "error")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: who noticed it and how; or `wrong`, why that is not so."""

    mutant: Mutant
    test: str = ""
    says: str = ""
    wrong: str = ""
    failed: tuple[str, ...] = ()
    """All tests that noticed."""
    seconds: float = 0.0


class BuildError(Exception):
    """The mutant could not be made."""


class Workshop:
    """Sources, cargo's target and the kernels built from them, in one temporary folder."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._alone = threading.Lock()
        self.source = copy_sources(work)
        built = KERNEL / "target"
        if built.is_dir():
            # What the kernel is made of beside itself, compiled already.
            shutil.copytree(built, work / "target", symlinks=True)
        self.original = self._build("original", ())
        self.build_id = load_image(self.original).build_id

    def make(self, mutant: Mutant) -> Path:
        """The mutant's ELF, one at a time; raises BuildError."""
        with self._alone:
            done = patch(self.source, mutant)
            if done.returncode:
                raise BuildError(f"does not apply: {_last(done.stdout)}")
            try:
                elf = self._build(mutant.name, mutant.build)
            finally:
                # In place, so that cargo sees by the files' times what has changed.
                patch(self.source, mutant, "--reverse")
        if not mutant.build and load_image(elf).build_id == self.build_id:
            raise BuildError("is the kernel as it was")
        return elf

    def _build(self, name: str, arguments: Sequence[str]) -> Path:
        target = self.work / "target"
        done = subprocess.run(
            [self.source / "build.sh", "build", *arguments],
            env={**os.environ, "CARGO_TARGET_DIR": str(target)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            errors = re.findall(r"^error.*$", done.stdout, re.MULTILINE)
            raise BuildError(f"does not build: {errors[0] if errors else _last(done.stdout)}")
        place = self.work / name
        place.mkdir()
        for file in ("os", "kernel.bin"):
            shutil.copy2(target / TARGET / "debug" / file, place / file)
        return place / "os"


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


def judge(mutant: Mutant, grade: Grade) -> Verdict:
    """Whether the right words were said, by whichever test."""
    bad = [test for test in grade.tests if test.outcome in _BAD]
    failed = tuple(test.name for test in bad)
    match = next((test for test in bad if mutant.says.search(test.cause)), None)
    if match is not None:
        return Verdict(mutant, match.name, match.cause, "", failed, grade.seconds)
    if not bad:
        wrong = grade.cause if grade.outcome == "error" else "survives"
        return Verdict(mutant, wrong=wrong, seconds=grade.seconds)
    first: CaseResult = bad[0]
    return Verdict(mutant, first.name, first.cause, "is noticed in other words", failed,
                   grade.seconds)  # fmt: skip


def run_all(chosen: Sequence[Mutant], every_chapter: bool) -> Iterator[Verdict]:
    """A verdict for each, in their order."""
    with tempfile.TemporaryDirectory(prefix="rcdbg-mutants-") as name:
        workshop = Workshop(Path(name))
        with ThreadPoolExecutor(WORKERS) as pool:
            yield from pool.map(lambda mutant: _try(workshop, mutant, every_chapter), chosen)


def _try(workshop: Workshop, mutant: Mutant, every_chapter: bool) -> Verdict:
    try:
        elf = workshop.make(mutant)
    except BuildError as error:
        return Verdict(mutant, wrong=str(error))
    suite = [str(TRACES)] if every_chapter else [str(mutant.chapter), f"--maxfail={ENOUGH}"]
    return judge(mutant, run_suite(suite, str(elf), timeout=TIMEOUT))


def show(verdict: Verdict) -> None:
    """Two lines: the mutant and who noticed it; what it was told, or what is wrong."""
    mark = "NOT CAUGHT" if verdict.wrong else "caught"
    more = f" and {len(verdict.failed) - 1} more" if len(verdict.failed) > 1 else ""
    print(f"{verdict.mutant.name:<28} {mark:<10} {verdict.test}{more} ({verdict.seconds:.0f} s)")
    if verdict.wrong:
        print(f"{'':<28} {verdict.wrong}; expected /{verdict.mutant.says.pattern}/")
    if verdict.says:
        print(f"{'':<28} {verdict.says}", flush=True)


def main() -> int:
    """Run those named on the command line, or all; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="mutants (default: all)")
    parser.add_argument(
        "--all", action="store_true", help="all chapters for each, not just its own"
    )
    arguments = parser.parse_args()
    every = mutants()
    unknown = set(arguments.names) - {m.name for m in every}
    if unknown:
        parser.error(f"no mutant {', '.join(sorted(unknown))}")
    chosen = [m for m in every if not arguments.names or m.name in arguments.names]
    begun = time.monotonic()
    verdicts = []
    for verdict in run_all(chosen, arguments.all):
        show(verdict)
        verdicts.append(verdict)
    caught = sum(not v.wrong for v in verdicts)
    noticed = {re.sub(r"\[.*", "", name) for v in verdicts for name in v.failed}
    print(f"\n{caught} of {len(verdicts)} mutants caught, {len(noticed)} tests have failed for one,"
          f" {time.monotonic() - begun:.0f} s")  # fmt: skip
    return 0 if caught == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
