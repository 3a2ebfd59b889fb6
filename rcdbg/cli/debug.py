"""`rcdbg` without a command: the full-screen debugger, or the full report without a terminal."""

import argparse
import sys

from rcdbg.cli import show


def run(arguments: argparse.Namespace) -> int:
    """Open the debugger until the user leaves it; returns the exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return show.report(arguments)
    from rcdbg.cli.meaning import common, where_to_stop
    from rcdbg.image.resolve import load_with_types
    from rcdbg.tui.app import SessionOptions, run_tui

    options = common(arguments)
    image = load_with_types(options.kernel)  # else most panels would be empty
    at = where_to_stop(arguments, options, image)
    return run_tui(SessionOptions(options.boot, options.gdb, at, arguments.timeout))
