"""`rcdbg trace`: record what a kernel does over time; show, draw, count and compare recordings."""

import argparse
from dataclasses import replace
from typing import Any

from rcdbg.cli.options import add_common, common
from rcdbg.cli.trace import files as trace_files
from rcdbg.cli.trace import options as trace_options
from rcdbg.trace.moment import BACKENDS


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    trace = commands.add_parser(
        "trace",
        help="record what the kernel does over time; show, draw, stats, diff recordings",
        description="Boot a kernel and record its events, until it ends, --until, or Ctrl-C. "
        "Without -o the events are printed as they come.",
    )
    recording = trace.add_argument_group("recording")
    trace_options.add_to(recording)
    recording.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="log: QEMU's log, the guest does not wait; held: it waits at each event, with exact "
        "memory; stub: a stop at each event, with exact time and memory; auto: what the events "
        "need (default)",
    )
    recording.add_argument(
        "--deterministic",
        action="store_true",
        help="time is counted in instructions: two recordings are the same, byte for byte",
    )
    add_common(trace, inner=True)
    trace.set_defaults(run=_record)
    trace_files.add_to(trace.add_subparsers(title="recordings", metavar="COMMAND"))


def _record(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.trace.record import Request, record_to, sink_kind

    wanted = trace_options.selection(arguments)
    output = sink_kind(arguments.output)
    boot = replace(common(arguments).boot, deterministic=arguments.deterministic)
    request = Request(boot, wanted.kinds, wanted.hits, wanted.until, arguments.backend)
    return record_to(request, output)
