"""`rc thread`: a thread in full, its backtrace by gdb, and its stack frames to look into."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import gdb

from gdbscripts.answers import answer, take_json
from gdbscripts.kernel import current_kernel
from rcdbg.errors import RcdbgError

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from gdbscripts import parked
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer

_OFF = "off"
_LEVEL = re.compile(r"^#(\d+)( +)", re.MULTILINE)


class _Thread(gdb.Command):
    """Look at a thread, also at one that does not run. No register is written.

    Usage: rc thread ID [COMMAND] [--json]

    rc thread ID               what it does, its stack, its Context, its call stack
    rc thread ID --json        the same for programs
    rc thread ID bt [ARGS]     gdb's own backtrace of it; ARGS as for bt: 5, full
    rc thread ID frame [N]     select its stack frame N: then info locals, print, up, down
    rc thread off              back to the hart; so does everything that lets it run

    While a stack frame of a parked thread is selected, gdb's own numbers (up, down, frame) are
    higher than those here: its first frames lead from the hart to the thread.

    Example: rc thread 3 bt
             rc thread 3 frame 2
             info locals
             rc thread off
    """

    def __init__(self) -> None:
        super().__init__("rc thread", gdb.COMMAND_STACK)

    def complete(self, text: str, word: str | None) -> list[str]:
        """Ids, then what can be done."""
        if word is None:
            return []
        words = text.split(" ")
        if len(words) > 1:
            return [w for w in ("bt", "frame", "--json") if w.startswith(word)] * (len(words) == 2)
        try:
            from rcdbg.model.threads.processor import read_processor

            threads = read_processor(current_kernel()).threads
        except RcdbgError:
            return []
        names = [*(str(t.id) for t in threads if t.id is not None), _OFF]
        return [name for name in names if name.startswith(word)]

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Show, list or select."""
        words = gdb.string_to_argv(argument)
        as_json = take_json(words)
        if words == [_OFF]:
            _unwinding().show(None)
            return
        if not words or not words[0].isdecimal():
            raise gdb.GdbError("rcdbg: rc thread wants a thread's id, or off: rc thread 1 bt")
        number, rest = int(words[0]), words[1:]
        if not rest:
            answer(lambda kernel: _thread(kernel, number), as_json)
        elif rest[0] in ("bt", "backtrace", "where"):
            _backtrace(number, rest[1:])
        elif rest[0] in ("frame", "f"):
            _frame(number, rest[1:])
        else:
            raise gdb.GdbError(f"rcdbg: rc thread {number} has no {rest[0]!r}: bt or frame")


def _thread(kernel: Kernel, number: int) -> Answer:
    from rcdbg.views.subjects import thread_answer

    return thread_answer(kernel, number)


@functools.cache
def _unwinding() -> ModuleType:
    """The unwinder, which gdb has from its first use on."""
    from gdbscripts import parked

    parked.register()
    return parked


def _parked(number: int) -> parked.Parked | None:
    """How to show that thread; None for the one that the hart runs."""
    from rcdbg.model.threads.call_stacks import find_thread

    try:
        kernel = current_kernel()
        thread = find_thread(kernel, number)
    except RcdbgError as error:
        raise gdb.GdbError(f"rcdbg: {error}") from error
    if thread.context is not None:
        shown: parked.Parked = _unwinding().parked(kernel, thread, thread.context)
        return shown
    if thread.status in ("running", "dead"):
        return None
    raise gdb.GdbError(f"rcdbg: thread {number} has no parked Context to start from")


@contextmanager
def _selection_kept() -> Iterator[None]:
    """gdb's selected thread and stack frame are what they were, whatever is done inside."""
    before = _unwinding().shown()
    level = gdb.selected_frame().level()
    try:
        yield
    finally:
        _unwinding().show(before)
        _select(level)


def _select(level: int) -> None:
    frame = gdb.newest_frame()
    for _ in range(level):
        older = frame.older()
        if older is None:
            break
        frame = older
    frame.select()


def _numbered(text: str, first: int) -> str:
    """gdb's lines with the thread's own numbers, without those of the way to it."""
    lines = []
    skipping = False
    for line in text.splitlines():
        found = _LEVEL.match(line)
        if found is not None:
            level = int(found[1]) - first
            skipping = level < 0
            line = f"#{level}".ljust(len(found[0])) + line[found.end() :]  # noqa: PLW2901
        if not skipping:
            lines.append(line)
    return "\n".join(lines)


def _backtrace(number: int, words: list[str]) -> None:
    thread = _parked(number)
    first = 0 if thread is None else thread.first
    arguments = []
    for word in words:
        if word.isdecimal():
            # gdb's frame filter counts only what it shows; without it all frames count.
            word = str(int(word) + first)  # noqa: PLW2901
        elif word.lstrip("-") not in ("full",):
            raise gdb.GdbError(f"rcdbg: rc thread {number} bt takes a count or full, not {word!r}")
        arguments.append(word)
    with _selection_kept():
        _unwinding().show(thread)
        # -no-filters: the user's own may be anything, and the numbers have to be gdb's.
        command = " ".join(["bt", "-no-filters", *arguments])
        text = gdb.execute(f"with width 0 -- {command}", to_string=True)
    gdb.write(_numbered(text, first).rstrip("\n") + "\n")


def _frame(number: int, words: list[str]) -> None:
    if len(words) > 1 or not all(word.isdecimal() for word in words):
        raise gdb.GdbError(f"rcdbg: rc thread {number} frame takes one number")
    wanted = int(words[0]) if words else 0
    thread = _parked(number)
    first = 0 if thread is None else thread.first
    before, level = _unwinding().shown(), gdb.selected_frame().level()
    _unwinding().show(thread)
    _select(first + wanted)
    if gdb.selected_frame().level() != first + wanted:
        _unwinding().show(before)
        _select(level)
        raise gdb.GdbError(f"rcdbg: thread {number} has no stack frame {wanted}: rc thread"
                           f" {number} bt")  # fmt: skip
    text = gdb.execute("frame", to_string=True)
    gdb.write(_numbered(text, first).rstrip("\n") + "\n")


def register() -> None:
    """Define the command."""
    _Thread()
