"""What threads wait for: the queues that they are in, timers, the channel that they sleep on."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from rcdbg.kernels.description import Paths
from rcdbg.kernels.paths import Path
from rcdbg.model.by_types import by_types
from rcdbg.model.concepts import has_static, values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Problem, Processor, Thread, Wait
from rcdbg.model.tasks.places import path_to
from rcdbg.model.threads.reached import reached_threads
from rcdbg.model.threads.task import id_of
from rcdbg.model.values.containers import base_name, elements, is_container, pools
from rcdbg.model.values.parts import (
    find,
    has,
    has_struct_inside,
    number,
    part,
    parts,
    struct_inside,
)
from rcdbg.model.values.statics import short_name
from rcdbg.model.values.type_path import element
from rcdbg.model.values.value import MAX_ELEMENTS, DecodeError, Value
from rcdbg.model.values.ways import way_to_struct

MAX_OBJECTS = 4096
"""Semaphores, mutexes and the like that are looked at."""

_ITSELF = Paths((Path("", ()),))
_TIMER = "timer"


def with_waits(kernel: Kernel, processor: Processor) -> Processor:
    """The threads with what they wait for, as far as the description tells; never fails."""
    names = kernel.description
    told_by = names.waiting.queue or names.waiting.timers or names.thread.channel
    if not (told_by or names.thread.reached):
        return processor
    by_address, by_id, problems = _waits(kernel)

    def told(thread: Thread) -> Thread:
        found = by_address.get(thread.address, ())
        if names.thread.reached and thread.status != "sleeping":
            found = ()  # a waker stays where it was registered for a while
        if names.thread.by_id and thread.id is not None:
            found += by_id.get(thread.id, ())
        channel = _channel(kernel, thread) if thread.status == "sleeping" else None
        found += () if channel is None else (channel,)
        if found:
            return replace(thread, waits=found)
        return thread if thread.status in ("sleeping", "unknown") else replace(thread, waits=())

    return replace(
        processor,
        current=None if processor.current is None else told(processor.current),
        ready=tuple(map(told, processor.ready)),
        sleeping=tuple(map(told, processor.sleeping)),
        others=tuple(map(told, processor.others)),
        idle=None if processor.idle is None else told(processor.idle),
        problems=processor.problems + problems,
    )


_Waits = dict[int, tuple[Wait, ...]]


@once_a_moment
def _waits(kernel: Kernel) -> tuple[_Waits, _Waits, tuple[Problem, ...]]:
    """By the address of the thread, and by its id where that is what queues hold."""
    by_address: _Waits = {}
    by_id: _Waits = {}
    problems: list[Problem] = []
    for waiter, wait in _all(kernel, problems):
        chosen = by_id if kernel.description.thread.by_id else by_address
        try:
            key = waiter.scalar() if chosen is by_id else waiter.address
        except DecodeError as error:
            problems.append(error.problem)
            continue
        chosen[key] = (*chosen.get(key, ()), wait)
    if kernel.description.thread.reached:
        by_address |= _wakers(kernel)
    return by_address, by_id, tuple(problems)


def _all(kernel: Kernel, problems: list[Problem]) -> Iterator[tuple[Value, Wait]]:
    """Each thread, or its id, that is in a queue, with what has that queue."""
    names = kernel.description.waiting
    seen: set[int] = set()
    for thing in islice(_objects(kernel, problems), MAX_OBJECTS):
        if thing.address in seen:
            continue
        seen.add(thing.address)
        kind = base_name(thing.type)
        try:
            for queue in _queues(kernel, thing):
                for waiter in _waiters(kernel, queue, _ITSELF):
                    yield waiter, Wait(kind, thing.path, thing.address)
        except DecodeError as error:
            problems.append(error.problem)
    if not has_static(kernel, names.timers):
        return
    unit = names.until.first.rsplit(".", 1)[-1]
    unit = "" if unit.isdigit() else unit
    try:
        for timer in islice(values_at(kernel, names.timers, "timers"), MAX_ELEMENTS):
            until = number(timer, names.until) if has(timer, names.until) else None
            waiter = part(timer, names.sleeper, kernel.description.thread.type)
            yield waiter, Wait(_TIMER, timer.path, timer.address, until, unit)
    except DecodeError as error:
        problems.append(error.problem)


def _wakers(kernel: Kernel) -> _Waits:
    """By the address of the thread: what has the waker that wakes it."""
    found: _Waits = {}
    reached = reached_threads(kernel)
    for address, waker, owner in reached.wakers:
        what = waker.path
        if owner is not None and owner in reached.values:
            with suppress(DecodeError):  # the thread itself says why
                own = id_of(kernel, reached.values[owner], None)
                field = what.removesuffix(f".{waker.path.rpartition('.')[2]}").rpartition(".")[2]
                what = f"{field} of thread {own}"
        found[address] = (Wait(base_name(waker.type), what, waker.address),)
    return found


def _queues(kernel: Kernel, thing: Value) -> Iterator[Value]:
    """The queue of such a thing; under another name, each collection of threads that is in it."""
    names = kernel.description
    if has(thing, names.waiting.queue):
        yield part(thing, names.waiting.queue)
        return
    for pool in pools(thing):
        inner = element(pool.space.types, pool.type_id)
        if inner is not None and way_to_struct(pool.space.types, inner, names.thread.type):
            yield pool


def _waiters(kernel: Kernel, queue: Value, paths: Paths) -> Iterator[Value]:
    if not is_container(queue):
        raise DecodeError(queue.path, f"{queue.type.name} is no queue that rcdbg knows")
    for entry in elements(queue):
        found = find(entry, paths, kernel.description.thread.type).value
        if found is not None:
            yield found


def _objects(kernel: Kernel, problems: list[Problem]) -> Iterator[Value]:
    """What threads may wait for: of each process, and of the kernel's statics."""
    names = kernel.description.waiting
    if names.objects:
        for process in listed_processes(kernel).values:
            for paths in names.objects.each:
                if has(process, paths):
                    yield from _told(parts(process, paths, names.type), problems)
    for name, _ in names.at.each:
        roots = type(names.at)(path for path in names.at if path.static == name)
        if has_static(kernel, roots):
            yield from _told(values_at(kernel, roots, name, names.type), problems)
    types = kernel.image.types
    if not names.type:
        return
    holders = by_types(
        types,
        ("waiting", names.type),
        lambda: tuple(s for s in types.statics() if types.type(s.type).size
                      and has_struct_inside(types, s.type, names.type)),
    )  # fmt: skip
    for static in holders:
        value = Value(kernel.space, static.type, static.address, short_name(static))
        try:
            inner = struct_inside(value, names.type).value
        except DecodeError as error:
            problems.append(error.problem)
            continue
        if inner is not None:
            yield inner


def _told(values: Iterator[Value], problems: list[Problem]) -> Iterator[Value]:
    try:
        yield from values
    except DecodeError as error:
        problems.append(error.problem)


def _channel(kernel: Kernel, thread: Thread) -> Wait | None:
    """The address that a thread sleeps on, and what lies there; 0 is none."""
    paths = kernel.description.thread.channel
    try:
        type_id = kernel.struct_with(kernel.description.thread.type, paths)
        value = Value(kernel.space, type_id, thread.address, "")
        address = number(value, paths)
    except DecodeError:
        return None
    if not address:
        return None
    if address == thread.address:
        return Wait(paths.first, "itself: one of its children", address)
    return Wait(paths.first, path_to(kernel, address), address)
