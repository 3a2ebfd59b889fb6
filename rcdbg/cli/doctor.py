"""`rcdbg doctor`: what is wrong with a kernel; `rcdbg explain`: what a fault is."""

import argparse
import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcdbg.cli import show
from rcdbg.cli.door import tell
from rcdbg.errors import UsageError

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.subjects.subject import Answer

GRAVE_STATUS = 3
"""The exit status where something is certainly broken."""

_MAX_CONSOLE = 1 << 24
_HANG_SECONDS = 3.0


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    parser = commands.add_parser(
        "doctor",
        help="boot, say what is wrong with the kernel, end",
        description="Say what is wrong with the kernel: each fault with what shows it, its cause "
        "and what to do. It is followed from its boot to its end, or for --timeout seconds, and "
        "what went wrong first is told first; if it neither ends nor goes wrong, what it does "
        "instead. With --at, --snapshot, --attach or --live one moment is looked at. "
        f"Exit status {GRAVE_STATUS} if something is certainly broken.",
    )
    parser.add_argument(
        "--console", metavar="FILE", type=Path, help="what the kernel has printed before"
    )
    parser.add_argument(
        "--hang",
        metavar="SECONDS",
        nargs="?",
        type=float,
        const=_HANG_SECONDS,
        help=f"boot, let it run for so long (default: {_HANG_SECONDS:g}), and say what it does "
        "instead of going on",
    )
    show.add_source(parser)
    parser.set_defaults(run=_doctor)
    explain = commands.add_parser("explain", help="tell what a fault of that code is")
    explain.add_argument("code", nargs="?", metavar="CODE", help="RC0101, ...; without: a list")
    explain.add_argument(
        "--kernel",
        metavar="ELF",
        type=Path,
        default=argparse.SUPPRESS,
        help="for the text of a "
        "console on standard input: `rcdbg explain --kernel ELF < console.log`",
    )
    explain.set_defaults(run=_explain)


def _doctor(arguments: argparse.Namespace) -> int:
    from rcdbg.doctor.examine import examine
    from rcdbg.subjects import table
    from rcdbg.subjects.subject import Answer

    if not _is_one_moment(arguments):
        return _whole_run(arguments)
    if arguments.hang is not None:
        raise UsageError("--hang boots the kernel and lets it run: it excludes a moment to look at")
    console = None if arguments.console is None else _printed(arguments.console)
    grave = False

    def ask(kernel: "Kernel") -> "Answer":
        nonlocal grave
        found = examine(kernel, console=console)
        grave = found.is_grave
        return Answer(table.subject("doctor").reading, found)

    show.answer(arguments, ask)
    return GRAVE_STATUS if grave else 0


def _is_one_moment(arguments: argparse.Namespace) -> bool:
    """Whether a place, or where a kernel stands already, was given."""
    given = vars(arguments)
    words = ("at", "live", "snapshot", "attach", "console")
    return any(given.get(word) not in (None, False) for word in words)


def _whole_run(arguments: argparse.Namespace) -> int:
    """What went wrong first in a run, or what it hangs in; returns the exit status."""
    from rcdbg.cli.door import tell_json
    from rcdbg.cli.meaning import common
    from rcdbg.doctor.whole_run import examine_hang, examine_whole
    from rcdbg.subjects import table
    from rcdbg.subjects.subject import Answer
    from rcdbg.views.render import show as draw

    boot = common(arguments).boot
    if arguments.hang is not None:
        found = examine_hang(boot, arguments.hang)
    else:
        found = examine_whole(boot, arguments.timeout, _HANG_SECONDS)
    answer = Answer(table.subject("doctor").reading, found)
    if arguments.json:
        tell_json(answer.document)
    else:
        draw(answer.view)
    return GRAVE_STATUS if found.is_grave else 0


def _printed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_CONSOLE).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"--console {path}: {error.strerror}") from error


def _explain(arguments: argparse.Namespace) -> int:
    from rcdbg.doctor.explanations import explanation, titles

    if arguments.code is None and (text := _piped(arguments.kernel is not None)):
        return _explain_text(text, arguments.kernel)
    if arguments.code is None:
        for code, title in titles():
            tell(f"{code}  {title}")
        return 0
    tell(explanation(arguments.code))
    return 0


def _piped(is_wanted: bool) -> str:
    """What is on standard input, if it is a file, or a pipe that has something or is wanted."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return ""  # it is closed, or no file at all
    has_some = stat.S_ISREG(mode) or (
        stat.S_ISFIFO(mode) and (is_wanted or bool(select.select([sys.stdin], [], [], 0)[0]))
    )
    return sys.stdin.buffer.read(_MAX_CONSOLE).decode("utf-8", "replace") if has_some else ""


def _explain_text(text: str, kernel: Path | None) -> int:
    from rcdbg.doctor.pasted import clues_in
    from rcdbg.image.elf import load_image
    from rcdbg.image.locate import default_kernel
    from rcdbg.views.doctor import pasted
    from rcdbg.views.render import show as show_view

    show_view(pasted(clues_in(text, load_image(kernel or default_kernel()))))
    return 0
