"""What to record, as words: the options that `rcdbg trace` and `rc trace` have in common."""

import argparse

from rcdbg.errors import UsageError
from rcdbg.trace.kinds import DEFAULT_KINDS, GROUPS, KINDS, parse_kinds
from rcdbg.trace.moment import BACKENDS, Backend
from rcdbg.trace.sinks.formats import FORMATS
from rcdbg.trace.until import parse_until
from rcdbg.trace.wanted import Wanted
from rcdbg.words import Given, Option

OPTIONS: tuple[Option, ...] = (
    Option(
        "--events",
        f"which, with commas: {', '.join((*GROUPS, *KINDS))} (default: all)",
        "LIST",
    ),
    Option(
        "--hit",
        "also each call of this function, with its arguments; may be given again, may be a "
        "pattern such as '*::map_one'",
        "SYMBOL",
        repeated=True,
        offers="symbol",
    ),
    Option(
        "--until",
        "the last event (switch:to=3, trap_enter:timer:5), a number of events (1000), or "
        "guest time (2s, 500ms, 1000000t for ticks)",
        "EVENT|COUNT|TIME",
    ),
    Option(
        "--output",
        "; ".join(f"{one.suffix}: {one.words}" for one in FORMATS)
        + "; -: JSON Lines on the standard output",
        "FILE",
        also=("-o",),
        offers="file",
    ),
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


def wanted(given: Given, backend: Backend = "auto") -> Wanted:
    """What they ask for; raises UsageError for what does not go together."""
    hits = given.texts("--hit")
    listed, last = given.text("--events"), given.text("--until")
    kinds = parse_kinds(listed) if listed else DEFAULT_KINDS
    if "hit" in kinds and not hits:
        raise UsageError("--events hit: name the functions, with --hit SYMBOL")
    if hits and "hit" not in kinds:
        kinds = (*kinds, "hit")
    until = parse_until(last) if last else None
    kind = getattr(until and until.matcher, "kind", None)
    if kind is not None and kind not in kinds:
        how = "name the function with --hit" if kind == "hit" else "add it to --events"
        raise UsageError(f"--until {last}: {kind} is not recorded; {how}")
    return Wanted(kinds, hits, until, backend)
