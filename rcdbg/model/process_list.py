"""The processes that a kernel's own list leads to, each with the children of it."""

from dataclasses import dataclass
from itertools import islice

from rcdbg.model.concepts import leads_to_one, values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.values.containers import variant_name
from rcdbg.model.values.parts import has, part, parts
from rcdbg.model.values.value import DecodeError, Value

MAX_PROCESSES = 256


@dataclass(frozen=True, slots=True)
class ProcessList:
    """The processes in the order of the list, each once."""

    values: tuple[Value, ...]
    problems: tuple[Problem, ...]
    is_known: bool
    """Whether the list could be read, and leads to all of them."""


@once_a_moment
def listed_processes(kernel: Kernel) -> ProcessList:
    """The processes of the list that the description names; never fails."""
    names = kernel.description.process
    found: dict[int, Value] = {}
    problems: list[Problem] = []
    is_known = True
    try:
        listed = values_at(kernel, names.list, "processes", names.type)
        for value in list(islice(listed, MAX_PROCESSES)):
            if not is_unused(kernel, value):
                found.setdefault(value.address, value)
        for value in tuple(found.values()):
            _add_children(kernel, value, found, problems)
        if found and names.children and leads_to_one(kernel, names.list):
            root = next(iter(found.values()))
            if not has(root, names.children):
                what = names.children.first
                why = f"{root.type.name} has no {what}: the processes below it are not known"
                problems.append(Problem(root.path, why))
                is_known = False
    except DecodeError as error:
        problems.append(error.problem)
        is_known = bool(found)
    if len(found) == MAX_PROCESSES:
        problems.append(Problem("processes", "more processes than can be shown"))
    return ProcessList(tuple(found.values()), tuple(problems), is_known)


def _add_children(
    kernel: Kernel, process: Value, found: dict[int, Value], problems: list[Problem]
) -> None:
    """Add those below a process, each once, as far as there is room."""
    names = kernel.description.process
    waiting = [process]
    while waiting:
        parent = waiting.pop()
        if not has(parent, names.children):
            continue
        try:
            for child in parts(parent, names.children, names.type):
                if len(found) == MAX_PROCESSES:
                    return
                if child.address not in found:
                    found[child.address] = child
                    waiting.append(child)
        except DecodeError as error:
            problems.append(error.problem)


def is_unused(kernel: Kernel, value: Value) -> bool:
    """Whether it is an empty place in a table, as its state says; raises DecodeError."""
    names = kernel.description
    if not names.states.unused or not has(value, names.thread.state):
        return False
    return variant_name(part(value, names.thread.state)) in names.states.unused
