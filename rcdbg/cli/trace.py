"""`rcdbg trace`: record what a kernel does over time; show, draw, count and compare recordings."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcdbg.cli import trace_files
from rcdbg.cli.options import add_common, common
from rcdbg.errors import UsageError
from rcdbg.trace.kinds import DEFAULT_KINDS, GROUPS, KINDS, parse_kinds

BACKENDS = ("auto", "log", "stub")


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    trace = commands.add_parser(
        "trace",
        help="record what the kernel does over time; show, draw, stats, diff recordings",
        description="Boot a kernel and record its events, until it ends, --until, or Ctrl-C. "
        "Without -o the events are printed as they come.",
    )
    recording = trace.add_argument_group("recording")
    recording.add_argument(
        "--events",
        metavar="LIST",
        help=f"which, with commas: {', '.join((*GROUPS, *KINDS))} (default: all)",
    )
    recording.add_argument(
        "--hit",
        metavar="SYMBOL",
        action="append",
        help="also each call of this function, with its arguments; may be given again, may be a "
        "pattern such as '*::map_one'",
    )
    recording.add_argument(
        "--until",
        metavar="EVENT|COUNT|TIME",
        help="the last event (switch:to=3, trap_enter:timer:5), a number of events (1000), or "
        "guest time (2s, 500ms, 1000000t for ticks)",
    )
    recording.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="log: QEMU's log, the guest does not stop; stub: a stop at each event, with exact "
        "time and memory; auto: what the events need (default)",
    )
    recording.add_argument(
        "--deterministic",
        action="store_true",
        help="time is counted in instructions: two recordings are the same, byte for byte",
    )
    recording.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=".jsonl: JSON Lines, for rcdbg trace show, draw, ...; .json: for ui.perfetto.dev; "
        "-: JSON Lines on the standard output",
    )
    add_common(trace, inner=True)
    trace.set_defaults(run=_record)
    trace_files.add_to(trace.add_subparsers(title="recordings", metavar="COMMAND"))


def _record(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.trace_record import Request, record_to, sink_kind
    from rcdbg.trace.until import parse_until

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
    output = sink_kind(arguments.output)
    boot = replace(common(arguments).boot, deterministic=arguments.deterministic)
    return record_to(Request(boot, kinds, hits, until, arguments.backend), output)
