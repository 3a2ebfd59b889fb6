"""The threads: the running one, the ready queue in its order, the sleeping ones, the idle one."""

from dataclasses import replace

from rcdbg.model.concepts import held
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import LOCKED, NOT_YET
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import ALL_UNKNOWN, Problem, Processor, Thread
from rcdbg.model.tasks.waits import with_waits
from rcdbg.model.threads.idle import idle_thread
from rcdbg.model.threads.listed import ORDER_NOT_KNOWN, is_listed, read_listed
from rcdbg.model.threads.queue import is_unordered_pool, kind_of, scheduled, scheduler_of
from rcdbg.model.threads.rules import broken_invariants
from rcdbg.model.threads.thread import read_thread, thread_in
from rcdbg.model.values.containers import elements
from rcdbg.model.values.parts import find, has, part
from rcdbg.model.values.value import DecodeError, Value


@once_a_moment
def read_processor(kernel: Kernel) -> Processor:
    """The threads as the kernel's processor has them; never fails."""
    return with_waits(kernel, _read(kernel))


def _read(kernel: Kernel) -> Processor:
    try:
        if is_listed(kernel):
            return _set_apart(kernel, read_listed(kernel))
        names = kernel.description.processor
        found = held(kernel, names.type, names.at, "processor")
        if found.value is None:
            return Processor("", None, (), (), None, NOT_YET)
        read = _with_idle(kernel, _read_processor(kernel, found.value, found.locked))
        return replace(read, problems=read.problems + broken_invariants(kernel, read))
    except DecodeError as error:
        return Processor("", None, (), (), None, "", (error.problem,), unknown=ALL_UNKNOWN)


def _read_processor(kernel: Kernel, processor: Value, locked: bool | None) -> Processor:
    problems: list[Problem] = []
    unknown: set[str] = set()
    names = kernel.description
    current, kind = None, ""
    ready: tuple[Thread, ...] = ()
    sleeping: tuple[Thread, ...] = ()
    notes = [LOCKED] if locked else []
    try:
        running = find(processor, names.processor.current, names.thread.type).value
        current = None if running is None else read_thread(kernel, running, "running", None)
    except DecodeError as error:
        problems.append(error.problem)
        unknown.add("current")
    try:
        scheduler = scheduler_of(kernel, processor)
        if scheduler is None:
            missing = names.processor.ready.first
            notes.append(f"{_no_field(missing)}ready threads are not known")
            unknown.add("ready")
        else:
            kind, ready = kind_of(scheduler), _queue(kernel, scheduler, problems)
            if is_unordered_pool(kernel, scheduler):
                ready = tuple(
                    replace(thread, position=None)
                    for thread in ready
                    if current is None or thread.address != current.address
                )
                if len(ready) > 1:
                    notes.append(ORDER_NOT_KNOWN)
    except DecodeError as error:
        problems.append(error.problem)
        unknown.add("ready")
    if has(processor, names.processor.sleeping):
        sleeping = _sleepers(kernel, processor, problems)
    else:
        missing = _no_field(names.processor.sleeping.first)
        notes.append(f"{missing}sleeping threads, if there are any, are not known")
        unknown.add("sleeping")
    return Processor(
        kind,
        current,
        ready,
        sleeping,
        locked,
        "; ".join(notes),
        tuple(problems),
        unknown=frozenset(unknown),
    )


def _no_field(path: str) -> str:
    return f"no field {path!r}: " if path else ""


def _set_apart(kernel: Kernel, processor: Processor) -> Processor:
    """The idle thread that the description names is in no queue, whatever its state says."""
    address = idle_thread(kernel) if kernel.description.idle.at else None
    if address is None:
        return processor
    idle = next((t for t in processor.ready if t.address == address and t.position is None), None)
    if idle is None:
        return _with_idle(kernel, processor)
    ready = tuple(thread for thread in processor.ready if thread is not idle)
    idle = replace(idle, status="idle", is_idle=True)
    return replace(processor, ready=ready, idle=idle)


def _with_idle(kernel: Kernel, processor: Processor) -> Processor:
    """With the idle thread marked, or added if it is in no queue."""
    address = idle_thread(kernel)
    if address is None:
        return processor
    if all(thread.address != address for thread in processor.threads):
        names = kernel.description.thread
        try:
            type_id = kernel.struct_with(names.type, names.id)
        except DecodeError:
            return processor
        value = Value(kernel.space, type_id, address, "idle thread")
        thread = read_thread(kernel, value, "idle", None)
        return replace(processor, idle=replace(thread, is_idle=True))

    def mark(thread: Thread) -> Thread:
        return replace(thread, is_idle=True) if thread.address == address else thread

    return replace(
        processor,
        current=None if processor.current is None else mark(processor.current),
        ready=tuple(map(mark, processor.ready)),
        sleeping=tuple(map(mark, processor.sleeping)),
    )


def _queue(kernel: Kernel, scheduler: Value, problems: list[Problem]) -> tuple[Thread, ...]:
    """The ready threads; of a broken queue those before the break."""
    threads: list[Thread] = []
    try:
        for value, priority in scheduled(kernel, scheduler):
            threads.append(read_thread(kernel, value, "ready", len(threads), priority))
    except DecodeError as error:
        problems.append(error.problem)
    return tuple(threads)


def _sleepers(kernel: Kernel, processor: Value, problems: list[Problem]) -> tuple[Thread, ...]:
    """The sleeping threads by id: a hash set has no order of its own."""
    threads: list[Thread] = []
    try:
        for entry in elements(part(processor, kernel.description.processor.sleeping)):
            thread = thread_in(kernel, entry)
            if thread is not None:
                threads.append(read_thread(kernel, thread, "sleeping", None))
    except DecodeError as error:
        problems.append(error.problem)
    return tuple(sorted(threads, key=lambda t: (t.id is None, t.id)))
