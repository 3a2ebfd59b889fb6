"""`rcdbg print PATH`: boot, run to a place, print a static of the kernel or a part of one, end."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from rcdbg.cli import show
from rcdbg.cli.options import add_at, add_common
from rcdbg.errors import UsageError

if TYPE_CHECKING:
    from rcdbg.model.values.inspect import Limits

_COMPLETION_SECONDS = 5.0


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "print",
        help="boot, run to a place, print a static of the kernel or a part of one, end",
        description="Print a static, such as PROCESSOR, os::process::PROCESSOR.scheduler.pool[2].id"
        " or 'TABLE[\"key\"].name'; without a PATH list all statics.",
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="default: list the statics")
    parser.add_argument(
        "--depth", type=int, metavar="N", help="levels of fields to show (default: 6)"
    )
    parser.add_argument(
        "--elements", type=int, metavar="N", help="elements of a collection (default: 32)"
    )
    parser.add_argument(
        "--complete",
        action="store_true",
        help="print what PATH may become, for a shell's completion",
    )
    parser.add_argument("--json", action="store_true", help="for programs; see docs/json.md")
    add_common(parser, inner=True)
    add_at(parser, inner=True)
    parser.set_defaults(run=_run)


def limits(depth: int | None, elements: int | None) -> "Limits":
    """The limits asked for; raises UsageError for those that make no sense."""
    from rcdbg.model.values.inspect import DEFAULT_LIMITS, Limits
    from rcdbg.views.printed import MAX_DEPTH

    if depth is not None and not 0 <= depth <= MAX_DEPTH:
        raise UsageError(f"--depth {depth}: from 0 to {MAX_DEPTH}")
    if elements is not None and not 0 <= elements <= DEFAULT_LIMITS.nodes:
        raise UsageError(f"--elements {elements}: from 0 to {DEFAULT_LIMITS.nodes}")
    return Limits(
        DEFAULT_LIMITS.depth if depth is None else depth,
        DEFAULT_LIMITS.elements if elements is None else elements,
    )


def _completions(arguments: argparse.Namespace, text: str) -> list[str]:
    """What `text` may become: by types where they tell, else by the kernel that was asked for."""
    from rcdbg.cli.source import image_of_source, look
    from rcdbg.model.values.completion import complete, needs_kernel

    if not getattr(arguments, "snapshot", None):
        image = image_of_source(arguments)
        if not needs_kernel(image, text):
            return complete(image, text)
        # Somebody waits at a prompt: a kernel that is not there by then has nothing to offer.
        arguments.timeout = min(arguments.timeout, _COMPLETION_SECONDS)
    return look(arguments, lambda kernel: complete(kernel.image, text, kernel), needs_types=True)[0]


def _run(arguments: argparse.Namespace) -> int:
    from rcdbg.cli.source import image_of_source
    from rcdbg.kernels.paths import parse
    from rcdbg.model.values.statics import static_named
    from rcdbg.views.printed import print_answer, statics_answer

    bounds = limits(arguments.depth, arguments.elements)
    if arguments.complete:
        for text in _completions(arguments, arguments.path or ""):
            print(text)
        return 0
    image = image_of_source(arguments)
    if arguments.path is None:
        answer = statics_answer(image)
        if arguments.json:
            print(json.dumps(answer.document, indent=2))
            return 0
        from rcdbg.views.render import show as show_view

        show_view(answer.view)
        return 0
    path = arguments.path
    static_named(image, parse(path).static)  # before a machine is started in vain
    return show.answer(arguments, lambda kernel: print_answer(kernel, path, bounds),
                       needs_types=True)  # fmt: skip
