"""`rcdbg attach`: look into a QEMU that somebody else started, and leave it as it was."""

import argparse
from pathlib import Path
from typing import Any

from rcdbg.cli import show


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    attach = commands.add_parser("attach", help="show what is in a QEMU that runs already")
    attach.add_argument(
        "subject",
        nargs="?",
        default="all",
        choices=show.SUBJECTS,
        metavar="SUBJECT",
        help=f"{', '.join(show.SUBJECTS)} (default: all)",
    )
    attach.add_argument(
        "--gdb",
        dest="attach",
        metavar="HOST:PORT|SOCKET",
        required=True,
        help="its gdb stub: localhost:1234 for `qemu -s`",
    )
    attach.add_argument(
        "--kernel",
        metavar="ELF",
        type=Path,
        default=argparse.SUPPRESS,
        help="the ELF that it runs",
    )
    attach.add_argument(
        "--profile",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help="TOML with the names that this kernel uses",
    )
    attach.add_argument(
        "--stay", action="store_true", help="leave a guest that ran stopped, for another debugger"
    )
    attach.add_argument("--json", action="store_true", help="for programs; see docs/json.md")
    attach.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.views.subjects import subject

    asked = subject(arguments.subject)
    return show.answer(arguments, asked.answer, needs_types=asked.needs_types)
