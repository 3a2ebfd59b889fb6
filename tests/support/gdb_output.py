"""What gdb prints besides what it was asked for."""

import re

# gdb 13 says "Target disconnected.: Broken pipe.", gdb 18 "Target disconnected: error while
# writing: Broken pipe.".
_CLOSED = re.compile(
    r"Remote communication error\.  Target disconnected[.:][^\n]*"
    r"(Broken pipe|Connection reset by peer)\.\n\Z"
)


def without_farewell(stderr: str) -> str:
    """gdb's complaints, but for the one with which it sometimes ends.

    After `detach`, `disconnect` or `kill` it may write once more, on a connection that QEMU has
    closed by then; whether it does is a race that neither of them can win.
    """
    return _CLOSED.sub("", stderr)
