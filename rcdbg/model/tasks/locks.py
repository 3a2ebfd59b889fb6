"""The locks and cells of the kernel's statics, threads and processes that are taken, and by whom.

A RefCell counts its borrows; a lock has a flag. Both are found by their types, in whatever wrappers
and structs, as far as a pointer that owns leads. Who has one a lock of C may tell by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rcdbg.image.types import ArrayType, EnumType, PointerType, StructType, TypeId, TypeTable
from rcdbg.kernels.description import Names
from rcdbg.model.by_types import by_types
from rcdbg.model.kernel import Kernel
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.tasks.places import path_to
from rcdbg.model.threads.listed import is_listed, tasks
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.parts import has, number
from rcdbg.model.values.statics import named_statics
from rcdbg.model.values.value import MAX_DEPTH, DecodeError, Value
from rcdbg.model.values.wrappers import Layer, layer

MAX_LOCKS = 4096
"""Locks that are looked at."""
MAX_VISITS = 50_000
"""Values that are looked into for them."""

_WORDS = ("Mutex", "Lock", "RefCell")
"""What the types of locks and cells of Rust's library and the usual crates are called."""
_FREE = "not "


@dataclass(frozen=True, slots=True)
class KernelLock:
    """A lock, or a cell with a count of borrows."""

    path: str
    kind: str
    """Its type's last name."""
    address: int
    state: str
    """In words: "locked", "borrowed mutably", "borrowed by 2", ..."""
    is_taken: bool
    holder: str = ""
    """Who has it, where that is known: a way to the hart, or a process."""
    flag: int | None = None
    """Where its count of borrows, or its flag, lies: a guard points there."""


@dataclass(frozen=True, slots=True)
class KernelLocks:
    """Those that are taken, and how many were looked at."""

    taken: tuple[KernelLock, ...]
    count: int
    note: str = ""
    problems: tuple[Problem, ...] = ()


@once_a_moment
def read_locks(kernel: Kernel) -> KernelLocks:
    """The locks and cells that are taken; never fails."""
    if not kernel.image.has_debug_info:
        why = "the ELF has no debug info: build the kernel with `debug = true`"
        return KernelLocks((), 0, "", (Problem("locks", why),))
    problems: list[Problem] = []
    search = _Search(kernel, problems)
    found: dict[int, KernelLock] = {}
    for root in _roots(kernel):
        for lock in search.inside(root, 0):
            found.setdefault(lock.address, lock)
            if len(found) == MAX_LOCKS:
                break
    if search.left_out or len(found) == MAX_LOCKS:
        problems.append(Problem("locks", "there are more of them than can be looked at"))
    taken = tuple(lock for lock in found.values() if lock.is_taken)
    note = "" if found else "no lock and no cell that rcdbg knows is in a static"
    return KernelLocks(taken, len(found), note, tuple(problems))


def _roots(kernel: Kernel) -> Iterator[Value]:
    """Where locks are looked for: statics, and the threads and processes that are listed."""
    types = kernel.image.types
    for static in named_statics(types):
        if types.type(static.static.type).size:
            place = static.static
            yield Value(kernel.space, place.type, place.address, static.name.rsplit("::", 1)[-1])
    if is_listed(kernel):
        yield from listed_processes(kernel).values
        yield from tasks(kernel).values.values()


class _Search:
    """One search: what was looked into, and what went wrong."""

    def __init__(self, kernel: Kernel, problems: list[Problem]) -> None:
        self._kernel = kernel
        self._problems = problems
        self._own = kernel.description.locks
        self._seen: set[tuple[int, TypeId]] = set()
        self.left_out = False

    def inside(self, value: Value, depth: int) -> Iterator[KernelLock]:
        """The locks in a value, and behind the pointers that own what they lead to."""
        types = self._kernel.image.types
        if depth > MAX_DEPTH or not _may_have(types, value.type_id, self._own.type):
            return
        if (value.address, value.type_id) in self._seen:
            return
        if len(self._seen) >= MAX_VISITS:
            self.left_out = True
            return
        self._seen.add((value.address, value.type_id))
        try:
            yield from self._visit(value, depth)
        except DecodeError as error:
            self._problems.append(error.problem)

    def _visit(self, value: Value, depth: int) -> Iterator[KernelLock]:
        kind = value.type
        if isinstance(kind, ArrayType):
            for position in range(kind.count):
                yield from self.inside(value.element(position), depth + 1)
            return
        if isinstance(kind, StructType) and base_name(kind) in self._own.type:
            yield self._own_lock(value)
        else:
            peeled = layer(value)
            if peeled is not None:
                if _is_lock(value, peeled):
                    taken = not peeled.note.startswith(_FREE)
                    name = base_name(kind)
                    flag = _flag(value)
                    yield KernelLock(value.path, name, value.address, peeled.note, taken, "", flag)
                if peeled.content is not None:
                    yield from self.inside(peeled.content.named(value.path), depth + 1)
                return
        is_shell = kind.name.startswith(("core::", "alloc::", "spin::"))
        for field in value.fields():
            hidden = is_shell or field.path.endswith(".__0")
            yield from self.inside(field.named(value.path) if hidden else field, depth + 1)

    def _own_lock(self, value: Value) -> KernelLock:
        """A lock of the kernel's own; raises DecodeError."""
        own, name = self._own, base_name(value.type)
        taken = bool(number(value, own.flag))
        holder = ""
        if taken and has(value, own.hart):
            hart = number(value, own.hart)
            holder = path_to(self._kernel, hart) if hart else ""
        elif taken and has(value, own.thread):
            holder = f"thread {number(value, own.thread)}"
        elif taken and has(value, own.process):
            holder = f"process {number(value, own.process)}"
        state = "locked" if taken else "not locked"
        return KernelLock(value.path, name, value.address, state, taken, holder)


def _flag(value: Value) -> int | None:
    for name in ("borrow", "lock"):
        if value.has(name):
            return value[name].address
    return None


def _is_lock(value: Value, found: Layer) -> bool:
    """Whether a wrapper is a lock or a cell, by what it says of itself."""
    return not found.follows and ("locked" in found.note or "borrowed" in found.note)


def _may_have(types: TypeTable, type_id: TypeId, own: Names) -> bool:
    """Whether a value of a type, or what it owns, may have a lock inside; nothing is read."""
    return type_id in by_types(types, ("locks", own), lambda: _with_locks(types, own))


def _with_locks(types: TypeTable, own: Names) -> frozenset[TypeId]:
    above: dict[TypeId, set[TypeId]] = {}
    waiting = [static.type for static in types.statics()]
    seen = set(waiting)
    locks: list[TypeId] = []
    while waiting:
        type_id = waiting.pop()
        kind = types.type(type_id)
        name = base_name(kind)
        if name in own or any(word in name for word in _WORDS):
            locks.append(type_id)
        for inner in _owned(types, type_id):
            above.setdefault(inner, set()).add(type_id)
            if inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    found = set(locks)
    while locks:
        for outer in above.get(locks.pop(), ()):
            if outer not in found:
                found.add(outer)
                locks.append(outer)
    return frozenset(found)


def _owned(types: TypeTable, type_id: TypeId) -> Iterator[TypeId]:
    """The types of what a value is made of, and of what its pointers lead to."""
    kind = types.type(type_id)
    if isinstance(kind, StructType):
        yield from (member.type for member in kind.members)
        yield from (parameter for _, parameter in kind.parameters)
    elif isinstance(kind, EnumType):
        yield from (variant.body.type for variant in kind.variants)
    elif isinstance(kind, ArrayType):
        yield kind.element
    elif isinstance(kind, PointerType):
        yield kind.target
    else:
        yield from (member.type for member in getattr(kind, "members", ()))
