"""`rcdbg print PATH`: boot, run to a place, print a static of the kernel or a part of one, end."""

import argparse
from typing import TYPE_CHECKING, Any

from rcdbg.cli import show
from rcdbg.cli.door import tell, tell_json
from rcdbg.subjects import table

if TYPE_CHECKING:
    from rcdbg.image.elf import Image

_COMPLETION_SECONDS = 5.0


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = show.add_question(commands, table.subject("print"))
    parser.add_argument(
        "--complete",
        action="store_true",
        help="print what PATH may become, for a shell's completion",
    )
    show.add_source(parser)
    parser.set_defaults(run=_run)


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

    asked = show.question(table.subject("print"), arguments)
    path = asked.argument
    if arguments.complete:
        for text in _completions(arguments, path):
            tell(text)
        return 0
    image = image_of_source(arguments)
    if path:
        static_named(image, parse(path).static)  # before a machine is started in vain
        return show.ask(arguments, asked)
    return _list(image, as_json=arguments.json)


def _list(image: "Image", *, as_json: bool) -> int:
    """All statics: the ELF alone tells."""
    from rcdbg.model.values.printed import read_statics
    from rcdbg.subjects.subject import Answer

    reading = table.subject("print").without
    assert reading is not None
    answer = Answer(reading, read_statics(image))
    if as_json:
        tell_json(answer.document)
        return 0
    from rcdbg.views.render import show as show_view

    show_view(answer.view)
    return 0
