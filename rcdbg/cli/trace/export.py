"""`rcdbg trace export`: what was recorded before, in the format of another tool."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcdbg.cli.door import remark, tell
from rcdbg.cli.trace.choosing import add_selection, chosen
from rcdbg.errors import RcdbgError, UsageError
from rcdbg.trace.sinks.formats import EXPORTED, Output, TraceFormat, output_of


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `rcdbg trace`."""
    export = commands.add_parser(
        "export", help=f"convert a recording: {', '.join(one.name for one in EXPORTED)}"
    )
    export.add_argument("file", metavar="FILE", type=Path, help="recorded with -o FILE.jsonl")
    export.add_argument(
        "--to",
        choices=[one.name for one in EXPORTED],
        help="; ".join(f"{one.name}: {one.words}" for one in EXPORTED)
        + " (default: what the extension of OUT says)",
    )
    export.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="the file (default: standard output)"
    )
    add_selection(export, up_to="--up-to")
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from rcdbg.trace.record import TraceEnd
    from rcdbg.trace.sinks.files import TraceReader
    from rcdbg.trace.sinks.formats import kept, opened

    output = _output(arguments.to, arguments.output)
    wanted, source = _format(output), arguments.file
    if output.path is not None and _is_same(output.path, source):
        raise UsageError(f"-o {output.path}: that is the recording itself")
    with TraceReader(source) as reader, opened(wanted, output.path) as sink:
        count = 0
        sink.header(reader.header)
        try:
            for event in chosen(reader, arguments):
                sink.event(event)
                count += 1
        except RcdbgError as error:
            # What there was is kept, and is whole in its format, though the recording is not.
            sink.end(TraceEnd(str(error), count))
            raise
        end = reader.end or TraceEnd(reader.cut_off or "as far as was asked for", count)
        end = replace(end, events=count)
        sink.end(end)
    if output.path is not None:
        tell(kept(end, output))
    if reader.cut_off:
        remark(reader.cut_off)
    return 0


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _output(to: str | None, path: Path | None) -> Output:
    named = next((one for one in EXPORTED if one.name == to), None)
    if path is not None and str(path) == "-":
        path = None
    return output_of(path, named)


def _format(output: Output) -> TraceFormat:
    if output.format is None:
        known = ", ".join(one.name for one in EXPORTED)
        raise UsageError(f"rcdbg trace export: say what to convert to, with --to ({known})")
    return output.format
