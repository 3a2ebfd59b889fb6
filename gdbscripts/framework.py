"""What every `rc` command has in common: help, completion, `--json`, and errors of one line.

A command says what it is for in class attributes and does its work in `run`. It raises what it
likes to raise: here every error on purpose becomes gdb's own kind, of one line, without a trace.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import gdb

from rcdbg.errors import RcdbgError, TargetError, UsageError

JSON = "--json"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the errors of rcdbg and of gdb into one line that begins with "rcdbg: "."""
    try:
        yield
    except gdb.GdbError:
        raise
    except (RcdbgError, gdb.error) as error:  # gdb.MemoryError is a gdb.error
        raise gdb.GdbError(f"rcdbg: {_one_line(error)}") from error
    except _decode_error() as error:
        raise gdb.GdbError(f"rcdbg: {_one_line(error)}") from error


def _decode_error() -> type[Exception]:
    # Imported when there is an error to compare with: sourcing the script stays quick.
    from rcdbg.model.values.value import DecodeError

    return DecodeError


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def refuse_while_running() -> None:
    """Raises TargetError while the kernel runs: gdb has neither memory nor registers then."""
    thread = gdb.selected_thread()
    if thread is None or not thread.is_valid() or not thread.is_running():
        return
    try:
        # A breakpoint's condition is evaluated while the thread counts as running, but stands.
        gdb.newest_frame()
    except gdb.error as error:
        raise TargetError("the kernel runs: interrupt it first") from error


def demand_machine() -> "gdb.RemoteTargetConnection":
    """The connection to a machine that stands; raises TargetError without one."""
    inferior = gdb.selected_inferior()
    connection = inferior.connection
    if not isinstance(connection, gdb.RemoteTargetConnection) or not inferior.pid:
        raise TargetError("gdb is not connected to a machine: target remote ...")
    refuse_while_running()
    return connection


def say(line: str) -> None:
    """A line of rcdbg's own among gdb's output."""
    gdb.write(line + "\n")


class Command(gdb.Command):
    """A command below `rc`; the docstring's first line is its summary, the rest goes below usage.

    Options are words that begin with `--`; each is offered by completion.
    """

    usage: ClassVar[str]
    """What can be typed, from `rc` on, without `--json`."""
    examples: ClassVar[tuple[str, ...]]
    options: ClassVar[tuple[str, ...]] = ()
    """Besides --json."""
    words: ClassVar[tuple[str, ...]] = ()
    """Words that an argument may be, for completion."""
    json: ClassVar[bool] = True
    """Whether it takes --json."""
    kind: ClassVar[int] = gdb.COMMAND_DATA

    def __init__(self) -> None:
        self.__doc__ = self._help()
        super().__init__(self._name(), self.kind)

    @classmethod
    def _name(cls) -> str:
        """`rc NAME`: the words of the usage up to the first argument."""
        return " ".join(cls.usage.split()[:2])

    @classmethod
    def _help(cls) -> str:
        summary, _, about = (cls.__doc__ or "").partition("\n")
        about = "\n".join(line.strip() for line in about.strip().splitlines())
        usage = f"Usage: {cls.usage}" + (f" [{JSON}]" if cls.json else "")
        first, *more = cls.examples
        examples = "\n".join([f"Example: {first}", *(f"         {e}" for e in more)])
        return "\n\n".join(part for part in (summary, usage, about, examples) if part)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Take the words apart, run, print."""
        with one_line_errors():
            words = gdb.string_to_argv(argument)
            as_json = self.json and JSON in words
            words = [w for w in words if not (self.json and w == JSON)]
            for word in words:
                if word.startswith("--") and word.partition("=")[0] not in self.options:
                    raise UsageError(
                        f"{self._name()} has no option {word}: see help {self._name()}"
                    )
            document = self.run(words, as_json)
            if as_json:
                say(json.dumps(document, indent=2))

    def run(self, words: list[str], as_json: bool) -> Any:
        """Do it, and return the JSON document; with `as_json` print nothing else."""
        raise NotImplementedError

    def complete(self, text: str, word: str | None) -> list[str]:
        """Options and words that begin with what is typed."""
        every = (*self.options, *((JSON,) if self.json else ()))
        return completions(text, word, every if _typed(text).startswith("-") else self.words)

    def no_more(self, words: list[str]) -> None:
        """Raises UsageError if there are words left."""
        if words:
            raise UsageError(f"{self._name()} takes no {words[0]!r}")


def completions(text: str, word: str | None, every: Iterable[str]) -> list[str]:
    """Those of `every` that begin with the last word of `text`, as gdb wants them."""
    typed = _typed(text)
    # gdb counts a hyphen as the end of a word, and asks for what follows it only.
    known = len(typed) - len(word or "")
    return [choice[known:] for choice in every if choice.startswith(typed)]


def _typed(text: str) -> str:
    return text.split(" ")[-1]
