"""What a kernel printed before it died, explained by its ELF: places, causes, addresses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.elf import Image
from rcdbg.model.state import Place
from rcdbg.riscv import causes
from rcdbg.riscv.pages import PAGE_SIZE

MAX_CLUES = 64

_PANIC = re.compile(r"panick?(?:ed)?\b", re.IGNORECASE)
_LOCATION = re.compile(r"(?P<file>[\w./-]+\.(?:rs|c|S)):(?P<line>\d+)")
_NUMBER = re.compile(
    r"(?P<name>[sm](?:cause|epc|tval)|bad addr\w*|bad instruction|pc|ra)\b[\s=:]*"
    r"(?P<value>0x[0-9a-f]+)",
    re.IGNORECASE,
)
_CAUSES = ("scause", "mcause")
_CODE = ("sepc", "mepc", "bad instruction", "pc", "ra")


@dataclass(frozen=True, slots=True)
class Clue:
    """Something in the text, and what it means."""

    said: str
    """The part of the text."""
    meaning: str
    place: Place | None = None


def clues_in(text: str, image: Image) -> tuple[Clue, ...]:
    """What a console's text has of panics, causes and addresses, in its order, each once."""
    found: dict[Clue, None] = {}
    for line in text.splitlines():
        for clue in _clues(line, image):
            found[clue] = None
            if len(found) == MAX_CLUES:
                return tuple(found)
    return tuple(found)


def _clues(line: str, image: Image) -> Iterator[Clue]:
    if _PANIC.search(line):
        location = _LOCATION.search(line)
        place = None
        if location is not None:
            place = _at_line(image, location["file"], int(location["line"]))
        yield Clue(line.strip(), "the kernel panicked", place)
    for number in _NUMBER.finditer(line):
        yield _number(number["name"].lower(), int(number["value"], 16), number[0], image)


def _number(name: str, value: int, said: str, image: Image) -> Clue:
    if name in _CAUSES:
        return Clue(said, causes.describe(value))
    place = _place(image, value)
    if place is not None:
        what = "the instruction there" if name in _CODE else "what lies there"
        return Clue(said, what, place)
    if value < PAGE_SIZE:
        return Clue(said, "null, or a field at that offset of a null pointer")
    where = next((s.name for s in image.sections
                  if "a" in s.flags and s.address <= value < s.address + s.size), "")  # fmt: skip
    return Clue(said, f"in {where}" if where else "in none of the kernel's sections")


def _place(image: Image, address: int) -> Place | None:
    found = image.symbols.at(address)
    if found is None:
        return None
    line = image.lines.lookup(address)
    name, offset = found
    if line is None:
        return Place(address, name, offset)
    return Place(address, name, offset, line.file, line.line)


def _at_line(image: Image, file: str, number: int) -> Place | None:
    """The first code of a source line, of which the end of the path is known."""
    addresses = image.lines.addresses(file.removeprefix("./"), number)
    return _place(image, addresses[0]) if addresses else None
