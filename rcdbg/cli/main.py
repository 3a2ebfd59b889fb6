"""The front door: parses the command line, runs the command, turns errors into one line."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from rcdbg import __version__
from rcdbg.cli import attach, debug, describe, doctor, gdb, grade, printing, show, snapshot
from rcdbg.cli.door import remark
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rcdbg`; returns the exit status: 0, 2 for what the user can mend, or gdb's own."""
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
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
