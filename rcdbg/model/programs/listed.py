"""The programs for U-mode that are known, wherever they were found."""

from dataclasses import dataclass

from rcdbg.errors import ImageError
from rcdbg.image.programs.program import Program
from rcdbg.image.programs.shelf import programs_of
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Problem


@dataclass(frozen=True, slots=True)
class ListedProgram:
    """One of them."""

    name: str
    origin: str
    """Where it was found, in words."""
    entry: int | None
    """Its first instruction's virtual address; None if its ELF is damaged."""
    tells: str
    """What its ELF has: "source lines", "symbols" or "neither"; "" if it is damaged."""


@dataclass(frozen=True, slots=True)
class Programs:
    """All of them, in the order in which they were found."""

    programs: tuple[ListedProgram, ...]
    problems: tuple[Problem, ...] = ()


def read_programs(kernel: Kernel) -> Programs:
    """What is in the kernel's ELF, on its disks and beside it; never fails."""
    shelf = programs_of(kernel.image)
    problems = [Problem("programs", why) for why in shelf.problems]
    return Programs(tuple(_listed(p, problems) for p in shelf.programs), tuple(problems))


def _listed(program: Program, problems: list[Problem]) -> ListedProgram:
    try:
        image = program.image
    except ImageError as error:
        problems.append(Problem(program.name, str(error)))
        return ListedProgram(program.name, program.origin, None, "")
    tells = "symbols" if image.section(".symtab") is not None else "neither"
    tells = "source lines" if image.has_debug_info else tells
    return ListedProgram(program.name, program.origin, image.entry, tells)
