"""A subject that rcdbg does not have, as somebody would add it: the locks of the kernel's statics.

The three functions stand for the one file in `model/` and the one in `views/` (with its line in
`model/serial/`); ENTRY is the line of the table. Nothing else is told of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rcdbg.subjects.subject import Alternative, Asked, Reading, Subject
from rcdbg.words import Option

if TYPE_CHECKING:
    from rich.text import Text

    from rcdbg.model.kernel import Kernel

NAME = "semaphores"


@dataclass(frozen=True, slots=True)
class Semaphores:
    """The statics that are behind a lock, by name, and which of them is held."""

    held: dict[str, bool]


def read(kernel: Kernel) -> Semaphores:
    """All of them; never fails."""
    from rcdbg.model.values.inspect import Limits
    from rcdbg.model.values.printed import read_path, read_statics

    found = {}
    for static in read_statics(kernel.image).known:
        if "<" not in static.name:
            notes = read_path(kernel, static.name, Limits(depth=0)).notes
            if locks := [note for note in notes if "locked" in note]:
                found[static.name] = locks[0] == "locked"
    return Semaphores(found)


def read_one(kernel: Kernel, asked: Asked) -> Semaphores:
    """Those whose names end so."""
    name = asked.given.text("--named") or ""
    return Semaphores({n: h for n, h in read(kernel).held.items() if n.endswith(name)})


def draw(found: Semaphores) -> Text:
    """A line for each."""
    from rich.text import Text

    words = {True: "held", False: "free"}
    return Text("\n".join(f"{name}: {words[held]}" for name, held in found.held.items()))


def serialise(found: Semaphores) -> dict[str, Any]:
    """By name."""
    return {"held": found.held, "problems": []}


_HERE = "tests.support.semaphores"
_READING = Reading(NAME, f"{_HERE}:read", f"{_HERE}:draw", f"{_HERE}:serialise")
_ONE = Reading(NAME, f"{_HERE}:read_one", f"{_HERE}:draw", f"{_HERE}:serialise", asks=True)

ENTRY = Subject(
    NAME,
    "the locks of the kernel's statics: held or free",
    _READING,
    options=(Option("--named", "only those whose names end so", "NAME"),),
    variants=(Alternative(("--named",), _ONE),),
    title="Semaphores",
)
