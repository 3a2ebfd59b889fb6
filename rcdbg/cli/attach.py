"""`rcdbg attach`: look into a QEMU that somebody else started, and leave it as it was."""

import argparse
from pathlib import Path
from typing import Any

from rcdbg import words
from rcdbg.cli import show
from rcdbg.cli.options import add_hart
from rcdbg.errors import UsageError
from rcdbg.words import JSON


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    attach = commands.add_parser("attach", help="show what is in a QEMU that runs already")
    show.add_subject(attach)
    attach.add_argument(
        "--stub",
        dest="attach",
        metavar="HOST:PORT|SOCKET",
        help="its gdb stub: localhost:1234 for `qemu -s`",
    )
    # What --stub was called once. Elsewhere --gdb is a gdb to start, and none is started here.
    attach.add_argument("--gdb", dest="stub_or_gdb", help=argparse.SUPPRESS)
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
    add_hart(attach)
    words.add_to(attach, (JSON,))
    attach.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    arguments.attach = arguments.attach or arguments.stub_or_gdb
    if arguments.attach is None:
        raise UsageError("attach wants a gdb stub: --stub localhost:1234 for `qemu -s`")
    return show.run(arguments)
