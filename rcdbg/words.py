"""Options and arguments as words: declared once, for the command line and for gdb's prompt.

An Option knows its flag, what stands behind it and what it is for. From that come the parser of
argparse, the parser for words that may be an expression of gdb, help and completion.
"""

import argparse
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rcdbg.errors import UsageError


@dataclass(frozen=True, slots=True)
class Option:
    """A word that begins with `--`, with a value behind it or without."""

    flag: str
    help: str
    metavar: str = ""
    """What its value is called; a switch has none."""
    also: tuple[str, ...] = ()
    """Other spellings."""
    repeated: bool = False
    """Whether it may be given several times, each time with another value."""
    number: tuple[int, int] | None = None
    """The least and the greatest value, where it is a number that needs no kernel to tell."""
    offers: str = ""
    """What completes its value: "file", "symbol", "csr", ..."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Every spelling, its own first."""
        return (self.flag, *self.also)

    @property
    def shown(self) -> str:
        """As in a help text: `--root PPN`."""
        return f"{self.flag} {self.metavar}".rstrip()

    @property
    def dest(self) -> str:
        """The attribute that argparse makes of it."""
        return self.flag.lstrip("-").replace("-", "_")

    def check(self, text: str) -> None:
        """Raises UsageError for a value that is none, if that can be told without a kernel."""
        if self.number is not None:
            whole(self.flag, text, *self.number)


def whole(name: str, text: str, least: int, most: int) -> int:
    """The whole number that a word is; raises UsageError for another, or one out of bounds."""
    try:
        number = int(text, 0)
    except ValueError as error:
        raise UsageError(f"{name} wants a number, not {text!r}") from error
    if not least <= number <= most:
        raise UsageError(f"{name} {text}: from {least} to {most}")
    return number


@dataclass(frozen=True, slots=True)
class Given:
    """The options that were given, by flag, with their values; a switch has the value ""."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, flag: str) -> bool:
        return flag in self.values

    def __bool__(self) -> bool:
        return bool(self.values)

    def text(self, flag: str) -> str | None:
        """The value behind the flag, the last one if there are several; None without it."""
        return self.values[flag][-1] if flag in self.values else None

    def texts(self, flag: str) -> tuple[str, ...]:
        """All values behind the flag."""
        return self.values.get(flag, ())

    def number(self, flag: str) -> int | None:
        """The number behind the flag, which `check` has let through; None without it."""
        text = self.text(flag)
        return None if text is None else int(text, 0)

    def among(self, flags: Iterable[str]) -> list[str]:
        """Those of the flags that were given, in that order."""
        return [flag for flag in flags if flag in self.values]


def take(
    program: str, options: Iterable[Option], words: Sequence[str]
) -> tuple[Given, tuple[str, ...]]:
    """The options among the words, and the words that are left, such as an expression.

    Raises UsageError for an unknown `--word`, a missing value, or one that cannot be.
    """
    by_flag = {flag: option for option in options for flag in option.flags}
    found: dict[str, tuple[str, ...]] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=")
        option = by_flag.get(flag)
        if option is None:
            if word.startswith("--"):
                raise UsageError(f"{program} has no option {word}: see help {program}")
            rest.append(word)
            continue
        if not option.metavar:
            if equals:
                raise UsageError(f"{flag} takes no value")
        elif not equals:
            if not left or left[0] in by_flag:
                raise UsageError(f"{flag} wants a value: {option.shown}")
            value = left.pop(0)
        option.check(value)
        found[option.flag] = (*found.get(option.flag, ()), value)
    return Given(found), tuple(rest)


def add_to(parser: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    """Add the options to a parser of argparse, or a group of one."""
    for option in options:
        if not option.metavar:
            parser.add_argument(
                *option.flags, dest=option.dest, action="store_true", help=option.help
            )
        else:
            parser.add_argument(
                *option.flags,
                dest=option.dest,
                metavar=option.metavar,
                action="append" if option.repeated else "store",
                help=option.help,
            )


def given(arguments: argparse.Namespace, options: Iterable[Option]) -> Given:
    """The options that were given, out of what argparse made of them; raises UsageError."""
    found: dict[str, tuple[str, ...]] = {}
    for option in options:
        value = getattr(arguments, option.dest, None)
        if value is None or value is False:
            continue
        texts = tuple(value) if isinstance(value, list) else ("" if value is True else str(value),)
        for text in texts:
            option.check(text)
        found[option.flag] = texts
    return Given(found)


def lines(options: Iterable[Option], columns: int = 95) -> str:
    """The options for a help text, each on a line of its own; empty without any."""
    heads = {", ".join((*o.also, o.shown)): o.help for o in options}
    width = max(map(len, heads), default=0)
    return "\n".join(
        textwrap.fill(
            about,
            columns,
            initial_indent=f"  {head.ljust(width)}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
        for head, about in heads.items()
    )


def complete(
    options: Sequence[Option],
    before: Sequence[str],
    typed: str,
    values: Callable[[str, str], Iterable[str]],
) -> list[str] | None:
    """What the word that is being typed may become; None if it is neither an option nor its value.

    `before` are the words that stand already; `values(what, typed)` gives what an option `offers`.
    """
    by_flag = {flag: option for option in options for flag in option.flags}
    last = by_flag.get(before[-1]) if before else None
    if last is not None and last.metavar:
        return [found for found in values(last.offers, typed) if found.startswith(typed)]
    if not typed.startswith("-"):
        return None
    used = {option.flag for word in before if (option := by_flag.get(word)) and not option.repeated}
    return [o.flag for o in options if o.flag.startswith(typed) and o.flag not in used]


JSON = Option("--json", "for programs; see docs/json.md")
"""What every command takes that has a document to give."""
