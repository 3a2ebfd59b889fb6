"""A log that holds QEMU where it tells of: the hart waits in it before it executes a block.

QEMU writes what it logs to its standard error in pieces, one register in each, and waits while the
socket is full. Behind the general registers come those for floating point, in forty pieces more
(target/riscv/cpu.c, `riscv_cpu_dump_state`; C's stderr has no buffer). The socket has room for
fewer. So as long as nobody reads on, the hart stands still before the block that was announced, and
all memory is as it is at that instant. It takes no stop of the machine, which would make QEMU throw
away the code that it has translated.
"""

import os
import re
import socket
import struct
import time

PIECES = 36
"""That are under way at the most; a state goes on for 40 behind the general registers."""

_STATE_END = re.compile(rb" x31/t6 +[0-9a-f]{16}\n")
_STATE_END_BYTES = 27
_TAIL, _TAIL_END = b" f", b" f31/"
_LARGEST = 64 << 10
_READ = 1 << 16
_MUCH = 4096


def log_socket() -> tuple[socket.socket, socket.socket]:
    """Two ends: ours, and the one for QEMU, which has room for `PIECES` at the most.

    How much room a piece takes is the host's affair, so it is tried out.
    """
    small, large = 1, _LARGEST
    while large - small > 1:
        middle = (small + large) // 2
        if _room(middle) > PIECES:
            large = middle
        else:
            small = middle
    return _pair(small)


def _pair(size: int) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    return ours, theirs


def _room(size: int) -> int:
    """How many pieces a socket of that size takes, counted as far as it matters."""
    ours, theirs = _pair(size)
    with ours, theirs:
        theirs.setblocking(False)
        for count in range(PIECES + 1):
            try:
                theirs.send(b"\n")
            except BlockingIOError:
                return count
    return PIECES + 1


class HeldLog:
    """Our end of such a log: a duplicate of `file`. One thread reads it.

    With `patience` a read that finds nothing for so many seconds gives up.
    """

    def __init__(self, file: int, patience: float | None = None) -> None:
        self._socket = socket.socket(fileno=os.dup(file))
        # Not Python's own timeout: that of the host's kernel goes with MSG_WAITALL.
        limit = struct.pack("@ll", *divmod(round((patience or 0) * 1_000_000), 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._waits = False
        self._has_tail: bool | None = None
        self._least = 0
        self._cut = b""

    def read(self) -> tuple[int, bytes] | None:
        """Let the hart go on until it waits again: when (`time.monotonic_ns`) and what it logged.

        The hart waits if the text ends with its state; else it is some part of much other text, or
        empty at the log's end. None if there is nothing for as long as was agreed.
        """
        waited, self._waits = self._waits, False
        # So much comes before the next state's end at the least: all of it in one call.
        data = self._take(self._least, socket.MSG_WAITALL) if waited else b""
        text = data or b""
        while data is not None and len(text) < _MUCH and (data := self._peek()):
            # Its pieces may come one by one, and the first ones be taken already.
            before = (self._cut + text)[1 - _STATE_END_BYTES :]
            found = _STATE_END.search(before + data)
            text += self._take(found.end() - len(before) if found else len(data)) or b""
            if found:
                self._note_state(text if waited else b"")
                break
        self._cut = b"" if self._waits else (self._cut + text)[1 - _STATE_END_BYTES :]
        return None if data is None and not text else (time.monotonic_ns(), text)

    def _note_state(self, whole: bytes) -> None:
        """A state is there; `whole` is what came since the last one, if it is known."""
        self._waits = True
        if whole and not self._least:
            # All but what may come between: a state's lines begin with a space.
            own = [line for line in whole.splitlines(keepends=True) if line.startswith(b" ")]
            self._least = sum(map(len, own)) - _STATE_END_BYTES
        if self._has_tail is None:
            behind = self._peek()
            self._has_tail = behind.startswith(_TAIL) if behind is not None else None

    @property
    def holds(self) -> bool:
        """Whether the hart still waits behind the state that was read last."""
        if not self._waits or not self._has_tail:
            return False
        return _TAIL_END not in (self._peek(socket.MSG_DONTWAIT) or b"")

    def _peek(self, flags: int = 0) -> bytes | None:
        return self._take(_READ, socket.MSG_PEEK | flags)

    def _take(self, size: int, flags: int = 0) -> bytes | None:
        """What is there; empty at the end, None if nothing came in time."""
        try:
            return self._socket.recv(size, flags)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        """Give it back."""
        self._socket.close()
