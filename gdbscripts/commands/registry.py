"""Every command below `rc`, in the order in which help lists them."""

import functools

from gdbscripts import functions, printers
from gdbscripts.commands import asking, stepping, thread_command, trace_command
from gdbscripts.commands.profile_command import Profile
from gdbscripts.commands.rc import Help, Rc
from gdbscripts.commands.snapshot_command import Snapshot
from gdbscripts.framework import Command
from gdbscripts.kernel import follow_changes


def commands() -> list[Command]:
    """All of them; gdb does not know them yet."""
    return [
        *asking.commands(),
        *thread_command.commands(),
        Profile(),
        Snapshot(),
        *stepping.commands(),
        *trace_command.commands(),
    ]


@functools.cache
def register() -> None:
    """Define the commands; once is enough, however often the script is sourced."""
    follow_changes()
    found = commands()
    helping = Help(found)
    Rc([*found, helping])
    for command in (*found, helping):
        command.define()
    stepping.follow_connections()
    functions.register()
    printers.register()
