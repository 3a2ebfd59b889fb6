"""`rcdbg snapshot FILE`: a stopped kernel in one file, for `--snapshot FILE` later."""

import argparse
from pathlib import Path
from typing import Any

from rcdbg.cli.door import tell
from rcdbg.cli.options import add_at, add_common
from rcdbg.errors import UsageError


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    snapshot = commands.add_parser(
        "snapshot", help="boot, run to a place, write all of it to a file, end"
    )
    snapshot.add_argument("file", metavar="FILE", type=Path, help="the file to write")
    snapshot.add_argument(
        "--small", action="store_true", help="compress harder: a third less, and seconds more"
    )
    add_common(snapshot, inner=True)
    add_at(snapshot, inner=True)
    snapshot.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if getattr(arguments, "live", False) or getattr(arguments, "snapshot", None):
        raise UsageError("rcdbg snapshot takes a booted kernel, or --attach")
    from rcdbg.cli.whole_machine import attached_machine, booted_machine
    from rcdbg.guest.snapshot_writer import write_snapshot

    source = attached_machine if getattr(arguments, "attach", None) else booted_machine
    with source(arguments) as (machine, read_phys):
        size = write_snapshot(arguments.file, machine, read_phys, small=arguments.small)
    tell(f"{arguments.file}: {size / 1e6:.1f} MB; rcdbg show --snapshot {arguments.file}")
    return 0
