"""`rc` itself: the list of its commands, made from them."""

from collections.abc import Sequence

import gdb

from gdbscripts.framework import Command, Typed, one_line_errors
from rcdbg.errors import UsageError

_INTRODUCTION = "rcdbg: what the bytes of an rCore-style kernel mean."
_BELOW = """\
Usage: rc COMMAND [ARGUMENT]... [--json]

`help rc walk` or `rc help walk` and so on tell more, each with an example. In expressions there are
$rc_pa(VA), $rc_va(PA), $rc_thread(ID), $rc_current(), $rc_context(ID), $rc_ticks() and
$rc_field(VALUE, b"NAME"): see help function.

Example: rc threads"""


class Rc(gdb.Command):
    """The prefix of all other commands."""

    def __init__(self, commands: Sequence[Command]) -> None:
        """Make `rc` known to gdb, before the commands that stand below it."""
        width = max(len(command.usage) for command in commands)
        listed = "\n".join(f"{c.usage.ljust(width)}  {c.about}" for c in commands)
        self.__doc__ = f"{_INTRODUCTION}\n\n{listed}\n\n{_BELOW}"
        super().__init__("rc", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`rc` alone: what there is."""
        with one_line_errors():
            if argument.strip():
                raise UsageError(f'no command "rc {argument.split()[0]}": see help rc')
            gdb.execute("help rc")


class Help(Command):
    """Say what there is, or what one command does."""

    usage = "rc help [COMMAND]"
    examples = ("rc help walk", "rc help")
    json = False

    def __init__(self, commands: Sequence[Command]) -> None:
        """`commands` are those that there is help for."""
        self.words = tuple(command.name.partition(" ")[2] for command in commands)

    def run(self, typed: Typed) -> None:
        """As gdb's own `help`."""
        for word in typed.words:
            if len(typed.words) > 1 or word not in self.words:
                raise UsageError(f'no command "rc {" ".join(typed.words)}": see help rc')
        gdb.execute(" ".join(("help rc", *typed.words)))

    def offers(self, before: list[str], typed: str) -> list[str]:
        """The commands, once."""
        return [] if before else list(self.words)
