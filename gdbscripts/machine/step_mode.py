"""What a step holds back, asked of QEMU's stub and told to it through gdb."""

from __future__ import annotations

import gdb

from rcdbg.errors import TargetError
from rcdbg.machine.stub import dialect


def step_mode(connection: gdb.RemoteTargetConnection) -> int:
    """The mode as it is; raises TargetError if that is no stub of QEMU's."""
    answer = bytes(connection.send_packet(dialect.ASK_STEP_MODE) or b"")
    try:
        return int(answer.decode("ascii"), 0)
    except ValueError as error:
        raise TargetError(
            f"this gdb stub has no {dialect.ASK_STEP_MODE}: it is not QEMU's"
        ) from error


def set_step_mode(connection: gdb.RemoteTargetConnection, mode: int) -> bool:
    """Set it; returns whether the stub agrees: in a replay QEMU holds nothing back."""
    return connection.send_packet(dialect.set_step_mode(mode)) == b"OK"
