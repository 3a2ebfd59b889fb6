"""`rcdbg show` and `rcdbg walk`: boot, run to a place, print what is there, end."""

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcdbg.cli import subject_options
from rcdbg.cli.options import add_at, add_common, address
from rcdbg.cli.source import look, note
from rcdbg.errors import UsageError

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer

# As in rcdbg.views.subjects, which takes too long to import for a parser.
SUBJECTS = (
    *("context", "csr", "pagetable", "frames", "threads", "backtrace", "memoryset"),
    *("owners", "heap", "all"),
)
_WITH_BACKTRACE = {"threads": "backtraces", "context": "backtrace", "backtrace": "backtrace"}


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    show = commands.add_parser("show", help="boot, run to a place, print what is there, end")
    show.add_argument(
        "subject",
        nargs="?",
        default="all",
        choices=SUBJECTS,
        metavar="SUBJECT",
        help=f"{', '.join(SUBJECTS)} (default: all)",
    )
    subject_options.add_to(show)
    show.add_argument(
        "--backtrace",
        "--bt",
        action="store_true",
        help="with threads: the call stack of each one; with context: of the hart",
    )
    show.set_defaults(run=_show)
    walk = commands.add_parser("walk", help="boot, run to a place, walk the page table, end")
    walk.add_argument("address", metavar="ADDRESS", help="0x..., or a symbol")
    subject_options.add_roots(walk)
    walk.set_defaults(run=_walk)
    for command in (show, walk):
        add_common(command, inner=True)
        add_at(command, inner=True)
        command.add_argument("--json", action="store_true", help="for programs; see docs/json.md")


def report(arguments: argparse.Namespace) -> int:
    """Print everything, for people, whatever was asked for."""
    arguments.subject, arguments.json, arguments.backtrace = "all", False, False
    return _show(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from rcdbg.views.subjects import subject

    if ask := subject_options.asked(arguments.subject, arguments):
        return answer(arguments, lambda kernel: ask(kernel, lambda t: address(t, kernel.image)))
    asked = subject(_name(arguments))
    return answer(arguments, asked.answer, needs_types=asked.needs_types)


def _name(arguments: argparse.Namespace) -> str:
    if not arguments.backtrace:
        return str(arguments.subject)
    if arguments.subject not in _WITH_BACKTRACE:
        wanted = " or ".join(f"show {name}" for name in _WITH_BACKTRACE)
        raise UsageError(f"--backtrace goes with {wanted}")
    return _WITH_BACKTRACE[arguments.subject]


def _walk(arguments: argparse.Namespace) -> int:
    from rcdbg.views.subjects import walk_answer

    return answer(
        arguments,
        lambda kernel: walk_answer(
            kernel,
            address(arguments.address, kernel.image),
            subject_options.root(kernel, arguments, lambda t: address(t, kernel.image)),
        ),
    )


def answer(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], Answer]", *, needs_types: bool = False
) -> int:
    """Print what `ask` says of the kernel that was asked for; returns 0."""
    found, sample = look(arguments, ask, needs_types=needs_types)
    if arguments.json:
        print(json.dumps(found.document | note(sample), indent=2))
    else:
        from rcdbg.views.render import show

        if sample is not None:
            print(sample.text)
        show(found.view)
    return 0
