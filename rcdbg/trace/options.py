"""What to record, as words: the options that `rcdbg trace` and `rc trace` have in common."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rcdbg.errors import UsageError
from rcdbg.trace.kinds import DEFAULT_KINDS, GROUPS, KINDS, parse_kinds
from rcdbg.trace.moment import BACKENDS
from rcdbg.trace.sinks.formats import FORMATS
from rcdbg.trace.until import parse_until
from rcdbg.trace.wanted import Wanted
from rcdbg.words import Words


def add_to(group: argparse._ActionsContainer) -> None:
    """Add them to a parser, or a group of one."""
    group.add_argument(
        "--events",
        metavar="LIST",
        help=f"which, with commas: {', '.join((*GROUPS, *KINDS))} (default: all)",
    )
    group.add_argument(
        "--hit",
        metavar="SYMBOL",
        action="append",
        help="also each call of this function, with its arguments; may be given again, may be a "
        "pattern such as '*::map_one'",
    )
    group.add_argument(
        "--until",
        metavar="EVENT|COUNT|TIME",
        help="the last event (switch:to=3, trap_enter:timer:5), a number of events (1000), or "
        "guest time (2s, 500ms, 1000000t for ticks)",
    )
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="; ".join(f"{one.suffix}: {one.words}" for one in FORMATS)
        + "; -: JSON Lines on the standard output",
    )


def add_backend(group: argparse._ActionsContainer) -> None:
    """Add how a machine of our own is recorded."""
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="log: QEMU's log, the guest does not wait; held: it waits at each event, with exact "
        "memory; stub: a stop at each event, with exact time and memory; auto: what the events "
        "need (default)",
    )


def wanted(arguments: argparse.Namespace) -> Wanted:
    """What they ask for; raises UsageError for what does not go together."""
    hits = tuple(arguments.hit or ())
    kinds = parse_kinds(arguments.events) if arguments.events else DEFAULT_KINDS
    if "hit" in kinds and not hits:
        raise UsageError("--events hit: name the functions, with --hit SYMBOL")
    if hits and "hit" not in kinds:
        kinds = (*kinds, "hit")
    until = parse_until(arguments.until) if arguments.until else None
    last = getattr(until and until.matcher, "kind", None)
    if last is not None and last not in kinds:
        how = "name the function with --hit" if last == "hit" else "add it to --events"
        raise UsageError(f"--until {arguments.until}: {last} is not recorded; {how}")
    return Wanted(kinds, hits, until, getattr(arguments, "backend", "auto"))


def parse(program: str, words: Sequence[str]) -> argparse.Namespace:
    """The options in words; raises UsageError for others."""
    parser = Words(prog=program, add_help=False, allow_abbrev=False)
    add_to(parser)
    return parser.parse_args(list(words))
