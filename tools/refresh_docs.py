"""Make the pictures and the printed examples of the README and the docs anew, by the program.

A block between `<!-- output of: COMMAND -->` and `<!-- end of output -->` becomes what COMMAND
prints; the blocks of a document run one after the other in a folder of their own, where they may
leave recordings. One between `<!-- made from: MODULE:FUNCTION -->` and `<!-- end of what is made
-->` becomes what that function returns, one between `<!-- keys -->` and `<!-- end of keys -->` a
table of the full-screen debugger's keys. docs/tui.svg becomes what that shows, docs/timeline.svg
what `rcdbg trace draw` makes of a recording. Run as `python -m tools.refresh_docs [DOCUMENT...]`.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rcdbg.image.locate import default_kernel
from rcdbg.lazy import named as function
from rcdbg.trace.run import Boot
from rcdbg.tui.keys import KEYS, Key
from rcdbg.tui.live.session import SessionOptions
from tools.screenshot import take_screenshot

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "tui.svg"
TIMELINE = ROOT / "docs" / "timeline.svg"
_RECORDED = (
    "--scenario sleepers --append interval=100000 --deterministic --backend stub "
    "--events traps,threads,console"
)
_MADE = re.compile(r"(<!-- made from: (\S+) -->\n).*?(<!-- end of what is made -->)", re.DOTALL)
_BLOCK = re.compile(r"(<!-- output of: (.+?) -->\n).*?(<!-- end of output -->)", re.DOTALL)
_KEYS = re.compile(r"(<!-- keys -->\n).*?(<!-- end of keys -->)", re.DOTALL)

_PROGRAMS = {"rcdbg": "rcdbg.cli.main", "pytest": "pytest"}
_MAY_FAIL = ("rcdbg trace diff", "rcdbg grade", "pytest")
"""Commands that end with status 1 when they have found what they are there to find."""

_VARYING = re.compile(r"(?<=passed|failed) in [0-9.]+s(?: \([0-9:]+\))?", re.MULTILINE)
_LINKED = ("README.md", "docs", "kernel", "tests")


def output(command: str, folder: Path) -> str:
    """What `rcdbg ...` or `pytest ...` prints there, at 100 columns, without paths and times."""
    program, *arguments = shlex.split(command)
    if program not in _PROGRAMS:
        raise ValueError(f"not a command of ours: {command}")
    for name in _LINKED:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", _PROGRAMS[program], *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode not in ((0, 1) if command.startswith(_MAY_FAIL) else (0,)):
        raise RuntimeError(f"{command}: {done.stderr}")
    return _VARYING.sub("", done.stdout).replace(f"{ROOT}/", "").replace(f"{folder}/", "")


def refresh(text: str) -> str:
    """The document with its examples made anew."""

    with tempfile.TemporaryDirectory() as folder:

        def block(found: re.Match[str]) -> str:
            command = found[2]
            return (
                f"{found[1]}```console\n$ {command}\n{output(command, Path(folder))}```\n{found[3]}"
            )

        return _BLOCK.sub(block, text)


def with_keys(text: str) -> str:
    """The document with its table of keys made anew."""
    rows = ["|  | key | does | while the kernel |", "| --- | --- | --- | --- |"]
    listed = [key for key in KEYS if key.help]
    for group in dict.fromkeys(key.group for key in listed):
        title: str = group
        for key in listed:
            if key.group == group:
                name = f"`{key.name}`" if len(key.name) == 1 else key.name
                rows.append(f"| {title} | {name} | {key.help} | {_while(key)} |")
                title = ""
    table = "".join(f"{row}\n" for row in rows)
    return _KEYS.sub(lambda found: f"{found[1]}{table}{found[2]}", text)


def _while(key: Key) -> str:
    """What the kernel must be doing, for the key to do anything; empty if that is little."""
    words = {"stopped": "stands", "running": "runs"}
    return "" if "exited" in key.when else " or ".join(words[a] for a in words if a in key.when)


def made(text: str) -> str:
    """The document with what tables of the program say made anew."""
    return _MADE.sub(lambda found: f"{found[1]}{function(found[2])()}{found[3]}", text)


def draw_timeline() -> None:
    """Make the picture of docs/tracing.md."""
    with tempfile.TemporaryDirectory() as folder:
        output(f"rcdbg trace {_RECORDED} -o t.jsonl", Path(folder))
        output(f"rcdbg trace draw t.jsonl --svg {TIMELINE}", Path(folder))


def main() -> None:
    """Refresh the documents that are named, or all of them and the pictures."""
    named = [Path(name).resolve() for name in sys.argv[1:]]
    for path in named or (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        before = path.read_text()
        after = with_keys(refresh(made(before)))
        if after != before:
            path.write_text(after)
            print(f"refreshed {path.relative_to(ROOT)}")
    draw_timeline()
    if named:
        return
    options = SessionOptions(
        Boot(default_kernel(), "scenario=preempt"), gdb=None, at="handle_interrupt:5"
    )
    take_screenshot(options, PICTURE, keys=["t", "t"])
    # Where the sources lie on this machine is nobody's business.
    PICTURE.write_text(PICTURE.read_text().replace(f"{ROOT}/", ""))
    print(f"refreshed {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
