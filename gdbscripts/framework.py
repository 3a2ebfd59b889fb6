"""What every `rc` command has in common: help, completion, `--json`, and errors of one line.

A command says what it is for in class attributes and does its work in `run`; the options are
declared as those of the command line are, in `rcdbg.words`. It raises what it likes to raise: here
every error on purpose becomes gdb's own kind, of one line, without a trace.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gdb

from gdbscripts.machine.kernel import current_image, current_kernel
from rcdbg.errors import RcdbgError, UsageError
from rcdbg.subjects.prompt import Sources, compose, offered
from rcdbg.words import JSON, Given, Option, complete, take

SOURCES = Sources(current_image, current_kernel)
"""What completes words at gdb's prompt."""


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


def say(line: str) -> None:
    """A line of rcdbg's own among gdb's output."""
    gdb.write(line + "\n")


@dataclass(frozen=True, slots=True)
class TypedWords:
    """What was typed behind a command's name."""

    given: Given
    words: tuple[str, ...]
    """What is no option."""

    @property
    def as_json(self) -> bool:
        """Whether a document is wanted, and nothing else."""
        return JSON.flag in self.given


class Command(gdb.Command):
    """A command below `rc`; the docstring's first line is its summary, the rest goes below usage.

    It is there for gdb once `define` was called.
    """

    usage: str
    """What can be typed, from `rc` on, without the options."""
    examples: tuple[str, ...]
    options: tuple[Option, ...] = ()
    """Besides --json."""
    words: tuple[str, ...] = ()
    """Words that an argument may be, for completion."""
    json: bool = True
    """Whether it takes --json."""
    kind: int = gdb.COMMAND_DATA

    def __init__(self) -> None:
        """Nothing: `define` tells gdb."""

    def define(self) -> None:
        """Make it known to gdb."""
        self.__doc__ = self.help_text()
        super().__init__(self.name, self.kind)

    @property
    def name(self) -> str:
        """`rc NAME`: the words of the usage up to the first argument."""
        return " ".join(self.usage.split()[:2])

    @property
    def about(self) -> str:
        """What it does, for a list of commands."""
        summary = (self.__doc__ or "").partition("\n")[0].partition(":")[0].rstrip(".")
        return summary[:1].lower() + summary[1:]

    @property
    def takes(self) -> tuple[Option, ...]:
        """All its options."""
        return (*self.options, *((JSON,) if self.json else ()))

    def help_text(self) -> str:
        """What `help` prints."""
        summary, _, about = (self.__doc__ or "").partition("\n")
        details = "\n".join(line.strip() for line in about.strip().splitlines())
        return compose(summary, self.usage, self.takes, self.examples, details)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Take the words apart, run, print."""
        with one_line_errors():
            given, rest = take(self.name, self.takes, self.split(argument))
            typed = TypedWords(given, rest)
            document = self.run(typed)
            if typed.as_json:
                say(json.dumps(document, indent=2))

    def split(self, argument: str) -> list[str]:
        """The words of a line; quotes keep blanks together."""
        return gdb.string_to_argv(argument)

    def run(self, typed: TypedWords) -> Any:
        """Do it, and return the JSON document; if that is wanted print nothing else."""
        raise NotImplementedError

    def complete(self, text: str, word: str | None) -> list[str]:
        """Options, their values, and words that begin with what is typed."""
        if word is None:  # gdb asks first where words end
            return []
        *before, typed = text.split(" ")
        return completions(text, word, self.candidates(before, typed))

    def candidates(self, before: list[str], typed: str) -> list[str]:
        """What `typed` may become; those that begin otherwise are left out."""
        found = complete(self.takes, before, typed, lambda what, t: offered(what, t, SOURCES))
        return self.offers(before, typed) if found is None else found

    def offers(self, before: list[str], typed: str) -> list[str]:
        """The same for a word that is neither an option nor its value."""
        return list(self.words)

    def no_more(self, typed: TypedWords) -> None:
        """Raises UsageError if there are words besides the options."""
        if typed.words:
            raise UsageError(f"{self.name} takes no {typed.words[0]!r}")


def completions(text: str, word: str | None, every: Iterable[str]) -> list[str]:
    """Those of `every` that begin with the last word of `text`, as gdb wants them."""
    typed = text.split(" ")[-1]
    # gdb counts a hyphen as the end of a word, and asks for what follows it only.
    known = len(typed) - len(word or "")
    return [choice[known:] for choice in every if choice.startswith(typed)]
