"""`rc` and its subcommands."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, Protocol

import gdb

from gdbscripts import functions, printers
from gdbscripts.answers import answer, take_json
from gdbscripts.commands import profile_command, stepping, thread_command
from gdbscripts.commands.print_command import Print
from gdbscripts.commands.snapshot_command import Snapshot
from gdbscripts.commands.trace_command import register as register_trace
from gdbscripts.framework import JSON, completions, one_line_errors
from gdbscripts.kernel import current_image, current_kernel, follow_changes
from rcdbg.cli import subject_options
from rcdbg.errors import RcdbgError, UsageError

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer


class _Shown(Protocol):
    """What `_Show` makes a command of: a Subject, or its stand-in."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...
    def answer(self, kernel: Kernel) -> Answer: ...


class _Later(NamedTuple):
    """A Subject of `rcdbg.views.subjects` whose decoders are imported when it is asked for."""

    name: str
    about: str

    def answer(self, kernel: Kernel) -> Answer:
        from rcdbg.views.subjects import subject

        return subject(self.name).answer(kernel)


SUBJECTS = (
    _Later("context", "the Context of the trap that is being handled"),
    _Later("csr", "the supervisor CSRs, with their fields in words"),
    _Later("pagetable", "the page table in satp, equal neighbours merged"),
    _Later("frames", "the physical frames: free intervals, used, total"),
    _Later("threads", "the threads: running, ready in their order, sleeping"),
    _Later("memoryset", "the address spaces: each segment beside what the page table says"),
    _Later(
        "owners", "who has each physical frame: a page table, a page, something else, or nobody"
    ),
    _Later("heap", "the kernel heap: free blocks by order, requested against allocated"),
    _Later("backtrace", "the call stack, through the trap into the code that it interrupted"),
    _Later("backtraces", "the threads, each with its call stack"),
    _Later("all", "everything"),
)
"""The same as `rcdbg.views.subjects.SUBJECTS`, which a test compares."""


class _Rc(gdb.Command):
    """rcdbg: what the bytes of an rCore-style kernel mean.

    rc context           the Context of the trap that is being handled
    rc csr               the supervisor CSRs, with their fields in words
    rc walk ADDRESS      an address through the page table, level by level
    rc pagetable         the page table in satp, equal neighbours merged
    rc frames            the physical frames: free intervals, used, total
    rc memoryset         the address spaces: segments beside the page table
    rc threads           the threads: running, ready in their order, sleeping
    rc owners            who has each physical frame; conflicts, leaks, a map
    rc heap              the kernel heap: free blocks by order, broken links
    rc thread ID         one thread in full; rc thread ID bt, rc thread ID frame N
    rc backtrace         the call stack, through the trap into the code that it interrupted
    rc backtraces        the threads, each with its call stack
    rc print PATH        a static of the kernel, or a part of one
    rc all               everything
    rc profile FILE      the names that this kernel uses
    rc snapshot FILE     all of it in one file, for rcdbg show --snapshot FILE
    rc next-trap [CAUSE] run until a trap is handled
    rc until-sret        run until this trap is over
    rc next-switch       run until another thread goes on
    rc trace             run, and tell traps, switches, frames, ... as they come
    rc step-irq on|off   whether stepi takes pending interrupts

    Usage: rc COMMAND [ARGUMENT]... [--json]

    `help rc walk` and so on tell more, each with an example. In expressions there are
    $rc_pa(VA), $rc_va(PA), $rc_thread(ID), $rc_current(), $rc_context(ID), $rc_ticks() and
    $rc_field(VALUE, b"NAME"): see help function.

    Example: rc threads
    """

    def __init__(self) -> None:
        super().__init__("rc", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, prefix=True)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """`rc` alone: what there is."""
        if argument.strip():
            raise gdb.GdbError(f'rcdbg: no command "rc {argument.split()[0]}": see help rc')
        gdb.execute("help rc")


class _Show(gdb.Command):
    """Shows one subject."""

    def __init__(self, subject: _Shown) -> None:
        self._subject = subject
        self.__doc__ = (
            f"Show {subject.about}.\n\n"
            f"Usage: rc {subject.name} [--json]\n\n"
            f"Example: rc {subject.name} --json"
        )
        if options := subject_options.usage(subject.name):
            self.__doc__ += f"\n\nOptions:\n{options}"
        super().__init__(f"rc {subject.name}", gdb.COMMAND_DATA)

    def complete(self, text: str, word: str | None) -> list[str]:
        """The options that this subject takes."""
        return completions(text, word, (JSON, *subject_options.names(self._subject.name)))

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Decode, render, print."""
        words = _split(argument)
        as_json = take_json(words)
        with one_line_errors():
            arguments = subject_options.parse(self._subject.name, words)
            ask = subject_options.asked(self._subject.name, arguments)
        if ask is None:
            answer(self._subject.answer, as_json)
        else:
            answer(lambda kernel: ask(kernel, lambda t: _address(t, kernel)), as_json)


class _Walk(gdb.Command):
    """Walk an address through the page table in satp, level by level.

    Usage: rc walk ADDRESS [--json]

    ADDRESS is any expression of gdb, or a symbol.
    Examples: rc walk 0xffffffff80200000
              rc walk $sp
              rc walk handle_interrupt
    """

    def __init__(self) -> None:
        super().__init__("rc walk", gdb.COMMAND_DATA)

    def complete(self, text: str, word: str | None) -> list[str]:
        """Symbols of the kernel, and the option."""
        if word is None:  # gdb asks first where words end
            return []
        if text.split(" ")[-1].startswith("-"):
            return completions(text, word, (JSON,))
        try:
            return current_image().symbols.complete(word)[:50]
        except RcdbgError:
            return []

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Evaluate the address, walk, print."""
        words = _split(argument)
        as_json = take_json(words)
        with one_line_errors():
            table = subject_options.take_roots(words)
        if not words:
            raise gdb.GdbError("rcdbg: rc walk wants an address: rc walk $sp")

        def ask(kernel: Kernel) -> Answer:
            from rcdbg.views.subjects import walk_answer

            root = subject_options.root(kernel, table, lambda t: _address(t, kernel))
            return walk_answer(kernel, _address(" ".join(words), kernel), root)

        answer(ask, as_json)


def _address(text: str, kernel: Kernel) -> int:
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


def _split(argument: str) -> list[str]:
    with one_line_errors():
        return gdb.string_to_argv(argument)


@functools.cache
def register() -> None:
    """Define the commands; once is enough, however often the script is sourced."""
    follow_changes()
    _Rc()
    for subject in SUBJECTS:
        _Show(subject)
    _Walk()
    stepping.register()
    functions.register()
    printers.register()
    thread_command.register()
    profile_command.register()
    Print()
    register_trace()
    Snapshot(current_kernel)
