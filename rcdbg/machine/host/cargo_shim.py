"""Stands before cargo, and before its rustc, while the user's own build runs, for debug info.

A script of its own, started as `cargo` by whatever builds: it needs nothing but Python. Builds into
the kernel's target folder ($RCDBG_TARGET) go to a folder in it; all others, as of user programs,
are cargo's own affair. Debug info is asked of rustc, not of cargo: a profile with `debug = 2` has
other symbol hashes, by which the optimiser makes other code. The folder is an option and not in the
environment, which build scripts and the cargos that they start would inherit.
Source: The Cargo Book, "cargo build" (--target-dir), "Environment Variables" (RUSTC_WRAPPER).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

CARGO, TARGET, BUILT = "RCDBG_CARGO", "RCDBG_TARGET", "RCDBG_BUILT"
WRAPPER, WRAPPED = "RCDBG_WRAPPER", "RCDBG_WRAPPED"
AS_RUSTC = "--as-rustc"
FOLDER = "rcdbg"
"""In cargo's target folder: what is built with debug info."""

_DEBUG_INFO = ("-Cdebuginfo=2", "-Cstrip=none")
_BUILDS = ("build", "b", "rustc")
_SECONDS = 60


def into(folder: str, arguments: "list[str]") -> "list[str]":
    """The arguments of a cargo that builds, with `folder` for its target folder."""
    at = next(i for i, word in enumerate(arguments) if word in _BUILDS) + 1
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept, rest = [], arguments[at:end]
    while rest:
        word = rest.pop(0)
        if word == "--target-dir" and rest:
            rest.pop(0)
        elif not word.startswith("--target-dir="):
            kept.append(word)
    return [*arguments[:at], "--target-dir", folder, *kept, *arguments[end:]]


def with_debug_info(folder: Path, arguments: "list[str]") -> "list[str]":
    """The arguments of a rustc, with debug info if it compiles for the kernel into `folder`.

    What runs on the host has no --target, and what a build script builds lies in its `out`.
    """
    placed = [i + 1 for i, word in enumerate(arguments[:-1]) if word == "--out-dir"]
    is_for_target = any(word.split("=")[0] == "--target" for word in arguments)
    if not placed or not is_for_target:
        return arguments
    place = Path(os.path.realpath(arguments[placed[0]]))
    if not place.is_relative_to(folder) or "out" in place.relative_to(folder).parts:
        return arguments
    return [*arguments, *_DEBUG_INFO]


def _target_of(cargo: str, arguments: "list[str]") -> "str | None":
    """The folder into which this cargo would build."""
    asked = [cargo, *(word for word in arguments[:1] if word.startswith("+"))]
    asked += ["metadata", "--no-deps", "--format-version", "1"]
    for i, word in enumerate(arguments):
        name, _, value = word.partition("=")
        value = value or "".join(arguments[i + 1 : i + 2])
        if name == "--target-dir":
            return os.path.realpath(value)
        if name == "--manifest-path":
            asked += [name, value]
    try:
        done = subprocess.run(
            asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True
        )
        return str(os.path.realpath(json.loads(done.stdout)["target_directory"]))
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None  # cargo itself says what is wrong


def main() -> None:
    """Become cargo, or what it calls rustc."""
    target = Path(os.path.realpath(os.environ[TARGET]))
    folder = target / FOLDER
    if sys.argv[1:2] == [AS_RUSTC]:
        rustc, *arguments = sys.argv[2:]
        words = [rustc, *with_debug_info(folder, arguments)]
        if os.environ.get(WRAPPED):
            words.insert(0, os.environ[WRAPPED])
        os.execvp(words[0], words)
    cargo, arguments = os.environ[CARGO], sys.argv[1:]
    plain = [word for word in arguments if not word.startswith("+")]
    if plain and plain[0] in _BUILDS and _target_of(cargo, arguments) == str(target):
        arguments = into(str(folder), arguments)
        os.environ[WRAPPED] = os.environ.get("RUSTC_WRAPPER", "")
        os.environ["RUSTC_WRAPPER"] = os.environ[WRAPPER]
        with Path(os.environ[BUILT]).open("a", encoding="utf-8") as seen:
            seen.write("built\n")
    os.execv(cargo, [cargo, *arguments])


if __name__ == "__main__":
    main()
