"""The front door: parses the command line, runs the command, turns errors into one line."""

import argparse
import signal
import sys
from collections.abc import Sequence

from rcdbg import __version__
from rcdbg.cli import attach, debug, describe, doctor, gdb, printing, show, snapshot
from rcdbg.cli.door import complete_streams, let_go_of_output, remark, why_not
from rcdbg.cli.grading import command as grade
from rcdbg.cli.options import add_at, add_common, split
from rcdbg.cli.project import build, init
from rcdbg.cli.trace import command as trace
from rcdbg.errors import RcdbgError

USAGE_STATUS = 2

_COMMANDS = (build, init, show, doctor, printing, describe, gdb, attach, snapshot, trace, grade)
"""Modules with `add_to(subparsers)`; what is heavy, they import when they run."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rcdbg",
        description="The debugger that understands an rCore-style RISC-V kernel. Without a "
        "command: the full-screen debugger, or one full report where there is no terminal.",
    )
    parser.add_argument("--version", action="version", version=f"rcdbg {__version__}")
    add_common(parser)
    add_at(parser)
    parser.set_defaults(run=debug.run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Run `rcdbg`; returns the exit status, or raises KeyboardInterrupt."""
    if not complete_streams():
        remark("standard output is closed")
        return USAGE_STATUS
    words, own_line = split(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    arguments.own_line = own_line
    # So that everything that was started is ended on the way out, as after an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except RcdbgError as error:
        remark(str(error))
        return USAGE_STATUS
    except BrokenPipeError:
        let_go_of_output()  # the reader has seen enough (`| head`)
        return 128 + signal.SIGPIPE
    except (OSError, MemoryError) as error:
        # Of the machine that we run on, wherever it shows: a full disk, no descriptors left.
        remark(why_not(error))
        let_go_of_output()
        return USAGE_STATUS
