"""Every command below `rc`, in the order in which help lists them."""

import functools

from gdbscripts.commands import asking, programs, stepping, thread, trace, user_steps
from gdbscripts.commands.describe import Describe
from gdbscripts.commands.profile import Profile
from gdbscripts.commands.rc import HelpCommand, Rc
from gdbscripts.commands.snapshot import SnapshotCommand
from gdbscripts.commands.task import TaskCommand
from gdbscripts.framework import Command
from gdbscripts.machine.kernel import follow_changes
from gdbscripts.values import functions, printers


def commands() -> list[Command]:
    """All of them; gdb does not know them yet."""
    return [
        *asking.commands(),
        *thread.commands(),
        TaskCommand(),
        *programs.commands(),
        Describe(),
        Profile(),
        SnapshotCommand(),
        *stepping.commands(),
        *user_steps.commands(),
        *trace.commands(),
    ]


@functools.cache
def register() -> None:
    """Define the commands; once is enough, however often the script is sourced."""
    follow_changes()
    found = commands()
    helping = HelpCommand(found)
    Rc([*found, helping], functions.usages())
    for command in (*found, helping):
        command.define()
    stepping.follow_connections()
    functions.register()
    printers.register()
