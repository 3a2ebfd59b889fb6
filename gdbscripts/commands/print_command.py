"""`rc print PATH`: a static of the kernel, or a part of one, completed by tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gdb

from gdbscripts.answers import answer, take_json
from gdbscripts.framework import completions
from gdbscripts.kernel import current_image, current_kernel
from rcdbg.errors import RcdbgError, UsageError

if TYPE_CHECKING:
    # Imported by the first command that needs them: `source` stays quick.
    from rcdbg.model.kernel import Kernel
    from rcdbg.views.subjects import Answer

_OPTIONS = ("--depth", "--json")


class Print(gdb.Command):
    """Print a static of the kernel, or a part of one, as Rust means it.

    Usage: rc print [PATH] [--depth N] [--json]

    PATH starts with a static (its full path, the end of it, or its name) and goes on with .FIELD,
    [INDEX] or [KEY]; * in front follows a pointer. Locks, Arcs, Options and cells are looked
    through. Without PATH: the list of statics. Tab completes statics, fields and indices.
    Examples: rc print PROCESSOR
              rc print os::process::PROCESSOR.scheduler.pool[2].id
              rc print PROCESSOR.current_thread.inner --depth 2
    """

    def __init__(self) -> None:
        super().__init__("rc print", gdb.COMMAND_DATA)

    def complete(self, text: str, word: str | None) -> list[str]:
        """Statics, fields and indices."""
        if word is None:  # gdb asks first where words end
            return []
        typed = text.split(" ")[-1]
        # gdb replaces only its own last word, which `.`, `[`, `:` and `-` end.
        kept = len(typed) - len(word)
        if typed.startswith("-"):
            return completions(text, word, _OPTIONS)
        try:
            image = current_image()
        except RcdbgError:
            return []
        kernel: Kernel | None
        try:
            kernel = current_kernel()
        except RcdbgError:
            kernel = None
        from rcdbg.model.values.completion import complete

        return [found[kept:] for found in complete(image, typed, kernel)]

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Resolve, decode, print."""
        # Not gdb.string_to_argv, which would take the quotes of a key away.
        words = argument.split()
        as_json = take_json(words)
        try:
            depth = _take_depth(words)
        except UsageError as error:
            raise gdb.GdbError(f"rcdbg: {error}") from error
        path = " ".join(words)

        def ask(kernel: Kernel) -> Answer:
            from rcdbg.model.values.inspect import Limits
            from rcdbg.views.printed import print_answer, statics_answer

            if not path:
                return statics_answer(kernel.image)
            return print_answer(kernel, path, Limits(depth=depth))

        answer(ask, as_json)


def _take_depth(words: list[str]) -> int:
    from rcdbg.model.values.inspect import DEFAULT_LIMITS
    from rcdbg.views.printed import MAX_DEPTH

    if "--depth" not in words:
        return DEFAULT_LIMITS.depth
    at = words.index("--depth")
    given = words[at + 1 : at + 2]
    del words[at : at + 2]
    if not given or not given[0].isdigit() or int(given[0]) > MAX_DEPTH:
        raise UsageError(f"--depth wants a number up to {MAX_DEPTH}")
    return int(given[0])
