"""Kernels with one fault each, and what the doctor must say of them: how good it is, in numbers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import PATCHES
from tests.support.shapes import SOURCE as SHAPES
from tests.support.variants import KERNEL, ROOT, TARGET

GRAVE = ("error", "warning")
SECONDS = 120
"""For one diagnosis: only against a machine that does not run at all."""


class BuildError(Exception):
    """A faulty kernel could not be made."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A text that stands once in a file of the kernel, and what a student wrote instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel with a fault, or a healthy one, if it has no `codes`."""

    name: str
    kernel: str
    """"sample", or a program of tests/kernels/v3."""
    codes: tuple[str, ...] = ()
    """Each of these names the fault rightly."""
    edits: tuple[Edit, ...] = ()
    mutant: str = ""
    """The patch of tests/mutants that makes it, instead of edits."""
    words: tuple[str, ...] = ()
    """For `rcdbg doctor`."""
    also: tuple[str, ...] = ()
    """What follows from the fault, and is right to be told of, below it."""

    @property
    def group(self) -> str:
        """The class of faults, by the first digits of its code; "healthy" for none."""
        return self.codes[0][:4] if self.codes else "healthy"


@dataclass(frozen=True, slots=True)
class Said:
    """What the doctor said of a case: codes above a note, in their order."""

    case: Case
    codes: tuple[str, ...]
    trouble: str = ""
    """Why there is no diagnosis, or ""."""

    @property
    def is_found(self) -> bool:
        """Whether the fault is among what was said."""
        return bool(set(self.codes) & set(self.case.codes))

    @property
    def is_first(self) -> bool:
        """Whether it was named first."""
        return bool(self.codes) and self.codes[0] in self.case.codes

    @property
    def wrong(self) -> tuple[str, ...]:
        """What was said and is not so."""
        right = {*self.case.codes, *self.case.also}
        return tuple(code for code in self.codes if code not in right)


class Workshop:
    """Copies of the kernels' sources, changed in place and back, and what is built from them."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.target = work / "target"
        away = shutil.ignore_patterns("target")
        shutil.copytree(KERNEL, work / "kernel", ignore=away)
        shutil.copytree(SHAPES, work / "tests" / "kernels", ignore=away)
        if (KERNEL / "target").is_dir():
            # What the kernels are made of beside themselves, compiled already.
            shutil.copytree(KERNEL / "target", self.target, symlinks=True)

    def make(self, case: Case) -> Path:
        """The case's ELF, in a folder of its own; raises BuildError."""
        source = self._source(case)
        before = {edit.file: (source / edit.file).read_text() for edit in case.edits}
        try:
            for edit in case.edits:
                _change(source / edit.file, edit)
            if case.mutant:
                self._patch(case)
            return self._build(case)
        finally:
            # In place, so that cargo sees by the files' times what has changed.
            for file, text in before.items():
                (source / file).write_text(text)
            if case.mutant:
                self._patch(case, "--reverse")

    def _source(self, case: Case) -> Path:
        sample = case.kernel == "sample"
        return self.work / "kernel" if sample else self.work / "tests" / "kernels" / "v3" / "src"

    def _patch(self, case: Case, *options: str) -> None:
        _run(["patch", "-p0", "--fuzz=0", "--batch", "--no-backup-if-mismatch", *options, "-i",
              str(PATCHES / f"{case.mutant}.patch")], self.work / "kernel")  # fmt: skip

    def _build(self, case: Case) -> Path:
        if case.kernel == "sample":
            command, name = [str(self.work / "kernel" / "build.sh"), "build"], "os"
        else:
            build = self.work / "tests" / "kernels" / "build.sh"
            command, name = [str(build), "-p", "v3", "--bin", case.kernel], case.kernel
        _run(command, self.work, {"CARGO_TARGET_DIR": str(self.target)})
        place = self.work / "built" / case.name
        place.mkdir(parents=True)
        return Path(shutil.copy2(self.target / TARGET / "debug" / name, place / name))


def _change(path: Path, edit: Edit) -> None:
    text = path.read_text()
    if text.count(edit.old) != 1:
        raise BuildError(f"{edit.file} has {edit.old!r} {text.count(edit.old)} times")
    path.write_text(text.replace(edit.old, edit.new))


def _run(command: Sequence[str], folder: Path, more: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(more or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("error")]
        raise BuildError(f"{command[0]}: {(errors or done.stdout.splitlines()[-1:] or ['?'])[0]}")


def diagnosis(case: Case, elf: Path) -> Said:
    """What `rcdbg doctor` says of this kernel."""
    words = [*case.words, *([] if "--at" in case.words else ["--timeout", "10"])]
    if case.kernel == "sample":
        words += ["--kernel", str(elf), "--memory", "32M"]
    else:
        words += ["--", "qemu-system-riscv64", "-machine", "virt", "-nographic", "-m", "32M",
                  "-bios", "default", "-kernel", str(elf)]  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rcdbg.cli.main", "doctor", "--json", *words], cwd=ROOT,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Said(case, (), f"no answer in {SECONDS} s")
    try:
        findings = json.loads(done.stdout)["diagnosis"]["findings"]
    except (ValueError, KeyError):
        return Said(case, (), (done.stderr.strip().splitlines() or ["no JSON"])[-1])
    return Said(case, tuple(f["code"] for f in findings if f["severity"] in GRAVE))
