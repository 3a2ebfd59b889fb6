"""`rcdbg trace`: record what a kernel does over time; show, draw, count, compare and convert it."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcdbg import words
from rcdbg.cli.options import add_common
from rcdbg.cli.trace import export as trace_export
from rcdbg.cli.trace import files as trace_files
from rcdbg.cli.trace import kinds as trace_kinds
from rcdbg.trace import options as trace_options


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    trace = commands.add_parser(
        "trace",
        help="record what the kernel does over time; show, draw, stats, diff, export recordings",
        description="Boot a kernel and record its events, until it ends, --until, or Ctrl-C. "
        "Without -o the events are printed as they come.",
    )
    recording = trace.add_argument_group("recording")
    words.add_to(recording, trace_options.OPTIONS)
    trace_options.add_backend(recording)
    recording.add_argument(
        "--deterministic",
        action="store_true",
        help="time is counted in instructions: two recordings are the same, byte for byte",
    )
    add_common(trace, inner=True)
    trace.set_defaults(run=_record)
    commands = trace.add_subparsers(title="recordings", metavar="COMMAND")
    for module in (trace_files, trace_export, trace_kinds):
        module.add_to(commands)


def _record(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.meaning import common
    from rcdbg.cli.trace.record import record_to
    from rcdbg.trace.sinks.formats import output_of

    given = words.given(arguments, trace_options.OPTIONS)
    wanted = trace_options.wanted(given, arguments.backend)
    file = given.text("--output")
    output = output_of(None if file is None else Path(file))
    boot = replace(common(arguments).boot, deterministic=arguments.deterministic)
    return record_to(boot, wanted, output)
