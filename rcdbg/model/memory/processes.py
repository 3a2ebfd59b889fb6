"""The processes: those that the kernel lists, that statics hold, that threads are in."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

from rcdbg.image.types import Static
from rcdbg.kernels.description import UNKNOWN
from rcdbg.model.by_types import by_types
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import NOT_YET
from rcdbg.model.memory.page_table import Root
from rcdbg.model.memory.space import process_at, root_of_process
from rcdbg.model.process_list import MAX_PROCESSES, listed_processes
from rcdbg.model.programs.explained import with_programs
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.task import text_at
from rcdbg.model.values.parts import has_struct_inside, number, struct_inside
from rcdbg.model.values.value import DecodeError, Value

_MAX_NAMED = 16


@dataclass(frozen=True, slots=True)
class FoundProcess:
    """A process, and how it was found."""

    name: str
    """The static's path, or in words."""
    value: Value
    threads: tuple[int, ...]
    """Ids of its threads, ascending."""
    is_static: bool
    """Whether a static holds it: such as the kernel's own."""


def find_processes(kernel: Kernel, problems: list[Problem]) -> tuple[list[FoundProcess], str]:
    """The processes, in no order; and a note if one is not there yet, or none can be.

    Raises DecodeError if nobody has said what a process is called.
    """
    names = kernel.description.process
    if not names.type and not names.list:
        if kernel.description.family == UNKNOWN.family:
            raise DecodeError("process", kernel.not_described)
        return [], f"{kernel.description.title}: rcdbg knows of no processes in this family"
    found: dict[int, FoundProcess] = {}
    note = _listed(kernel, found, problems) if names.list else _held(kernel, found, problems)
    _through_threads(kernel, found, problems)
    if not found and not note and not problems:
        what = names.type.first or "process"
        note = f"no static of the kernel and no thread holds a {what}"
    return list(found.values()), note


def _listed(kernel: Kernel, found: dict[int, FoundProcess], problems: list[Problem]) -> str:
    """Add the processes of the kernel's own list; returns a note if none is there yet."""
    listed = listed_processes(kernel)
    if not listed.values and not has_address_spaces(kernel):
        return f"no type of this kernel is called {kernel.description.address_space.type.first}"
    problems += listed.problems
    for value in listed.values:
        found[value.address] = FoundProcess(value.path, value, (), True)
    return "no process is there yet" if listed.is_known and not found else ""


def has_address_spaces(kernel: Kernel) -> bool:
    """Whether the kernel has such a type at all; True where nobody has said what it is called."""
    names, types = kernel.description.address_space.type, kernel.image.types
    return not names or any(types.types_named(name) for name in names)


def _held(kernel: Kernel, found: dict[int, FoundProcess], problems: list[Problem]) -> str:
    """Add the processes that statics hold, or point to; returns a note if one is not there yet."""
    note, names = "", kernel.description.process.type
    types = kernel.image.types

    def search() -> tuple[Static, ...]:
        # The handle of a lazy_static has no size, its data has.
        sized = (s for s in types.statics() if types.type(s.type).size)
        return tuple(s for s in sized if has_struct_inside(types, s.type, names))

    for static in by_types(types, ("processes", names), search):
        path = _short(static)
        try:
            process = struct_inside(
                Value(kernel.space, static.type, static.address, path), names
            ).value
            if process is None:
                note = f"{path} is {NOT_YET}"
                continue
            found.setdefault(process.address, FoundProcess(path, process, (), True))
        except DecodeError as error:
            problems.append(error.problem)
    return note


def _short(static: Static) -> str:
    """A static's path as people say it: a lazy_static's data is named by its handle."""
    parts = [p for p in static.path.split("::") if p]
    names = [p for p in parts if p.isupper() and p not in ("LAZY",)]
    for word in parts:
        inner = word.strip("<>").split(" as ")[0].rsplit("::", 1)[-1]
        if inner.isupper() and inner != "LAZY":
            return inner
    return names[-1] if names else static.path


def _through_threads(
    kernel: Kernel, found: dict[int, FoundProcess], problems: list[Problem]
) -> None:
    """Add the processes of threads, and to each the ids of its threads."""
    members: dict[int, list[int]] = {}
    for thread in read_processor(kernel).threads:
        if thread.process is not None:
            members.setdefault(thread.process, [])
            if thread.id is not None:
                members[thread.process].append(thread.id)
    for address, ids in members.items():
        known = found.get(address)
        if known is None and len(found) >= MAX_PROCESSES:
            problems.append(Problem("processes", "more processes than can be shown"))
            break
        try:
            if known is None:
                value = process_at(kernel, address)
                known = FoundProcess("found through its threads", value, (), False)
        except DecodeError as error:
            problems.append(error.problem)
            continue
        found[address] = replace(known, threads=tuple(sorted(ids)))


def numbered(kernel: Kernel, found: list[FoundProcess]) -> list[tuple[int, FoundProcess]]:
    """The processes by number: the one that the kernel gave them, if it gave each its own.

    Else they are counted: those of a static first, then by their lowest thread id. Whichever
    thread runs, and wherever the others wait, the numbers are the same.
    """
    try:
        given = {number(item.value, kernel.description.process.id): item for item in found}
        if len(given) == len(found):
            return sorted(given.items())
    except DecodeError:
        pass  # as in most kernels of this kind: a process has no id

    def order(item: FoundProcess) -> tuple[bool, float, int]:
        lowest = item.threads[0] if item.threads else math.inf
        return (not item.is_static, 0 if item.is_static else lowest, item.value.address)

    return list(enumerate(sorted(found, key=order)))


def process_root(kernel: Kernel, wanted: int | str | None) -> Root:
    """The page table of a process: by its number, the address of its Process struct, or its name.

    Raises DecodeError if there is none, or several, or its books cannot be read.
    """
    problems: list[Problem] = []
    found, note = find_processes(kernel, problems)
    every = [(own, item, program_of(kernel, item)) for own, item in numbered(kernel, found)]
    fitting = [
        (own, item) for own, item, name in every if wanted in (own, item.value.address, name)
    ]
    if len(fitting) == 1:
        ((own, item),) = fitting
        ppn = root_of_process(kernel, item.value)
        return Root(kernel.memory.satp.other(ppn), f"of process {own} ({item.name})")
    if fitting:
        several = ", ".join(str(own) for own, _ in fitting[:_MAX_NAMED])
        raise DecodeError(f"process {wanted}", f"{several} are called so")
    reason = note or "; ".join(f"{p.where}: {p.why}" for p in problems)
    shown = [f"{own} ({name})" if name else str(own) for own, _, name in every]
    numbers = ", ".join(shown[:_MAX_NAMED]) + ", ..." * (len(every) > _MAX_NAMED)
    known = {0: "there is none", 1: f"there is only {numbers}"}.get(
        len(every), f"there are {numbers}"
    )
    raise DecodeError(f"process {wanted}", f"{known}{': ' if reason else ''}{reason}")


def program_of(kernel: Kernel, found: FoundProcess) -> str:
    """What the kernel calls the process, or its program; "" where that is not known."""
    with suppress(DecodeError):  # whoever shows the process says why
        if own := text_at(found.value, kernel.description.process.name):
            return own
    return next((n for p, n in _programs(kernel) if p == found.value.address), "")


@once_a_moment
def _programs(kernel: Kernel) -> tuple[tuple[int | None, str], ...]:
    """The process of each thread whose program is known, and the program's name."""
    threads = with_programs(kernel, read_processor(kernel)).threads
    return tuple((thread.process, thread.name) for thread in threads if thread.name)
