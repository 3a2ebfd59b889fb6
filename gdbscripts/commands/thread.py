"""`rc thread`: a thread in full, its backtrace by gdb, and its stack frames to look into."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import gdb

from gdbscripts.commands.asking import Asking
from gdbscripts.framework import Command, TypedWords
from gdbscripts.machine.kernel import current_kernel
from rcdbg.errors import UsageError
from rcdbg.subjects import prompt, table
from rcdbg.words import JSON

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from gdbscripts.threads import parked

_OFF = "off"
_LEVEL = re.compile(r"^#(\d+)( +)", re.MULTILINE)
_DETAILS = """\
rc thread ID               what it does, its stack, its Context, its call stack
rc thread ID bt [ARGS]     gdb's own backtrace of it; ARGS as for bt: 5, full
rc thread ID frame [N]     select its stack frame N: then info locals, print, up, down
rc thread off              back to the hart; so does everything that lets it run

No register is written. While a stack frame of a parked thread is selected, gdb's own numbers (up,
down, frame) are higher than those here: its first frames lead from the hart to the thread."""


class _Thread(Asking):
    """The question about a thread, and gdb's own ways to look into it."""

    kind = gdb.COMMAND_STACK

    def help_text(self) -> str:
        """What the table says, and what gdb can do beside it."""
        return prompt.help_text(
            replace(
                self.subject,
                details=_DETAILS,
                examples=("thread 3 bt", "thread 3 frame 2", "thread off"),
            ),
            "rc",
        )

    def candidates(self, before: list[str], typed: str) -> list[str]:
        """Ids, then what can be done."""
        if before and not typed.startswith("-"):
            return ["bt", "frame"] * (len(before) == 1)
        return [*super().candidates(before, typed), _OFF]

    def run(self, typed: TypedWords) -> Any:
        """Show, list or select."""
        words = typed.words
        if words == (_OFF,):
            _unwinding().show(None)
            return None
        if not words or not words[0].isdecimal():
            raise UsageError("rc thread wants a thread's id, or off: rc thread 1 bt")
        if len(words) == 1:
            return super().run(typed)
        number, what, rest = int(words[0]), words[1], words[2:]
        if typed.as_json:
            raise UsageError(f"rc thread {number} {what} is gdb's own, and has no {JSON.flag}")
        if what in ("bt", "backtrace", "where"):
            _backtrace(number, rest)
        elif what in ("frame", "f"):
            _frame(number, rest)
        else:
            raise UsageError(f"rc thread {number} has no {what!r}: bt or frame")
        return None


@functools.cache
def _unwinding() -> ModuleType:
    """The unwinder, which gdb has from its first use on."""
    from gdbscripts.threads import parked

    parked.register()
    return parked


def _parked(number: int) -> parked.Parked | None:
    """How to show that thread; None for the one that the hart runs."""
    from rcdbg.model.threads.call_stacks import find_thread

    kernel = current_kernel()
    thread = find_thread(kernel, number)
    if thread.context is not None:
        shown: parked.Parked = _unwinding().parked(kernel, thread, thread.context)
        return shown
    if thread.status in ("running", "dead"):
        return None
    raise UsageError(f"thread {number} has no parked Context to start from")


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


def _backtrace(number: int, words: Sequence[str]) -> None:
    thread = _parked(number)
    first = 0 if thread is None else thread.first
    arguments = []
    for word in words:
        if word.isdecimal():
            # gdb's frame filter counts only what it shows; without it all frames count.
            word = str(int(word) + first)  # noqa: PLW2901
        elif word.lstrip("-") not in ("full",):
            raise UsageError(f"rc thread {number} bt takes a count or full, not {word!r}")
        arguments.append(word)
    with _selection_kept():
        _unwinding().show(thread)
        # -no-filters: the user's own may be anything, and the numbers have to be gdb's.
        command = " ".join(["bt", "-no-filters", *arguments])
        text = gdb.execute(f"with width 0 -- {command}", to_string=True)
    gdb.write(_numbered(text, first).rstrip("\n") + "\n")


def _frame(number: int, words: Sequence[str]) -> None:
    if len(words) > 1 or not all(word.isdecimal() for word in words):
        raise UsageError(f"rc thread {number} frame takes one number")
    wanted = int(words[0]) if words else 0
    thread = _parked(number)
    first = 0 if thread is None else thread.first
    before, level = _unwinding().shown(), gdb.selected_frame().level()
    _unwinding().show(thread)
    _select(first + wanted)
    if gdb.selected_frame().level() != first + wanted:
        _unwinding().show(before)
        _select(level)
        raise UsageError(f"thread {number} has no stack frame {wanted}: rc thread"
                           f" {number} bt")  # fmt: skip
    text = gdb.execute("frame", to_string=True)
    gdb.write(_numbered(text, first).rstrip("\n") + "\n")


def commands() -> list[Command]:
    """The one about threads."""
    return [_Thread(table.subject("thread"))]
