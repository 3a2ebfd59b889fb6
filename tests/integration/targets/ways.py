"""What every target is asked, and how a kernel is let go and looked at from outside."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rcdbg.guest.protocol import Target
from rcdbg.model.kernel import Kernel
from rcdbg.subjects.table import SUBJECTS
from rcdbg.trace.run import Run
from tests.support.in_gdb import TIMEOUT
from tests.support.questions import walk


def addresses(kernel: Kernel) -> list[int]:
    """Mapped code, mapped data, an unmapped one, one that is none."""
    return [kernel.registers.pc, kernel.registers.sp, 0x1234, 1 << 63, (1 << 64) - 1]


def answers(kernel: Kernel) -> list[dict[str, Any]]:
    """What every decoder says."""
    found = [s.answer(kernel).document for s in SUBJECTS]
    return found + [walk(kernel, va).document for va in addresses(kernel)]


def through(run: Run, target: Target) -> list[dict[str, Any]]:
    return answers(Kernel.now(run.image, target))


def let_go(run: Run) -> None:
    run.stub.resume()
    run.stub.close()


def is_running(run: Run) -> bool:
    return "running" in run.qemu.monitor.hmp("info status")


def rcdbg(*words: str | Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *map(str, words)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env={**os.environ, **({"PATH": path} if path is not None else {})},
    )  # fmt: skip


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("rcdbg: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
