"""Running what builds the user's kernel. Only ever for the user's own folder."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rcdbg.errors import MachineError
from rcdbg.machine.host import cargo_shim
from rcdbg.machine.host.session import scratch

_SECONDS = 60.0


def run(command: str | Sequence[str], folder: Path) -> int:
    """Run a command of the user's in our terminal; a text is for the shell. Its exit status."""
    return _run(command, folder, None)


def run_with_debug_info(command: str | Sequence[str], folder: Path, target: Path) -> int | None:
    """The same, with what cargo builds into the folder `target` built into another, with DWARF.

    That is `rcdbg` in `target`. None if the command ended well and cargo built nothing there.
    Raises MachineError without a cargo.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise MachineError("cargo is not installed: see rustup.rs")
    with scratch() as place:
        shim, wrapper, seen = place / "cargo", place / "rustc-with-debug-info", place / "built"
        python = shlex.join([sys.executable, "-I", "-S", cargo_shim.__file__])
        for script, more in ((shim, ""), (wrapper, f" {cargo_shim.AS_RUSTC}")):
            script.write_text(f'#!/bin/sh\nexec {python}{more} "$@"\n')
            script.chmod(stat.S_IRWXU)
        status = _run(command, folder, {
            **os.environ,
            "PATH": f"{place}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            cargo_shim.CARGO: cargo,
            cargo_shim.TARGET: str(target.absolute()),
            cargo_shim.BUILT: str(seen),
            cargo_shim.WRAPPER: str(wrapper),
        })  # fmt: skip
        return None if status == 0 and not seen.exists() else status


def _run(command: str | Sequence[str], folder: Path, environment: dict[str, str] | None) -> int:
    # All that it says goes to stderr: our own answer may be read by a program.
    return subprocess.run(
        command, cwd=folder, env=environment, shell=isinstance(command, str),
        stdout=sys.stderr.fileno(), check=False,
    ).returncode  # fmt: skip


def cargo_metadata(folder: Path) -> dict[str, Any] | None:
    """What `cargo metadata` says of the package in `folder`; None without one, or without cargo."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return None
    try:
        done = subprocess.run(
            [cargo, "metadata", "--no-deps", "--format-version", "1"],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return found
