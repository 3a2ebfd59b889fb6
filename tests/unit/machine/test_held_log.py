"""A log that holds whoever writes it, against something that writes as QEMU does."""

import re
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcdbg.machine.qemu.held_log import HeldLog, log_socket
from tests.unit.trace.test_log_format import FLOATS, INTERRUPT, STATE, STOPPED, TRACE

SECONDS = 20
STATUS = " fcsr     0000000000000000\n"
"""A line that QEMU 10 has in front of these registers."""
RECORD = TRACE + STATE + FLOATS


def pieces(text: str) -> list[str]:
    """What an unbuffered stderr makes of it: each register of four in a line, and its end."""
    return [piece for line in text.splitlines(keepends=True) for piece in _line(line)]


def _line(line: str) -> list[str]:
    registers = re.findall(r" [xf]\d+/\w+ +[0-9a-f]{16}", line)
    return [*registers, "\n"] if registers else [line]


class Writer:
    """Writes texts, one after the other, as QEMU would before it executes what they tell of."""

    def __init__(self, theirs: socket.socket, texts: Sequence[str], *, by_line: bool) -> None:
        self._socket = theirs
        self._texts = texts
        self._by_line = by_line
        self._changed = threading.Condition()
        self._executed = self._waits = 0
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        with self._socket:
            for text in self._texts:
                for piece in text.splitlines(keepends=True) if self._by_line else pieces(text):
                    self._send(piece.encode("ascii"))
                self._note(executed=1)

    def _send(self, piece: bytes) -> None:
        # An error is the end of the test that reads.
        with suppress(BrokenPipeError):
            self._send_or_wait(piece)

        self._note()

    def _send_or_wait(self, piece: bytes) -> None:
        try:
            self._socket.send(piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._note(waits=1)
            self._socket.send(piece)
            self._note(waits=-1)

    def _note(self, *, executed: int = 0, waits: int = 0) -> None:
        with self._changed:
            self._executed += executed
            self._waits += waits
            self._changed.notify_all()

    def executed(self) -> int:
        """How many texts were written whole, once it waits for us or is through with all."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._executed == len(self._texts) or self._stuck(), SECONDS
            )
            return self._executed

    def _stuck(self) -> bool:
        # A socket that becomes writable wakes it, which it has not noted at once.
        return self._waits > 0 and not select.select([], [self._socket], [], 0)[1]

    def join(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@contextmanager
def written(*texts: str, by_line: bool = False) -> Iterator[tuple[HeldLog, Callable[[], int]]]:
    """The log, and how many of the texts were written whole once the writer has come to rest."""
    ours, theirs = log_socket()
    log = HeldLog(ours.fileno())
    writer = Writer(theirs, texts, by_line=by_line)
    with ours:
        try:
            yield log, writer.executed
        finally:
            log.close()
            ours.shutdown(socket.SHUT_RDWR)
            writer.join()


def read(log: HeldLog) -> bytes:
    found = log.read()
    assert found is not None
    return found[1]


def rest(log: HeldLog) -> bytes:
    return b"".join(iter(partial(read, log), b""))


def test_the_pieces_are_those_of_qemu() -> None:
    assert "".join(pieces(RECORD)) == RECORD
    # Counted in what QEMU 7.2 wrote into a socket that keeps them apart.
    assert len(pieces(RECORD)) == 109
    assert len(pieces(FLOATS)) == 40


@pytest.mark.parametrize("record", [RECORD, TRACE + STATE + STATUS + FLOATS])
def test_what_is_written_waits_at_each_state(record: str) -> None:
    with written(*(record for _ in range(5))) as (log, executed):
        for number in range(5):
            text = read(log)
            assert text.decode("ascii").endswith(STATE)
            assert executed() == number
            assert log.holds
        assert rest(log).decode("ascii") == record.removeprefix(TRACE + STATE)
        assert not log.holds


def test_who_writes_by_the_line_is_not_held_and_that_is_said() -> None:
    with written(RECORD, by_line=True) as (log, executed):
        read(log)
        assert executed() == 1
        assert not log.holds


@pytest.mark.parametrize("after", [TRACE, "", INTERRUPT])
def test_a_state_that_nothing_follows_holds_nobody(after: str) -> None:
    with written(TRACE + STATE + after) as (log, _):
        text = read(log)
        assert text.decode("ascii") == TRACE + STATE
        assert not log.holds
        assert rest(log).decode("ascii") == after


OTHERS = st.sampled_from([INTERRUPT, STOPPED, "qemu-system-riscv64: warning: something\n"])
TRACES = st.sampled_from([TRACE, TRACE.replace(" \n", " a_function_with_a_long_name\n")])


@given(st.lists(st.tuples(st.lists(OTHERS, max_size=4), TRACES), min_size=1, max_size=8), OTHERS)
def test_nothing_is_lost_whatever_comes_between(
    parts: list[tuple[list[str], str]], last: str
) -> None:
    texts = ["".join(others) + trace + STATE + FLOATS for others, trace in parts]
    with written(*texts, last) as (log, executed):
        seen = ""
        for number in range(len(parts)):
            seen += read(log).decode("ascii")
            assert seen.endswith(STATE)
            assert log.holds
            assert executed() == number
        assert seen + rest(log).decode("ascii") == "".join(texts) + last


def test_much_that_is_no_state_comes_as_well() -> None:
    with written(INTERRUPT * 500, RECORD) as (log, _):
        first = read(log).decode("ascii")
        assert INTERRUPT in first
        assert first + rest(log).decode("ascii") == INTERRUPT * 500 + RECORD


def test_an_end_in_the_middle_is_an_end() -> None:
    with written(RECORD, TRACE + STATE[:700]) as (log, _):
        read(log)
        assert rest(log).decode("ascii") == FLOATS + TRACE + STATE[:700]


@pytest.mark.parametrize("missing", range(1, 30, 3))
def test_a_pause_in_the_middle_of_a_state_takes_nothing_from_it(missing: int) -> None:
    ours, theirs = log_socket()
    with ours, theirs, closing(HeldLog(ours.fileno(), patience=0.01)) as log:
        for text in (TRACE + STATE, FLOATS + TRACE + STATE, FLOATS + TRACE + STATE):
            data = text.encode("ascii")
            theirs.send(data[:-missing])
            seen = read(log)
            assert log.read() is None
            assert not log.holds
            theirs.send(data[-missing:])
            assert seen + read(log) == data
