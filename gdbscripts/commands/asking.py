"""The commands that ask for a subject of the table: one class for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gdb

from gdbscripts.answers import show
from gdbscripts.framework import SOURCES, Command, TypedWords
from gdbscripts.machine import selection
from gdbscripts.machine.kernel import fresh_kernel
from rcdbg.errors import UsageError
from rcdbg.subjects import prompt, table
from rcdbg.subjects.subject import Subject
from rcdbg.words import Given

if TYPE_CHECKING:
    # Imported by the first command that needs it: `source` stays quick.
    from rcdbg.model.kernel import Kernel


class Asking(Command):
    """Asks the kernel at this stop for a subject, and shows the answer."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.usage = f"rc {prompt.usage(subject)}"
        self.options = subject.options

    @property
    def about(self) -> str:
        """What the table says."""
        return self.subject.about

    def help_text(self) -> str:
        """What the table says."""
        return prompt.help_text(self.subject, "rc")

    def split(self, argument: str) -> list[str]:
        """The words of a line; those of a path keep the quotes of its keys."""
        wanted = self.subject.argument
        if wanted is not None and wanted.offers == "path":
            return argument.split()
        return gdb.string_to_argv(argument)

    def run(self, typed: TypedWords) -> Any:
        """Decode, print."""
        kernel = fresh_kernel()
        question = self.subject.question(self._about(kernel, typed.given), typed.words)
        answer = question.answer(kernel, address)
        if typed.as_json:
            return answer.document
        show(answer.view)
        return None

    def _about(self, kernel: Kernel, given: Given) -> Given:
        """The options, with the thread that `rc task` has selected where they name none."""
        word = selection.selected()
        takes = any(option.flag == table.TASK for option in self.subject.options)
        if word is None or not takes or given.among(table.ROOTS):
            return given
        from rcdbg.model.threads.call_stacks import find_thread

        try:
            find_thread(kernel, int(word, 0))
        except UsageError as error:
            selection.select(None)
            raise UsageError(
                f"the selected thread is gone, and no longer selected: {error}"
            ) from error
        return Given({**given.values, table.TASK: (word,)})

    def candidates(self, before: list[str], typed: str) -> list[str]:
        """What the table says."""
        return prompt.complete(self.subject, before, typed, SOURCES)


def address(kernel: Kernel, text: str) -> int:
    """A number, a symbol, or an expression of gdb, as an unsigned address."""
    try:
        return int(text, 0) & ((1 << 64) - 1)
    except ValueError:
        pass
    from rcdbg.image.resolve import resolve

    try:
        return resolve(kernel.image, text)
    except UsageError as not_a_symbol:
        try:
            return int(gdb.parse_and_eval(text)) & ((1 << 64) - 1)
        except (gdb.error, TypeError, ValueError) as error:
            raise not_a_symbol from error


def commands() -> list[Command]:
    """One for each entry of the table, but for `thread`, which does more here."""
    every = (*table.SUBJECTS, *table.QUESTIONS)
    return [Asking(entry) for entry in every if entry.name != "thread"]
