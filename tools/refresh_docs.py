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


def output(command: str) -> str:
    """What `rcdbg ...` prints, at 100 columns, without this machine's paths."""
    program, *arguments = shlex.split(command)
    if program != "rcdbg":
        raise ValueError(f"not a command of ours: {command}")
    done = subprocess.run(
        [sys.executable, "-m", "rcdbg.cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.replace(f"{ROOT}/", "")


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
