"""The threads: PROCESSOR's running one, the ready queue in its order, the sleeping ones."""

from collections.abc import Iterator

from rcdbg.model.containers import (
    arc,
    base_name,
    dig,
    elements,
    find_struct,
    lazy,
    mutex,
    option,
    pools,
)
from rcdbg.model.frames import LOCKED, NOT_YET
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import Context, Problem, Processor, Stack, Thread, ThreadStatus
from rcdbg.model.trap import decode_context
from rcdbg.model.value import DecodeError, Value


def read_processor(kernel: Kernel) -> Processor:
    """The threads as the kernel's PROCESSOR has them; never fails."""
    try:
        static = kernel.static_holding(kernel.profile.processor)
        data = lazy(static)
        if data is None:
            return Processor("", None, (), (), None, NOT_YET)
        guarded = mutex(data)
        return _read_processor(
            kernel, find_struct(guarded.value, kernel.profile.processor), guarded.locked
        )
    except DecodeError as error:
        return Processor("", None, (), (), None, "", (error.problem,))


def _read_processor(kernel: Kernel, processor: Value, locked: bool | None) -> Processor:
    problems: list[Problem] = []
    current = ready = sleeping = None
    try:
        held = option(processor["current_thread"])
        current = None if held is None else _read_thread(kernel, arc(held), "running", None)
    except DecodeError as error:
        problems.append(error.problem)
    scheduler = processor["scheduler"]
    kind = base_name(scheduler.type)
    ready = _queue(kernel, scheduler, problems)
    sleeping = _sleepers(kernel, processor, problems)
    note = LOCKED if locked else ""
    return Processor(kind, current, ready, sleeping, locked, note, tuple(problems))


def _queue(kernel: Kernel, scheduler: Value, problems: list[Problem]) -> tuple[Thread, ...]:
    """The ready threads; of a broken queue those before the break."""
    threads: list[Thread] = []
    try:
        for value, priority in _scheduled(kernel, scheduler):
            threads.append(_read_thread(kernel, value, "ready", len(threads), priority))
    except DecodeError as error:
        problems.append(error.problem)
    return tuple(threads)


def _scheduled(kernel: Kernel, scheduler: Value) -> Iterator[tuple[Value, int | None]]:
    """The threads in a scheduler's containers, in the order in which they will run.

    Entries that say of themselves that they are not `ready` are left out; those with a `pass`
    (stride scheduling) run in its order, then in that of their `turn`.
    """
    for pool in pools(scheduler):
        entries: list[tuple[tuple[int, ...], Value]] = []
        broken: DecodeError | None = None
        try:
            for entry in elements(pool):
                if _ready(entry):
                    entries.append((_order(entry), entry))
        except DecodeError as error:
            broken = error
        for _, entry in sorted(entries, key=lambda e: e[0]):
            thread = _thread_in(kernel, entry)
            if thread is not None:
                yield thread, _number(entry, "priority")
        if broken is not None:
            raise broken


def _order(entry: Value) -> tuple[int, ...]:
    return tuple(entry[name].scalar() for name in ("pass", "turn") if entry.has(name))


def _ready(entry: Value) -> bool:
    return not entry.has("ready") or entry["ready"].scalar() != 0


def _thread_in(kernel: Kernel, entry: Value) -> Value | None:
    """The Thread behind the Arc that `entry` is or has as a field."""
    for holder in (entry, *entry.fields()):
        if base_name(holder.type) in ("Arc", "Rc"):
            thread = arc(holder)
            if base_name(thread.type) == kernel.profile.thread:
                return thread
    return None


def _number(value: Value, name: str) -> int | None:
    try:
        return value[name].scalar()
    except DecodeError:
        return None


def _sleepers(kernel: Kernel, processor: Value, problems: list[Problem]) -> tuple[Thread, ...]:
    """The sleeping threads by id: a hash set has no order of its own."""
    threads: list[Thread] = []
    try:
        for entry in elements(processor["sleeping_threads"]):
            thread = _thread_in(kernel, entry)
            if thread is not None:
                threads.append(_read_thread(kernel, thread, "sleeping", None))
    except DecodeError as error:
        problems.append(error.problem)
    return tuple(sorted(threads, key=lambda t: (t.id is None, t.id)))


def _read_thread(
    kernel: Kernel,
    thread: Value,
    status: ThreadStatus,
    position: int | None,
    priority: int | None = None,
) -> Thread:
    """What can be read of a Thread; each part that fails leaves a Problem and None."""
    problems: list[Problem] = []

    def number(*names: str) -> int | None:
        try:
            value = thread
            for name in names:
                value = value[name] if value.has(name) else dig(value, name)
            return value.scalar()
        except DecodeError as error:
            problems.append(error.problem)
            return None

    start, end = number("stack", "start"), number("stack", "end")
    stack = None if start is None or end is None else Stack(start, end)
    process = user = None
    try:
        held = arc(thread["process"])
        process, user = held.address, bool(held["is_user"].scalar())
    except DecodeError as error:
        problems.append(error.problem)
    context = sleeping = dead = locked = None
    try:
        guarded = mutex(thread["inner"])
        locked = guarded.locked
        context = _parked(kernel, guarded.value)
        problems.extend(context.problems if context else ())
        sleeping = _flag(guarded.value, "sleeping", problems)
        dead = _flag(guarded.value, "dead", problems)
    except DecodeError as error:
        problems.append(error.problem)
    return Thread(
        thread.address,
        number("id"),
        "dead" if dead else status,
        position,
        user,
        process,
        stack,
        context,
        sleeping,
        dead,
        priority,
        locked,
        tuple(problems),
    )


def _parked(kernel: Kernel, inner: Value) -> Context | None:
    held = option(inner["context"])
    return None if held is None else decode_context(kernel, held)


def _flag(value: Value, name: str, problems: list[Problem]) -> bool | None:
    """A bool by name; anything but 0 and 1 is a Problem."""
    try:
        number = value[name].scalar()
    except DecodeError as error:
        problems.append(error.problem)
        return None
    if number not in (0, 1):
        problems.append(Problem(f"{value.path}.{name}", f"{number} is no bool"))
        return None
    return bool(number)
