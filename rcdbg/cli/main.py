"""The front door: parses the command line, runs the command, turns errors into one line."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rcdbg import __version__
from rcdbg.errors import RcdbgError

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer

USAGE_STATUS = 2
_SUBJECTS = ("context", "csr", "pagetable", "frames", "threads", "all")
_FIRST_TRAP = "handle_interrupt"


def _parser() -> argparse.ArgumentParser:
    from rcdbg.cli.options import add_common

    parser = argparse.ArgumentParser(
        prog="rcdbg",
        description="The debugger that understands an rCore-style RISC-V kernel. Without a "
        "command: the full-screen debugger, or one full report where there is no terminal.",
    )
    parser.add_argument("--version", action="version", version=f"rcdbg {__version__}")
    add_common(parser)
    _add_at(parser)
    parser.set_defaults(run=_debug)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    show = commands.add_parser("show", help="boot, run to a place, print what is there, end")
    show.add_argument(
        "subject",
        nargs="?",
        default="all",
        choices=_SUBJECTS,
        metavar="SUBJECT",
        help=f"{', '.join(_SUBJECTS)} (default: all)",
    )
    show.set_defaults(run=_show)
    walk = commands.add_parser("walk", help="boot, run to a place, walk the page table, end")
    walk.add_argument("address", metavar="ADDRESS", help="0x..., or a symbol")
    walk.set_defaults(run=_walk)
    for command in (show, walk):
        add_common(command, inner=True)
        _add_at(command, inner=True)
        command.add_argument("--json", action="store_true", help="for programs; see docs/json.md")

    gdb = commands.add_parser("gdb", help="boot and open gdb on it, with the rc commands loaded")
    gdb.add_argument(
        "--command",
        "-x",
        action="append",
        default=[],
        metavar="GDB-COMMAND",
        help="a gdb command to run first; may be given more than once",
    )
    gdb.add_argument("--batch", action="store_true", help="end gdb after these commands")
    add_common(gdb, inner=True)
    gdb.set_defaults(run=_gdb)
    return parser  # fmt: skip


def _add_at(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    parser.add_argument(
        "--at",
        metavar="SYMBOL[:HIT]",
        default=argparse.SUPPRESS if inner else _FIRST_TRAP,
        help=f"where to stop: a function, and the how-manieth call of it (default: {_FIRST_TRAP})",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=argparse.SUPPRESS if inner else 30.0,
        help="to get there (default: 30)",
    )


def _debug(arguments: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        arguments.subject, arguments.json = "all", False
        return _show(arguments)
    from rcdbg.cli.options import common
    from rcdbg.tui.app import SessionOptions, run_tui

    options = common(arguments)
    return run_tui(SessionOptions(options.boot, options.gdb, arguments.at, arguments.timeout))


def _show(arguments: argparse.Namespace) -> int:
    from rcdbg.views.subjects import subject

    asked = subject(arguments.subject)
    return _answer(arguments, asked.answer, needs_types=asked.needs_types)


def _walk(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.options import address
    from rcdbg.views.subjects import walk_answer

    return _answer(
        arguments, lambda kernel: walk_answer(kernel, address(arguments.address, kernel.image))
    )


def _answer(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], Answer]", *, needs_types: bool = False
) -> int:
    """Boot, run to the place, print what `ask` says of the kernel there."""
    from rcdbg.cli.options import common, place
    from rcdbg.image.elf import load_image
    from rcdbg.image.resolve import load_with_types
    from rcdbg.trace.run import Run

    options = common(arguments)
    image = (load_with_types if needs_types else load_image)(options.kernel)
    event = place(arguments.at, image)
    with Run(options.boot, image) as run:
        run.until(event, arguments.timeout)
        answer = ask(run.kernel())
    if arguments.json:
        print(json.dumps(answer.document, indent=2))
    else:
        from rcdbg.views.render import show

        show(answer.view)
    return 0


def _gdb(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.gdb import open_gdb
    from rcdbg.cli.options import common

    return open_gdb(common(arguments), arguments.command, batch=arguments.batch)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rcdbg`; returns the exit status: 0, 2 for what the user can mend, or gdb's own."""
    arguments = _parser().parse_args(argv)
    # So that everything that was started is ended on the way out, as after an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except RcdbgError as error:
        print(f"rcdbg: {error}", file=sys.stderr)
        return USAGE_STATUS
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
