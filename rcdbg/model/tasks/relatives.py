"""The processes and whose child each is: by their own links, or by a table of relations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from rcdbg.kernels.description import Paths
from rcdbg.model.concepts import has_static, values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.processes import find_processes, numbered
from rcdbg.model.memory.space import root_of_process
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem
from rcdbg.model.threads.task import text_at
from rcdbg.model.values.containers import base_name, pair, variant_name
from rcdbg.model.values.contents import contents
from rcdbg.model.values.parts import find, has, number, part, parts
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.registers import MASK64

_T = TypeVar("_T")
MAX_RELATIVES = 1024
ZOMBIE = "zombie"


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """A process; ids are the kernel's, or else its number among all processes."""

    address: int | None
    """None of one of which nothing is left but its exit code."""
    id: int | None
    name: str
    state: str
    """In the kernel's own words, where it has one for the whole process."""
    is_dead: bool | None
    exit_code: int | None
    """Of a dead one."""
    parent: int | None
    """Its parent's id; None if it has none, or `parent_is_known` is not set."""
    parent_is_known: bool
    children: tuple[int, ...] | None
    """Their ids, in the kernel's order; None where they are not known."""
    threads: tuple[int, ...]
    """The ids of its threads."""
    root_ppn: int | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """All processes, by id; dead ones that nobody has buried are among them."""

    entries: tuple[ProcessEntry, ...]
    note: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Relation:
    parent: int | None
    children: tuple[int, ...]
    dead: tuple[tuple[int, int], ...]
    """Ids and exit codes of children of which nothing else is left."""


@once_a_moment
def read_processes(kernel: Kernel) -> ProcessTree:
    """The processes with their relatives; never fails."""
    problems: list[Problem] = []
    try:
        found, note = find_processes(kernel, problems)
        relations = _relations(kernel)
    except DecodeError as error:
        return ProcessTree((), "", (*problems, error.problem))
    every = numbered(kernel, found)
    ids = {item.value.address: own for own, item in every}
    entries = [_entry(kernel, item.value, own, item.threads, ids, relations) for own, item in every]
    for relation in (relations or {}).values():
        entries += [_buried(own, code) for own, code in relation.dead if own not in ids.values()]
    return ProcessTree(tuple(_inverted(entries, relations)), note, tuple(problems))


def _entry(
    kernel: Kernel,
    process: Value,
    own: int,
    threads: tuple[int, ...],
    ids: dict[int, int],
    relations: dict[int, _Relation] | None,
) -> ProcessEntry:
    problems: list[Problem] = []
    names = kernel.description.process

    def attempt(decode: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return decode()
        except DecodeError as error:
            problems.append(error.problem)
            return otherwise

    unknown: tuple[str, bool | None] = ("", None)
    state, is_dead = attempt(lambda: _state(kernel, process), unknown)
    parent: int | None = None
    is_known = True
    if relations is not None:
        relation = relations.get(own)
        is_known = relation is not None
        parent = None if relation is None else relation.parent
        children = None if relation is None else relation.children
        if relation is not None:
            is_dead = False if is_dead is None else is_dead  # a dead one is in no list any more
            children = (*relation.children, *(dead for dead, _ in relation.dead))
    else:
        nothing: tuple[int | None, bool] = (None, False)
        parent, is_known = attempt(lambda: _parent(kernel, process, ids), nothing)
        children = attempt(lambda: _children(kernel, process, ids), None)
    return ProcessEntry(
        process.address,
        own,
        attempt(lambda: text_at(process, names.name), ""),
        state,
        is_dead,
        attempt(lambda: _code(process, names.exit_code), None) if is_dead else None,
        parent,
        is_known,
        children,
        threads,
        attempt(lambda: root_of_process(kernel, process), None),
        tuple(problems),
    )


def _state(kernel: Kernel, process: Value) -> tuple[str, bool | None]:
    """The state of a whole process in the kernel's own words, and whether it has exited."""
    names = kernel.description
    if has(process, names.process.zombie):
        is_dead = bool(number(process, names.process.zombie))
        return ZOMBIE if is_dead else "", is_dead
    if base_name(process.type) in names.thread.type and has(process, names.thread.state):
        word = variant_name(part(process, names.thread.state))
        return word, word in names.states.dead
    return "", None


def _code(process: Value, paths: Paths) -> int | None:
    if not has(process, paths):
        return None
    found = find(process, paths).value
    return None if found is None else found.scalar()


def _parent(kernel: Kernel, process: Value, ids: dict[int, int]) -> tuple[int | None, bool]:
    """The parent's id, if it has one, and whether that is known."""
    names = kernel.description.process
    if not has(process, names.parent):
        return None, False
    found = find(process, names.parent, names.type).value
    if found is None:
        return None, True
    if base_name(found.type) not in names.type:
        return found.scalar(), True
    return ids.get(found.address), found.address in ids


def _children(kernel: Kernel, process: Value, ids: dict[int, int]) -> tuple[int, ...] | None:
    names = kernel.description.process
    if not has(process, names.children):
        return None
    every = list(islice(parts(process, names.children, names.type), MAX_RELATIVES))
    return tuple(ids[child.address] for child in every if child.address in ids)


def _relations(kernel: Kernel) -> dict[int, _Relation] | None:
    """Relations by id, of kernels that keep them apart from processes; raises DecodeError."""
    names = kernel.description.process
    if not has_static(kernel, names.relations):
        return None
    found: dict[int, _Relation] = {}
    table = next(values_at(kernel, names.relations, "relations of processes"), None)
    held = None if table is None else contents(table)
    for key, relation in islice(held.walk(), MAX_RELATIVES) if held is not None else ():
        if key is None or not has(relation, names.parent):
            continue
        parent = number(relation, names.parent) & MASK64
        children = tuple(child.scalar() for child in parts(relation, names.children))
        dead = []
        for item in parts(relation, names.dead) if has(relation, names.dead) else ():
            own, code = pair(item, "pair of id and exit code")
            dead.append((own.scalar(), code.scalar()))
        found[key.scalar()] = _Relation(None if parent == MASK64 else parent, children, tuple(dead))
    return found


def _buried(own: int, code: int) -> ProcessEntry:
    return ProcessEntry(None, own, "", ZOMBIE, True, code, None, False, None, (), None)


def _inverted(
    entries: list[ProcessEntry], relations: dict[int, _Relation] | None
) -> list[ProcessEntry]:
    """With children by the parents, and parents by the children, where one of them is told."""
    parents = {c: e.id for e in entries for c in e.children or () if e.id is not None}
    knows_children = any(entry.children is not None for entry in entries)
    knows_parents = relations is None and any(entry.parent_is_known for entry in entries)

    def told(entry: ProcessEntry) -> ProcessEntry:
        if not entry.parent_is_known and knows_children and entry.id in parents:
            entry = replace(entry, parent=parents[entry.id], parent_is_known=True)
        if entry.children is None and knows_parents and not knows_children:
            own = tuple(e.id for e in entries if e.id is not None and e.parent == entry.id)
            entry = replace(entry, children=own)
        return entry

    return [told(entry) for entry in sorted(entries, key=lambda e: (e.id is None, e.id))]
