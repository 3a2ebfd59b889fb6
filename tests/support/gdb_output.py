"""What gdb prints besides what it was asked for."""

_CLOSED = "Remote communication error.  Target disconnected.: Broken pipe.\n"


def without_farewell(stderr: str) -> str:
    """gdb's complaints, but for the one with which gdb 13 sometimes ends.

    After `detach` and `disconnect` it may acknowledge once more, on a connection that QEMU's stub
    has closed by then.
    """
    return stderr.removesuffix(_CLOSED)
