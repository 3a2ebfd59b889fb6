"""What a subject is: how it is asked for, read, drawn and serialised.

A subject names functions as "module:function", and they are imported when they are used: help,
completion and parsing need none of them, and are quick without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rcdbg import words
from rcdbg.errors import UsageError
from rcdbg.lazy import named
from rcdbg.words import Given, Option

if TYPE_CHECKING:
    from rcdbg.model.kernel import Kernel
    from rcdbg.model.serial.state import Json
    from rcdbg.views.render import Drawing

Evaluate = Callable[["Kernel", str], int]
"""The number that a word means to a kernel: a literal, a symbol; raises UsageError."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a question, for the function that reads what is asked for."""

    given: Given
    argument: str = ""
    number: Callable[[str], int] = int
    """The number that a word means to the kernel that is asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded part of the kernel, for people and for programs."""

    reading: Reading
    found: Any
    hart: int | None = None
    harts: int = 1
    """Which hart it is of, and how many there are, as far as that is known."""

    @property
    def view(self) -> Drawing:
        """It drawn; where there are several harts, below which of them it is of."""
        drawing: Drawing = named(self.reading.draw)(self.found)
        if self.harts > 1:
            from rcdbg.views.hart.hart import one_of

            return one_of(self.hart, self.harts, drawing)
        return drawing

    @property
    def document(self) -> Json:
        """It as the document that `--json` prints."""
        from rcdbg.model.serial.state import document

        found = document(self.reading.key, named(self.reading.serialise)(self.found))
        if self.harts > 1:
            found["harts"] = {"shown": self.hart, "count": self.harts}
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """How one thing is read, drawn and serialised; each by a function that is named."""

    key: str
    """Of the document."""
    read: str
    """Of the kernel, and of an Asked if it `asks`; nonsense in memory becomes Problems."""
    draw: str
    serialise: str
    needs_types: bool = True
    """Whether it takes debug info to decode anything of it."""
    asks: bool = False
    """Whether it depends on options or an argument."""
    note: str = ""
    """What docs/json.md says behind the key."""

    def answer(self, kernel: Kernel, asked: Asked | None = None) -> Answer:
        """This part of the kernel as it is at this moment; raises UsageError for bad words."""
        read = named(self.read)
        found = read(kernel, asked or Asked(Given())) if self.asks else read(kernel)
        return Answer(self, found, kernel.registers.hart, kernel.registers.harts)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading, which options ask for."""

    flags: tuple[str, ...]
    """Any of them asks for it."""
    reading: Reading
    takes: tuple[str, ...] = ()
    """The options that go with these."""
    refusal: str = "takes no other option"
    """What is said of those that do not, behind the flag."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What stands behind the name of a question."""

    metavar: str
    help: str
    required: bool = True
    number: tuple[int, int] | None = None
    """The least and the greatest value, where it is a number that needs no kernel to tell."""
    offers: str = ""
    """What completes it."""

    @property
    def shown(self) -> str:
        """As in a usage line."""
        return self.metavar if self.required else f"[{self.metavar}]"


@dataclass(frozen=True, slots=True)
class Question:
    """A subject with its words taken apart, ready to be asked of a kernel."""

    reading: Reading
    given: Given
    argument: str = ""

    def answer(self, kernel: Kernel, evaluate: Evaluate) -> Answer:
        """What the kernel says; raises UsageError for a word that makes no sense to it."""
        asked = Asked(self.given, self.argument, lambda text: evaluate(kernel, text))
        return self.reading.answer(kernel, asked)


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of the kernel that can be asked for by name, with the words that may follow it."""

    name: str
    about: str
    """What it shows, in one line that goes on after the verb."""
    reading: Reading
    options: tuple[Option, ...] = ()
    variants: tuple[Alternative, ...] = ()
    argument: Argument | None = None
    without: Reading | None = None
    """What is read when there is no argument, where it may be left out."""
    verb: str = "show"
    details: str = ""
    """More lines for a help text."""
    examples: tuple[str, ...] = ()
    """Behind `rc`; without any, the name is one."""
    title: str = ""
    """Of its panel in a report and on the screen; without one it has none there."""
    panel: str = ""
    """Draws it from a whole KernelState and the one before, where that is a part of the state."""
    summary: str = ""
    """Draws it in a report, where that is to be shorter."""

    @property
    def action(self) -> str:
        """What it does, for a help text."""
        return f"{self.verb} {self.about}"

    @property
    def needs_types(self) -> bool:
        """Whether it takes debug info to decode anything of it."""
        return self.reading.needs_types

    def answer(self, kernel: Kernel) -> Answer:
        """This part of the kernel as it is at this moment, without any option."""
        return self.reading.answer(kernel)

    def question(self, given: Given, rest: Sequence[str] = ()) -> Question:
        """What the options and the words beside them ask for; other commands' options are nothing.

        Raises UsageError for what does not go together, a word too many, or a missing one.
        """
        own = {option.flag for option in self.options}
        given = Given({flag: found for flag, found in given.values.items() if flag in own})
        argument = self._argument(rest)
        if self.without is not None and not argument:
            return Question(self.without, given)
        return Question(self._reading(given), given, argument)

    def _argument(self, rest: Sequence[str]) -> str:
        text, wanted = " ".join(rest), self.argument
        if wanted is None:
            if rest:
                raise UsageError(f"{self.name} takes no {rest[0]!r}")
            return ""
        if not text:
            if wanted.required:
                raise UsageError(f"{self.name} wants {wanted.help}")
            return ""
        if wanted.number is not None:
            words.whole(f"{self.name} {wanted.metavar}", text, *wanted.number)
        return text

    def _reading(self, given: Given) -> Reading:
        chosen = [v for v in self.variants if given.among(v.flags)]
        # An option may ask for something by itself, and be a part of another question.
        if len(chosen) > 1:
            flags = [v for v in chosen if not any(set(v.flags) <= set(o.takes) for o in chosen)]
            chosen = flags or chosen
        if not chosen:
            return self.reading
        if len(chosen) > 1:
            one, other = (given.among(v.flags)[0] for v in chosen[:2])
            raise UsageError(f"{one} and {other} are two questions: ask one")
        (variant,) = chosen
        for flag in given.values:
            if flag not in (*variant.flags, *variant.takes):
                raise UsageError(f"{given.among(variant.flags)[0]} {variant.refusal} ({flag})")
        return variant.reading
