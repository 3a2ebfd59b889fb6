"""The machine that gdb is connected to: whether there is one, and whether it stands."""

import gdb

from rcdbg.errors import TargetError


def refuse_while_running() -> None:
    """Raises TargetError while the kernel runs: gdb has neither memory nor registers then."""
    thread = gdb.selected_thread()
    if thread is None or not thread.is_valid() or not thread.is_running():
        return
    try:
        # A breakpoint's condition is evaluated while the thread counts as running, but stands.
        gdb.newest_frame()
    except gdb.error as error:
        raise TargetError("the kernel runs: interrupt it first") from error


def demand_machine() -> "gdb.RemoteTargetConnection":
    """The connection to a machine that stands; raises TargetError without one."""
    inferior = gdb.selected_inferior()
    connection = inferior.connection
    if not isinstance(connection, gdb.RemoteTargetConnection) or not inferior.pid:
        raise TargetError("gdb is not connected to a machine: target remote ...")
    refuse_while_running()
    return connection
