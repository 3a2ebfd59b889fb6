"""The threads: the running one, the ready queue in its order, the sleeping ones, the idle one."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from rcdbg.image.elf import Image
from rcdbg.image.types import Static, StructType
from rcdbg.model.kernel import Kernel, types_inside
from rcdbg.model.memory.frames import LOCKED, NOT_YET
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import Context, Problem, Processor, Stack, Thread, ThreadStatus
from rcdbg.model.threads.context import decode_context
from rcdbg.model.threads.rules import broken_invariants, parked_problems
from rcdbg.model.values.containers import (
    Guarded,
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
from rcdbg.model.values.value import DecodeError, Value


@once_a_moment
def read_processor(kernel: Kernel) -> Processor:
    """The threads as the kernel's PROCESSOR has them; never fails."""
    try:
        static = kernel.static_holding(kernel.profile.processor)
        data = lazy(static)
        if data is None:
            return Processor("", None, (), (), None, NOT_YET)
        guarded = mutex(data)
        found = _read_processor(
            kernel, find_struct(guarded.value, kernel.profile.processor), guarded.locked
        )
        found = _with_idle(kernel, found)
        return replace(found, problems=found.problems + broken_invariants(kernel, found))
    except DecodeError as error:
        return Processor("", None, (), (), None, "", (error.problem,))


def _read_processor(kernel: Kernel, processor: Value, locked: bool | None) -> Processor:
    problems: list[Problem] = []
    current = None
    ready: tuple[Thread, ...] = ()
    sleeping: tuple[Thread, ...] = ()
    try:
        held = option(processor[kernel.profile.current_thread])
        current = None if held is None else _read_thread(kernel, arc(held), "running", None)
    except DecodeError as error:
        problems.append(error.problem)
    kind, notes = "", [LOCKED] if locked else []
    if processor.has(kernel.profile.scheduler):
        scheduler = processor[kernel.profile.scheduler]
        kind = base_name(scheduler.type)
        ready = _queue(kernel, scheduler, problems)
    else:
        notes.append(f"no field {kernel.profile.scheduler!r}: ready threads are not known")
    if processor.has(kernel.profile.sleeping_threads):
        sleeping = _sleepers(kernel, processor, problems)
    else:
        missing = kernel.profile.sleeping_threads
        notes.append(f"no field {missing!r}: sleeping threads, if there are any, are not known")
    return Processor(kind, current, ready, sleeping, locked, "; ".join(notes), tuple(problems))


def _with_idle(kernel: Kernel, processor: Processor) -> Processor:
    """With the idle thread marked, or added if it is in no queue."""
    address = idle_thread(kernel)
    if address is None:
        return processor
    if all(thread.address != address for thread in processor.threads):
        try:
            type_id = kernel.struct_named(
                kernel.profile.thread, (kernel.profile.thread_id, kernel.profile.thread_inner)
            )
        except DecodeError:
            return processor
        value = Value(kernel.space, type_id, address, "idle thread")
        thread = _read_thread(kernel, value, "idle", None)
        return replace(processor, idle=replace(thread, is_idle=True))

    def mark(thread: Thread) -> Thread:
        return replace(thread, is_idle=True) if thread.address == address else thread

    return replace(
        processor,
        current=None if processor.current is None else mark(processor.current),
        ready=tuple(map(mark, processor.ready)),
        sleeping=tuple(map(mark, processor.sleeping)),
    )


def idle_thread(kernel: Kernel) -> int | None:
    """The address of the idle thread: what a static that holds just one Arc<Thread> points to.

    Of several such statics the one with "idle" in its name; None without one, and before it is
    initialised.
    """
    profile = kernel.profile
    candidates = _holders_of_one_thread(kernel.image, profile.thread, profile.processor)
    if len(candidates) > 1:
        candidates = tuple(s for s in candidates if "idle" in s.path.lower())
    if len(candidates) != 1:
        return None
    static = candidates[0]
    try:
        data = lazy(Value(kernel.space, static.type, static.address, static.path))
        return None if data is None else arc(find_struct(data, "Arc")).address
    except DecodeError:
        return None


@lru_cache(maxsize=8)
def _holders_of_one_thread(image: Image, thread: str, processor: str) -> tuple[Static, ...]:
    """The statics with an Arc<Thread> behind nothing but wrappers such as lazy_static."""
    found = []
    for static in image.types.statics():
        if not image.types.type(static.type).size:
            continue  # the handle of a lazy_static, not its data
        kinds = [image.types.type(t) for t in types_inside(image, static.type)]
        names = {base_name(kind) for kind in kinds}
        arcs = [k for k in kinds if isinstance(k, StructType) and base_name(k) == "Arc"]
        if processor not in names and any(
            name == "T" and base_name(image.types.type(t)) == thread
            for kind in arcs
            for name, t in kind.parameters
        ):
            found.append(static)
    return tuple(found)


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
        for entry in elements(processor[kernel.profile.sleeping_threads]):
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

    names = kernel.profile
    start, end = number(names.thread_stack, "start"), number(names.thread_stack, "end")
    stack = None if start is None or end is None else Stack(start, end)
    process = user = root_ppn = None
    if thread.has(names.thread_process):
        try:
            held = arc(thread[names.thread_process])
            process = held.address
            user = bool(dig(held, names.process_is_user).scalar())
            root_ppn = dig(held, "root_ppn").scalar() if user else None
        except DecodeError as error:
            problems.append(error.problem)
    context = sleeping = dead = locked = None
    try:
        guarded = (
            mutex(thread[names.thread_inner])
            if thread.has(names.thread_inner)
            else Guarded(thread, None)
        )
        locked = guarded.locked
        context = _parked(kernel, guarded.value)
        problems.extend(context.problems if context else ())
        sleeping = _flag(guarded.value, names.thread_sleeping, problems)
        dead = _flag(guarded.value, names.thread_dead, problems)
    except DecodeError as error:
        problems.append(error.problem)
    found = Thread(
        thread.address,
        number(names.thread_id),
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
    return replace(found, problems=found.problems + parked_problems(kernel, found, root_ppn))


def _parked(kernel: Kernel, inner: Value) -> Context | None:
    held = option(inner[kernel.profile.thread_context])
    return None if held is None else decode_context(kernel, held)


def _flag(value: Value, name: str, problems: list[Problem]) -> bool | None:
    """A bool by name; anything but 0 and 1 is a Problem. None where threads have no such field."""
    if not value.has(name):
        return None
    try:
        number = value[name].scalar()
    except DecodeError as error:
        problems.append(error.problem)
        return None
    if number not in (0, 1):
        problems.append(Problem(f"{value.path}.{name}", f"{number} is no bool"))
        return None
    return bool(number)
