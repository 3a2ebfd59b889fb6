"""`rcdbg describe`: what a kernel is taken for and what was found of it, from its ELF alone."""

import argparse
from pathlib import Path
from typing import Any

from rcdbg import words
from rcdbg.cli.door import tell, tell_json
from rcdbg.cli.options import add_common
from rcdbg.errors import UsageError
from rcdbg.words import JSON


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "describe",
        help="print which kernel this is taken for, by what, and what was found of it",
        description="Print which family of kernels an ELF is taken for and by which signs, and for"
        " each thing that the family's description names where it is in this ELF, or what comes"
        " nearest. No machine is started.",
    )
    parser.add_argument(
        "--skeleton",
        metavar="FILE",
        type=Path,
        help="write a file for --profile: each key that was not found, with the nearest names",
    )
    parser.add_argument("--force", action="store_true", help="write over a FILE that is there")
    words.add_to(parser, (JSON,))
    add_common(parser, inner=True)
    parser.add_argument(
        "--snapshot",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help="the ELF in a snapshot",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.meaning import names
    from rcdbg.cli.source import image_of_source
    from rcdbg.model.described.read import read_described

    if arguments.force and arguments.skeleton is None:
        raise UsageError("--force is for --skeleton FILE")
    image = image_of_source(arguments, needs_types=False)
    described = read_described(image, names(arguments))
    if arguments.skeleton is not None:
        from rcdbg.model.described.skeleton import skeleton

        _write(arguments.skeleton, skeleton(described), force=arguments.force)
    if arguments.json:
        from rcdbg.model.serial.described import described as serialised
        from rcdbg.model.serial.state import document

        tell_json(document("described", serialised(described)))
        return 0
    from rcdbg.views.described import view
    from rcdbg.views.render import show

    if arguments.skeleton is None:
        show(view(described))
    else:
        missing = sum(e.is_missing for c in described.concepts for e in c.entries)
        tell(f"{arguments.skeleton}: {missing} keys that were not found")
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    """Raises OutputError if it cannot be written, UsageError if it is there unexpectedly."""
    from rcdbg.outputs import write_new, write_whole

    try:
        (write_whole if force else write_new)(path, text.encode("utf-8", "replace"))
    except FileExistsError as error:
        raise UsageError(f"{path} is there already: --force writes over it") from error
