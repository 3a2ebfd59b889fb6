"""`rc task`: the thread that all other commands are about."""

from __future__ import annotations

from typing import Any

from gdbscripts.framework import SOURCES, Command, TypedWords, say
from gdbscripts.machine import selection
from gdbscripts.machine.kernel import fresh_kernel
from rcdbg.subjects.prompt import offered

_NONE = "none"


class TaskCommand(Command):
    """Select the thread that all questions are about, though another one runs.

    Without a word: which one it is. `none` goes back to the hart. ID is an id, an address or a
    name. context, backtrace, pagetable, memoryset and walk are of that thread then. A thread that
    is gone at a later stop is told, and the selection goes.
    """

    usage = "rc task [ID|none]"
    examples = ("rc task 3", "rc task", "rc task none")

    def offers(self, before: list[str], typed: str) -> list[str]:
        """Ids."""
        return [*offered("thread", typed, SOURCES), _NONE]

    def run(self, typed: TypedWords) -> Any:
        """Select, or tell."""
        from rcdbg.model.serial import state as serial
        from rcdbg.model.threads.selected import is_on_the_hart, select, standing

        text = " ".join(typed.words)
        kernel = fresh_kernel()
        if text == _NONE:
            selection.select(None)
        word = text if text and text != _NONE else selection.selected()
        if word is None:
            if not typed.as_json:
                say("rcdbg: no thread is selected: questions are about the hart")
            return serial.document("task", {"thread": None, "note": ""})
        thread = select(kernel, word)
        selection.select(thread.address)
        runs = is_on_the_hart(kernel, thread)
        name = f"thread {thread.id}" if thread.id is not None else f"thread at {thread.address:#x}"
        note = f"{name} is on the hart" if runs else standing(thread)
        if not typed.as_json:
            say(f"rcdbg: {note}")
        return serial.document("task", {"thread": serial.thread(thread), "note": note})
