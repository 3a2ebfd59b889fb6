"""A subject at a prompt: its help text, and what a half-typed word may become."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rcdbg import words
from rcdbg.errors import RcdbgError
from rcdbg.subjects.subject import Subject
from rcdbg.words import JSON, Option

if TYPE_CHECKING:
    from rcdbg.image.elf import Image
    from rcdbg.model.kernel import Kernel

_MOST = 50
_WIDTH = 90


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the words come from that complete a word; each raises RcdbgError if it has none."""

    image: Callable[[], Image]
    kernel: Callable[[], Kernel]


def options(subject: Subject) -> tuple[Option, ...]:
    """The options of a subject, with the one that all have."""
    return (*subject.options, JSON)


def usage(subject: Subject) -> str:
    """What can be typed from the name on, without its options."""
    return f"{subject.name} {subject.argument.shown}" if subject.argument else subject.name


def help_text(subject: Subject, program: str) -> str:
    """One line that sums it up, then usage, options and examples; `program` is typed before it."""
    action = subject.action[:1].upper() + subject.action[1:]
    return compose(
        f"{action}.",
        f"{program} {usage(subject)}",
        options(subject),
        [f"{program} {e}" for e in subject.examples or (f"{subject.name} --json",)],
        subject.details,
    )


def compose(
    summary: str, usage: str, options: Sequence[Option], examples: Sequence[str], details: str = ""
) -> str:
    """A help text out of its parts; `details` that are one line are folded."""
    shown = "".join(f" [{o.shown}]" + "..." * o.repeated for o in options)
    line = usage + (shown if len(usage + shown) <= _WIDTH else " [OPTION]...")
    folded = details if "\n" in details else textwrap.fill(details, _WIDTH)
    listed = words.lines(options)
    first, *more = examples
    example = "\n".join([f"Example: {first}", *(f"         {e}" for e in more)])
    parts = (summary, f"Usage: {line}", folded, f"Options:\n{listed}" if listed else "", example)
    return "\n\n".join(part for part in parts if part)


def complete(subject: Subject, before: Sequence[str], typed: str, sources: Sources) -> list[str]:
    """What the word `typed` may become behind the words `before`; never fails."""

    def values(what: str, start: str) -> Iterable[str]:
        return offered(what, start, sources)

    found = words.complete(options(subject), before, typed, values)
    if found is not None:
        return found
    return offered(subject.argument.offers, typed, sources) if subject.argument else []


def offered(what: str, typed: str, sources: Sources) -> list[str]:
    """The words of one kind ("symbol", "path", ...) that begin like `typed`; never fails."""
    offer = _OFFERS.get(what)
    try:
        return offer(typed, sources) if offer else []
    except (RcdbgError, OSError):
        return []


def _symbols(typed: str, sources: Sources) -> list[str]:
    return sources.image().symbols.complete(typed)[:_MOST]


def _csrs(typed: str, _sources: Sources) -> list[str]:
    from rcdbg.riscv.csr import SPECS

    return [name for name in SPECS if name.startswith(typed)]


def _threads(typed: str, sources: Sources) -> list[str]:
    from rcdbg.model.threads.processor import read_processor

    threads = read_processor(sources.kernel()).threads
    return [name for t in threads if t.id is not None and (name := str(t.id)).startswith(typed)]


def _paths(typed: str, sources: Sources) -> list[str]:
    from rcdbg.model.values.completion import complete as complete_path

    image = sources.image()
    try:
        return complete_path(image, typed, sources.kernel())
    except RcdbgError:
        return complete_path(image, typed)


def _files(typed: str, _sources: Sources) -> list[str]:
    folder, name = typed[: typed.rfind("/") + 1], typed[typed.rfind("/") + 1 :]
    place = Path(folder or ".").expanduser()
    try:
        found = sorted(path for path in place.iterdir() if path.name.startswith(name))
    except OSError:
        return []
    return [f"{folder}{p.name}" + "/" * p.is_dir() for p in found[:_MOST]]


_OFFERS: dict[str, Callable[[str, Sources], list[str]]] = {
    "symbol": _symbols,
    "csr": _csrs,
    "thread": _threads,
    "path": _paths,
    "file": _files,
}
