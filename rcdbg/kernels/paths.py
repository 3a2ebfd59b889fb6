"""Paths such as `PROCESSOR.scheduler.pool[2].id`: text in, steps out; nothing is followed here.

A path starts with a static, or, relative to a value, with a field. Then follow `.field`, `.0`,
`[index]` or `[key]`; `*` in front follows a pointer. In a description two steps more are allowed:
`[*]` is every element, and `..field` is the field of that name in the value or anywhere inside it,
the outermost first, as far as no pointer has to be followed. `.` alone is the value itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rcdbg.errors import UsageError

_TOKENS = re.compile(
    r"""\s*(?:(?P<name>[^\W\d]\w*(?:::[^\W\d]\w*)*)|(?P<number>-?(?:0x[0-9a-fA-F_]+|[0-9][0-9_]*))
    |(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>\.\.|[.\[\]*()]))""",
    re.VERBOSE,
)
_EXAMPLE = "a path is like PROCESSOR.scheduler.pool[2].id"
_MAX_BRACKETS = 32


@dataclass(frozen=True, slots=True)
class Field:
    """`.name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Find:
    """`..name`: a field anywhere inside."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`[2]`, `["key"]`, `[Variant]`"""

    key: int | str


@dataclass(frozen=True, slots=True)
class Each:
    """`[*]`: every element."""


@dataclass(frozen=True, slots=True)
class Deref:
    """`*` in front of what comes before."""


Step = Field | Find | Index | Each | Deref


@dataclass(frozen=True, slots=True)
class Path:
    """A static's name as typed, empty for a relative path, and the steps from it, in order."""

    static: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.static + steps_text(self.steps) if self.static else relative_text(self.steps)


def parse(text: str) -> Path:
    """The path that a user typed: from a static to one value; raises UsageError for another."""
    path = _Parser(text, is_description=False).whole()
    return Path(path.static, path.steps)


def parse_rooted(text: str) -> Path:
    """A description's path from a static, which may lead to many values; raises UsageError."""
    return _Parser(text, is_description=True).whole()


def parse_relative(text: str) -> Path:
    """A description's path from a value; raises UsageError where it is none."""
    bare = text.strip()
    if bare == ".":
        return Path("", ())
    stars = bare[: len(bare) - len(bare.lstrip("*"))]
    rest = bare[len(stars) :]
    joint = "" if rest.startswith(("..", "[")) else "."
    try:
        path = _Parser(f"{stars}_{joint}{rest}", is_description=True).whole()
    except UsageError:
        raise UsageError(f"{text!r} is no path from a value, such as inner.context") from None
    return Path("", path.steps)


def steps_text(steps: Sequence[Step]) -> str:
    """The steps as they are written behind what they start from: `.inner.tasks[*]`."""
    text = ""
    for step in steps:
        if isinstance(step, Deref):
            text += ".*"
        elif isinstance(step, Field | Find):
            text += f".{step.name.removeprefix('__')}"
        else:
            text += "[*]" if isinstance(step, Each) else f"[{step.key}]"
    return text


def relative_text(steps: Sequence[Step]) -> str:
    """The same without the dot in front, and with the stars there."""
    stars = sum(isinstance(step, Deref) for step in steps)
    plain = [step for step in steps if not isinstance(step, Deref)]
    return "*" * stars + (steps_text(plain).removeprefix(".") or ".")


class _Parser:
    def __init__(self, text: str, *, is_description: bool) -> None:
        self._text, self._is_description, self._at = text, is_description, 0
        self._tokens = list(self._tokenise())

    def _tokenise(self) -> Iterator[tuple[str, str]]:
        at, text = 0, self._text
        while at < len(text.rstrip()):
            found = _TOKENS.match(text, at)
            if found is None:
                wrong = text[at:].lstrip()[:1]
                raise UsageError(f"{text!r}: {wrong!r} has no place in a path")
            group = found.lastgroup or ""
            if found[group] == ".." and not self._is_description:
                yield from ((group, "."), (group, "."))
            else:
                yield group, found[group]
            at = found.end()

    def whole(self) -> Path:
        """The path that the whole text is; raises UsageError."""
        path = self._path(0)
        if self._at < len(self._tokens):
            raise self._refuse(f"{self._tokens[self._at][1]!r} has no place there")
        return path

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            return "end", ""
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("mark", mark):
            self._at += 1
            return True
        return False

    def _refuse(self, why: str) -> UsageError:
        return UsageError(f"{self._text!r}: {why}; {_EXAMPLE}")

    def _path(self, depth: int) -> Path:
        if depth > _MAX_BRACKETS:
            raise self._refuse("too many brackets")
        stars = 0
        while self._take("*"):
            stars += 1
        steps: list[Step] = []
        if self._take("("):
            inner = self._path(depth + 1)
            if not self._take(")"):
                raise self._refuse("a ( without its )")
            static, steps = inner.static, list(inner.steps)
        else:
            kind, static = self._next()
            if kind != "name":
                raise self._refuse("it should start with the name of a static")
        while (step := self._step()) is not None:
            steps.append(step)
        return Path(static, (*steps, *[Deref()] * stars))

    def _step(self) -> Step | None:
        if self._take(".."):
            return Find(self._field())
        if self._take("."):
            return Field(self._field())
        if not self._take("["):
            return None
        step: Step
        if self._is_description and self._take("*"):
            step = Each()
        else:
            step = Index(self._key(*self._next()))
        if not self._take("]"):
            raise self._refuse("a [ without its ]")
        return step

    def _field(self) -> str:
        kind, word = self._next()
        if kind == "number" and word.isdigit():
            return f"__{int(word)}"
        if kind != "name" or "::" in word:
            raise self._refuse("after a . comes the name of a field")
        return word

    def _key(self, kind: str, word: str) -> int | str:
        if kind == "number":
            return int(word.replace("_", ""), 0)
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", word[1:-1])
        if kind == "name":
            return word
        raise self._refuse("between [ and ] comes a number or a key")
