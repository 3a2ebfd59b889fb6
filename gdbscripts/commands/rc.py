"""`rc` itself: the list of its commands, made from them."""

import textwrap
from collections.abc import Sequence

import gdb

from gdbscripts.framework import Command, TypedWords, one_line_errors
from rcdbg.errors import UsageError

_INTRODUCTION = "rcdbg: what the bytes of an rCore-style kernel mean."
_BELOW = """\
Usage: rc COMMAND [ARGUMENT]... [--json]

`help rc walk` or `rc help walk` and so on tell more, each with an example.
{functions}

Example: rc threads"""


class Rc(gdb.Command):
    """The prefix of all other commands."""

    def __init__(self, commands: Sequence[Command], functions: Sequence[str]) -> None:
        """Make `rc` known to gdb, before the commands that stand below it.

        `functions` are those that there are for expressions.
        """
        width = max(len(command.usage) for command in commands)
        listed = "\n".join(f"{c.usage.ljust(width)}  {c.about}" for c in commands)
        below = _BELOW.format(
            functions=textwrap.fill(
                f"In expressions there are {', '.join(functions)}: see help function.", 95
            )
        )
        self.__doc__ = f"{_INTRODUCTION}\n\n{listed}\n\n{below}"
        super().__init__("rc", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`rc` alone: what there is."""
        with one_line_errors():
            if argument.strip():
                raise UsageError(f'no command "rc {argument.split()[0]}": see help rc')
            gdb.execute("help rc")


class HelpCommand(Command):
    """Say what there is, or what one command does."""

    usage = "rc help [COMMAND]"
    examples = ("rc help walk", "rc help")
    json = False

    def __init__(self, commands: Sequence[Command]) -> None:
        """`commands` are those that there is help for."""
        self.words = tuple(command.name.partition(" ")[2] for command in commands)

    def run(self, typed: TypedWords) -> None:
        """As gdb's own `help`."""
        for word in typed.words:
            if len(typed.words) > 1 or word not in self.words:
                raise UsageError(f'no command "rc {" ".join(typed.words)}": see help rc')
        gdb.execute(" ".join(("help rc", *typed.words)))

    def offers(self, before: list[str], typed: str) -> list[str]:
        """The commands, once."""
        return [] if before else list(self.words)
