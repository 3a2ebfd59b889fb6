"""`rcdbg trace kinds`: the kinds of events, and what each of them tells."""

import argparse
from typing import Any


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `rcdbg trace`."""
    kinds = commands.add_parser("kinds", help="list the kinds of events with their fields")
    kinds.set_defaults(run=_kinds)


def _kinds(arguments: argparse.Namespace) -> int:
    from rcdbg.trace.kinds import KINDS
    from rcdbg.views.render import show
    from rcdbg.views.trace.kinds import kinds_view

    show(kinds_view(tuple(KINDS.values())))
    return 0
