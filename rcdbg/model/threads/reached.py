"""Threads that nothing lists: those that the kernel's statics lead to, through its wakers too.

A parked one that only another's stack knows is not among them. How many there ever were, a counter
may tell.
"""

from dataclasses import dataclass

from rcdbg.image.types import StructType, TypeId, TypeTable
from rcdbg.kernels.description import Names
from rcdbg.model.by_types import by_types
from rcdbg.model.concepts import has_static, values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.values.parts import has_struct_inside, struct_inside
from rcdbg.model.values.reach import reach_structs
from rcdbg.model.values.value import DecodeError, Value

_COUNTED = ("Arc", "Rc", "Box")


@dataclass(frozen=True, slots=True)
class ReachedThreads:
    """The threads by address, in the order in which they were found."""

    values: dict[int, Value]
    problems: tuple[Problem, ...]
    is_complete: bool
    """Whether nothing on the way was unreadable."""
    wakers: tuple[tuple[int, Value, int | None], ...]
    """Threads by address, each with a waker that wakes it and the thread that this is in."""
    made: int | None
    """How many were ever made; None where nothing counts."""


@once_a_moment
def reached_threads(kernel: Kernel) -> ReachedThreads:
    """All of them that can be found; never fails."""
    names = kernel.description
    problems: list[Problem] = []
    start = []
    try:
        current = _current(kernel)
        start = [] if current is None else [current]
    except DecodeError as error:
        problems.append(error.problem)
    reached = reach_structs(kernel, names.thread.type, *start)
    values = {value.address: value for value, _ in reached.owners}
    made = None
    try:
        if has_static(kernel, names.thread.made):
            made = next(values_at(kernel, names.thread.made, "threads made")).scalar() - 1
    except DecodeError as error:
        problems.append(error.problem)
    return ReachedThreads(
        values, (*problems, *reached.problems), reached.complete, reached.wakers, made
    )


def _current(kernel: Kernel) -> Value | None:
    """The running one, where only its address says so; raises DecodeError."""
    names = kernel.description.processor
    if not names.is_address:
        return None
    address = next(values_at(kernel, names.at, "processor"), None)
    return None if address is None else thread_counted_at(kernel, address.scalar(), address.path)


def thread_counted_at(kernel: Kernel, address: int, path: str) -> Value | None:
    """The thread in what an Arc counts at that address; None of 0. Raises DecodeError."""
    names = kernel.description.thread.type
    types = kernel.image.types
    if not address:
        return None
    found = by_types(types, ("counted", names), lambda: _counted(types, names))
    if found is None:
        raise DecodeError(path, f"no Arc counts a {names.first}")
    return struct_inside(Value(kernel.space, found, address, path), names).value


def _counted(types: TypeTable, names: Names) -> TypeId | None:
    for name in _COUNTED:
        for type_id in types.types_named(name):
            kind = types.type(type_id)
            for _, inner in kind.parameters if isinstance(kind, StructType) else ():
                if has_struct_inside(types, inner, names):
                    return inner
    return None
