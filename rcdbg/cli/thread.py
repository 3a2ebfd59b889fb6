"""`rcdbg thread N`: boot, run to a place, print one thread in full, end."""

import argparse
from typing import Any

from rcdbg.cli.options import add_at, add_common
from rcdbg.cli.show import answer


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    thread = commands.add_parser(
        "thread", help="boot, run to a place, print one thread: its Context, its call stack"
    )
    thread.add_argument("id", metavar="ID", type=int, help="as show threads has it")
    add_common(thread, inner=True)
    add_at(thread, inner=True)
    thread.add_argument("--json", action="store_true", help="for programs; see docs/json.md")
    thread.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.views.subjects import thread_answer

    return answer(arguments, lambda kernel: thread_answer(kernel, arguments.id), needs_types=True)
