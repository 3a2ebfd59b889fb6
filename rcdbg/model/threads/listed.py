"""Threads of kernels that list them all: in a table, or in their processes.

The running one, and the queue where there is one, are references into that list; what else they are
doing, each one's state says.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from rcdbg.kernels.description import Paths
from rcdbg.model.concepts import has_static, held, is_there, locked_on_the_way, values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import LOCKED
from rcdbg.model.memory.space import root_of_process
from rcdbg.model.process_list import is_unused, listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem, Processor, Thread
from rcdbg.model.threads.queue import is_unordered, scheduled
from rcdbg.model.threads.reached import reached_threads, thread_counted_at
from rcdbg.model.threads.rules import queue_problems
from rcdbg.model.threads.task import process_of, read_task, state_of
from rcdbg.model.values.containers import base_name, elements
from rcdbg.model.values.parts import find, has, number, parts
from rcdbg.model.values.value import MAX_ELEMENTS, DecodeError, Value

_TP = 4
MAX_HARTS = 256
_USER, _SUPERVISOR = 0, 1
ORDER_NOT_KNOWN = "the order of the ready threads is not known"


def is_listed(kernel: Kernel) -> bool:
    """Whether the description says where all threads are listed."""
    return kernel.description.lists_threads


@dataclass(frozen=True, slots=True)
class Tasks:
    """The threads by address, in the order of the list."""

    values: dict[int, Value]
    places: tuple[int, ...]
    """The address at each place of the list, empty ones too."""
    problems: tuple[Problem, ...]
    is_known: bool
    """Whether a list was found, with all of them."""
    is_table: bool = False
    """Whether the kernel has them all in one list, so that its order may be a schedule."""


@once_a_moment
def tasks(kernel: Kernel) -> Tasks:
    """All threads of a kernel that lists them; never fails."""
    names = kernel.description
    found: dict[int, Value] = {}
    if names.thread.reached:
        reached = reached_threads(kernel)
        return Tasks(
            reached.values, tuple(reached.values), reached.problems, is_known=reached.is_complete
        )
    if names.thread.list:
        try:
            every = values_at(kernel, names.thread.list, "threads", names.thread.type)
            values = list(islice(every, _count(kernel)))
            used = [value for value in values if not is_unused(kernel, value)]
            found = {value.address: value for value in used}
            places = tuple(v.address for v in values)
            return Tasks(found, places, (), is_known=True, is_table=True)
        except DecodeError as error:
            if not names.process.threads:
                return Tasks({}, (), (error.problem,), is_known=False)
    processes = listed_processes(kernel)
    problems = list(processes.problems)
    for process in processes.values:
        try:
            for value in _threads_of(kernel, process):
                found[value.address] = value
        except DecodeError as error:
            problems.append(error.problem)
    return Tasks(found, tuple(found), tuple(problems), processes.is_known)


def _count(kernel: Kernel) -> int:
    """How many places of the list are threads; raises DecodeError."""
    roots = kernel.description.thread.count
    if not has_static(kernel, roots):
        return MAX_ELEMENTS
    found = next(values_at(kernel, roots, "number of threads")).scalar()
    if not 0 <= found <= MAX_ELEMENTS:
        raise DecodeError(str(roots[0]), f"{found} threads are too many")
    return found


def _threads_of(kernel: Kernel, process: Value) -> list[Value]:
    """The threads of a process; it is one itself in kernels without threads in processes."""
    names = kernel.description
    if has(process, names.process.threads):
        every = parts(process, names.process.threads, names.thread.type)
        return list(islice(every, MAX_ELEMENTS))
    return [process] if base_name(process.type) in names.thread.type else []


@dataclass(frozen=True, slots=True)
class Running:
    """Who runs."""

    every: dict[int, Value]
    """On any hart."""
    own: int | None
    """The address of the one on the hart that the registers are of."""
    harts: int
    """How many places for a running thread there are; 0 if none was found."""
    locked: bool | None
    problems: tuple[Problem, ...]


@once_a_moment
def running(kernel: Kernel) -> Running:
    """The running threads; never fails."""
    names = kernel.description
    own: list[Value | None] = []
    locked = locked_on_the_way(kernel, names.processor.at)
    try:
        if names.processor.at:
            every = values_at(kernel, names.processor.at, "processor", names.processor.type)
            processors = list(islice(every, MAX_HARTS))
        else:
            only = held(kernel, names.processor.type, names.processor.at, "processor").value
            processors = [] if only is None else [only]
        for processor in processors:
            found = find(processor, names.processor.current, names.thread.type)
            locked = found.locked if locked is None else locked or found.locked
            own.append(_thread_of(kernel, found.value))
    except DecodeError as error:
        listed = tasks(kernel)
        if names.thread.list and listed.problems and not listed.values:
            # A number that could be the place of any: that there is no list is said already.
            return Running({}, None, 0, locked, ())
        head = None if is_there(kernel, names.processor.at) else _head(kernel)
        if head is not None:
            return Running({head.address: head}, head.address, 1, None, ())
        return Running({}, None, 0, locked, (error.problem,))
    found_on = {value.address: value for value in own if value is not None}
    chosen = own[0] if len(own) == 1 else _on_this_hart(kernel, own)
    return Running(found_on, None if chosen is None else chosen.address, len(own), locked, ())


def _head(kernel: Kernel) -> Value | None:
    """The first of the list, where that one runs until it is done, and the first trap has come.

    scause, 0 until then, is what tells that somebody runs at all.
    """
    values = tasks(kernel).values
    if not kernel.description.queue.head_runs or not values:
        return None
    return next(iter(values.values())) if _has_trapped(kernel) else None


def _has_trapped(kernel: Kernel) -> bool:
    """Whether user code runs, or has ever run: until then scause is 0."""
    return kernel.registers.privilege == _USER or bool(kernel.csr("scause"))


def _thread_of(kernel: Kernel, current: Value | None) -> Value | None:
    """The thread that is meant: itself, or the place in the list that it has; raises DecodeError.

    That place says who would run also before anybody does: then its state is another.
    """
    names = kernel.description
    if current is None or base_name(current.type) in names.thread.type:
        return current
    if names.processor.is_address:
        return thread_counted_at(kernel, current.scalar(), current.path)
    place, known = current.scalar(), tasks(kernel)
    if names.thread.by_id:
        is_index = not has_static(kernel, names.queue.at)
        return (
            None if is_index and not _has_trapped(kernel) else _with_id(kernel, place, current.path)
        )
    if not 0 <= place < len(known.places):
        raise DecodeError(current.path, f"{place} is the place of no thread")
    value = known.values.get(known.places[place])
    runs = value is not None and state_of(kernel, value)[1] == "running"
    return value if runs else None


def _with_id(kernel: Kernel, number: int, path: str) -> Value:
    """The thread with that id; raises DecodeError."""
    found = _by_id(kernel).get(number)
    if found is None:
        raise DecodeError(path, f"{number} is the id of no thread")
    return found


@once_a_moment
def _by_id(kernel: Kernel) -> dict[int, Value]:
    found: dict[int, Value] = {}
    known = tasks(kernel)
    for value in known.values.values():
        with suppress(DecodeError):  # the thread itself says why
            if has(value, kernel.description.thread.id):
                found.setdefault(number(value, kernel.description.thread.id), value)
            else:
                found.setdefault(known.places.index(value.address), value)
    return found


def _on_this_hart(kernel: Kernel, running: list[Value | None]) -> Value | None:
    """Of those that run on several harts the one on that of the registers.

    It is the one whose table is in satp, as in U-mode and on the way to it. Else the hart's number
    is in tp, as the kernel's code in S-mode has it.
    """
    for value in running:
        try:
            if value is not None and _root(kernel, value) == kernel.memory.satp.root:
                return value
        except DecodeError:
            continue
    registers = kernel.registers
    if registers.privilege == _USER:
        return None
    hart = registers.x[_TP] if registers.privilege == _SUPERVISOR else 0
    return running[hart] if 0 <= hart < len(running) else None


def _root(kernel: Kernel, thread: Value) -> int:
    process = process_of(kernel, thread)
    if process is None:
        raise DecodeError(thread.path, "it has no process")
    return root_of_process(kernel, process)


@once_a_moment
def running_task(kernel: Kernel) -> Value | None:
    """The thread on the hart, in kernels that list them all."""
    if not is_listed(kernel):
        return None
    found = running(kernel)
    return None if found.own is None else found.every[found.own]


def read_listed(kernel: Kernel) -> Processor:
    """All threads, the ready ones in the order in which they will run; never fails."""
    names = kernel.description
    known, now = tasks(kernel), running(kernel)
    problems, notes = [*known.problems, *now.problems], []
    unknown: set[str] = set() if known.is_known else {"ready", "sleeping"}
    if not now.harts:
        unknown.add("current")
    queue = _Queue(())
    try:
        queue = _queue(kernel, now)
    except DecodeError as error:
        problems.append(error.problem)
        unknown.add("ready")
    places = {address: place for place, address in enumerate(queue.order)}
    by_status: dict[str, list[Thread]] = {}
    values = now.every | {value.address: value for value in queue.values} | known.values
    for address, value in values.items():
        runs, is_own = address in now.every, address == now.own
        thread = read_task(kernel, value, place_of(known, address), runs=runs, is_own=is_own)
        if address in places:
            position = places[address] if queue.is_ordered else None
            thread = replace(thread, status="ready", position=position)
        elif names.queue.others_sleep and not thread.state and thread.status == "unknown":
            thread = replace(thread, status="sleeping")
        key = "own" if address == now.own else thread.status
        by_status.setdefault(key, []).append(thread)
    ready = by_status.pop("ready", [])
    if queue.is_ordered:
        # One that its state calls ready and no queue holds is on its way into it, or out of it.
        ready.sort(key=lambda t: (t.position is None, t.position))
    if len(ready) > 1 and not queue.is_ordered:
        notes.append(ORDER_NOT_KNOWN)
    if missing := _not_found(kernel, values):
        notes.append(missing)
    locked = now.locked if queue.locked is None else bool(now.locked or queue.locked)
    if locked:
        notes.insert(0, LOCKED)
    current = by_status.pop("own", [None])[0]
    asleep = tuple(by_status.pop("sleeping", []))
    others = tuple(thread for group in by_status.values() for thread in group)
    if any(thread.status == "running" for thread in others):
        notes.append("threads run on other harts as well")
    found = Processor(
        queue.kind,
        current,
        tuple(ready),
        asleep,
        locked,
        "; ".join(notes),
        tuple(problems),
        others=others,
        unknown=frozenset(unknown),
    )
    twice = [t for a in queue.twice for t in ready if t.address == a]
    return replace(
        found, problems=found.problems + queue_problems(replace(found, ready=(*ready, *twice)))
    )


def _not_found(kernel: Kernel, values: dict[int, Value]) -> str:
    """What is to be said of threads that were made and are not among these."""
    made = reached_threads(kernel).made if kernel.description.thread.reached else None
    if made is None or made <= len(values):
        return ""
    return (
        f"{made} were made, {len(values)} are found: the others have ended, or wait where no static"
        " of the kernel leads"
    )


def place_of(known: Tasks, address: int) -> int | None:
    """Its place in the list; None if it is not in it."""
    return known.places.index(address) if address in known.values else None


@dataclass(frozen=True, slots=True)
class _Queue:
    """What is ready, as far as something else than the states says so."""

    values: tuple[Value, ...]
    order: tuple[int, ...] = ()
    """Addresses in the order in which they will run."""
    twice: tuple[int, ...] = ()
    is_ordered: bool = False
    kind: str = ""
    locked: bool | None = None


def _queue(kernel: Kernel, now: Running) -> _Queue:
    """The ready queue; raises DecodeError where it cannot be read."""
    names = kernel.description
    known = tasks(kernel)
    if not names.queue.at or not _has_queue(kernel):
        return _by_turns(kernel, known, now)
    holder = next(values_at(kernel, names.queue.at, "ready queue"), None)
    if holder is None:
        return _Queue(())
    if names.thread.by_id:
        every = islice(elements(holder), MAX_ELEMENTS)
        values = [_with_id(kernel, entry.scalar(), entry.path) for entry in every]
    else:
        values = [value for value, _ in scheduled(kernel, holder)]
    seen: dict[int, Value] = {}
    twice = []
    for value in values:
        if value.address in seen:
            twice.append(value.address)
        seen.setdefault(value.address, value)
    ordered = not is_unordered(kernel, values) and base_name(holder.type) in _IN_ORDER
    static = names.queue.at.each[0][0]
    locked = locked_on_the_way(kernel, names.queue.at)
    return _Queue(tuple(seen.values()), tuple(seen), tuple(twice), ordered, static, locked)


_IN_ORDER = ("VecDeque", "LinkedList", "List", "Vec")


def _has_queue(kernel: Kernel) -> bool:
    try:
        holder = next(values_at(kernel, kernel.description.queue.at, "ready queue"), None)
    except DecodeError:
        return False
    return holder is not None


def _by_turns(kernel: Kernel, known: Tasks, now: Running) -> _Queue:
    """The ready ones of a table, from the place behind the running one on, where that is known."""
    names = kernel.description
    told = Paths((*names.thread.state, *names.thread.dead))
    has_states = any(has(v, told) for v in known.values.values())
    waiting = [v for v in known.values.values() if v.address not in now.every]
    ready = [v for v in waiting if state_of(kernel, v)[1] == "ready"]
    if names.queue.head_runs and names.queue.at and not has_states:
        return _Queue(tuple(waiting), tuple(v.address for v in waiting), is_ordered=True)
    certain = names.queue.round_robin and now.harts == 1 and now.own in known.places
    if not certain or not known.is_table or is_unordered(kernel, ready):
        return _Queue(tuple(ready))
    start = known.places.index(now.own) if now.own is not None else 0
    places = {address: place for place, address in enumerate(known.places)}
    count = len(known.places)
    ready.sort(key=lambda v: (places[v.address] - start - 1) % count)
    return _Queue(tuple(ready), tuple(v.address for v in ready), is_ordered=True)
