"""Make the pictures and the printed examples of the README and the docs anew, by the program.

A block between `<!-- output of: COMMAND -->` and `<!-- end of output -->` becomes what COMMAND
prints; docs/tui.svg becomes what the full-screen debugger shows.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rcdbg.image.locate import default_kernel
from rcdbg.trace.run import Boot
from rcdbg.tui.live import SessionOptions
from rcdbg.tui.screenshot import take_screenshot

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "tui.svg"
_BLOCK = re.compile(r"(<!-- output of: (.+?) -->\n).*?(<!-- end of output -->)", re.DOTALL)


_PROGRAMS = {"rcdbg": "rcdbg.cli.main", "pytest": "pytest"}
_MAY_FAIL = {"rcdbg grade": (0, 1), "pytest": (0, 1)}
"""Commands that are shown as they find what is wrong, with their exit statuses."""

_ELAPSED = re.compile(r" in [0-9]+\.[0-9]+s(?: \([0-9:]+\))?|(?<=, )[0-9.]+ s$", re.MULTILINE)


def output(command: str) -> str:
    """What `rcdbg ...` or `pytest ...` prints, at 100 columns, without paths of this machine."""
    program, *arguments = shlex.split(command)
    if program not in _PROGRAMS:
        raise ValueError(f"not a command of ours: {command}")
    done = subprocess.run(
        [sys.executable, "-m", _PROGRAMS[program], *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    name = f"{program} {arguments[0]}" if program == "rcdbg" else program
    if done.returncode not in _MAY_FAIL.get(name, (0,)):
        raise RuntimeError(f"{command}: status {done.returncode}: {done.stderr}")
    return _ELAPSED.sub("", done.stdout).replace(f"{ROOT}/", "")


def refresh(text: str) -> str:
    """The document with its examples made anew."""

    def block(found: re.Match[str]) -> str:
        command = found[2]
        return f"{found[1]}```console\n$ {command}\n{output(command)}```\n{found[3]}"

    return _BLOCK.sub(block, text)


def main() -> None:
    """Refresh all documents, then the picture."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        before = path.read_text()
        after = refresh(before)
        if after != before:
            path.write_text(after)
            print(f"refreshed {path.relative_to(ROOT)}")
    options = SessionOptions(
        Boot(default_kernel(), "scenario=preempt"), gdb=None, at="handle_interrupt:5"
    )
    take_screenshot(options, PICTURE, keys=["t", "t"])
    # Where the sources lie on this machine is nobody's business.
    PICTURE.write_text(PICTURE.read_text().replace(f"{ROOT}/", ""))
    print(f"refreshed {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
