"""`rcdbg show SUBJECT`, and the questions: boot, run to a place, print what is there, end."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcdbg import words
from rcdbg.cli.door import tell, tell_json
from rcdbg.cli.options import add_at, add_common
from rcdbg.errors import UsageError
from rcdbg.subjects import table
from rcdbg.subjects.subject import Question, Subject
from rcdbg.words import JSON, Given, Option

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.subjects.subject import Answer


def add_to(commands: Any) -> None:
    """Add the commands to a parser's subparsers: `show`, and each question but `print`."""
    show = commands.add_parser("show", help="boot, run to a place, print what is there, end")
    add_subject(show)
    add_source(show)
    show.set_defaults(run=run)
    for entry in table.QUESTIONS:
        if entry.name != "print":
            add_source(add_question(commands, entry))


def add_subject(parser: argparse.ArgumentParser) -> None:
    """Add the name of a subject, and the options of all subjects."""
    names = [entry.name for entry in table.SUBJECTS]
    parser.add_argument(
        "subject",
        nargs="?",
        default="all",
        choices=names,
        metavar="SUBJECT",
        help=f"{', '.join(names)} (default: all)",
    )
    groups: dict[tuple[str, ...], list[Option]] = {}
    for option, of in _owners().items():
        groups.setdefault(of, []).append(option)
    for of, options in groups.items():
        words.add_to(parser.add_argument_group(f"only for {', '.join(of)}"), options)


def _owners() -> dict[Option, tuple[str, ...]]:
    """Every option of a subject, with the names of those that take it."""
    found: dict[Option, tuple[str, ...]] = {}
    for entry in table.SUBJECTS:
        for option in entry.options:
            found[option] = (*found.get(option, ()), entry.name)
    return found


def add_question(commands: Any, entry: Subject) -> argparse.ArgumentParser:
    """Add the command for a question; returns its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        entry.name,
        help=f"boot, run to a place, {entry.action}, end",
        description=f"{entry.action[:1].upper()}{entry.action[1:]}. {entry.details}",
    )
    if entry.argument is not None:
        parser.add_argument(
            "argument",
            nargs=None if entry.argument.required else "?",
            metavar=entry.argument.metavar,
            help=entry.argument.help,
        )
    words.add_to(parser, entry.options)
    parser.set_defaults(run=lambda arguments: ask(arguments, question(entry, arguments)))
    return parser


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which kernel is looked at, and --json."""
    add_common(parser, inner=True)
    add_at(parser, inner=True)
    words.add_to(parser, (JSON,))


def question(entry: Subject, arguments: argparse.Namespace) -> Question:
    """What is asked of a subject; raises UsageError for options that are not for it."""
    if entry.argument is not None:
        given = arguments.argument
        return entry.question(
            words.given(arguments, entry.options), () if given is None else (given,)
        )
    for option, of in _owners().items():
        if entry.name not in of and words.given(arguments, (option,)):
            raise UsageError(f"{option.flag} is for {', '.join(of)}, not for {entry.name}")
    return entry.question(words.given(arguments, entry.options))


def report(arguments: argparse.Namespace) -> int:
    """Print everything, for people, whatever was asked for."""
    arguments.json = False
    return ask(arguments, table.subject("all").question(Given()))


def run(arguments: argparse.Namespace) -> int:
    """Print the subject that was asked for; returns 0."""
    return ask(arguments, question(table.subject(arguments.subject), arguments))


def ask(arguments: argparse.Namespace, asked: Question) -> int:
    """Print what the kernel that was asked for says; returns 0."""
    from rcdbg.cli.meaning import address

    return answer(
        arguments,
        lambda kernel: asked.answer(kernel, lambda kernel, text: address(text, kernel.image)),
        needs_types=asked.reading.needs_types,
    )


def answer(
    arguments: argparse.Namespace, ask: "Callable[[Kernel], Answer]", *, needs_types: bool = False
) -> int:
    """Print what `ask` says of the kernel that was asked for; returns 0."""
    from rcdbg.cli.source import look, note

    found, sample = look(arguments, ask, needs_types=needs_types)
    if arguments.json:
        tell_json(found.document | note(sample))
    else:
        from rcdbg.views.render import show

        if sample is not None:
            tell(sample.text)
        show(found.view)
    return 0
