"""The ready threads, in the order in which they will run, whatever scheduler keeps them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rcdbg.model.concepts import values_at
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.thread import thread_in
from rcdbg.model.values.containers import base_name, elements, pools
from rcdbg.model.values.parts import has, number, numbers, part
from rcdbg.model.values.value import DecodeError, Value


def scheduler_of(kernel: Kernel, processor: Value) -> Value | None:
    """What holds the ready threads, or None where the kernel's description says nothing of it."""
    names = kernel.description
    if names.queue.at:
        return next(values_at(kernel, names.queue.at, "ready queue"), None)
    if has(processor, names.processor.ready):
        return part(processor, names.processor.ready)
    return None


def kind_of(scheduler: Value) -> str:
    """The scheduler's type, in short."""
    return base_name(scheduler.type)


def scheduled(kernel: Kernel, scheduler: Value) -> Iterator[tuple[Value, int | None]]:
    """The threads in a scheduler's collections with their priorities, the next one to run first.

    Entries that say of themselves that they are not ready are left out; those with keys, as in
    stride scheduling, run in the order of these. Raises DecodeError where a collection is broken,
    after its threads up to there.
    """
    names = kernel.description.queue
    for pool in pools(scheduler):
        entries: list[tuple[tuple[int, ...], Value]] = []
        broken: DecodeError | None = None
        try:
            for entry in elements(pool):
                if not has(entry, names.is_ready) or number(entry, names.is_ready):
                    entries.append((numbers(entry, names.order), entry))
        except DecodeError as error:
            broken = error
        for _, entry in sorted(entries, key=lambda e: e[0]):
            thread = thread_in(kernel, entry)
            if thread is not None:
                yield thread, _priority(kernel, entry)
        if broken is not None:
            raise broken


def _priority(kernel: Kernel, entry: Value) -> int | None:
    paths = kernel.description.queue.priority
    try:
        return number(entry, paths) if has(entry, paths) else None
    except DecodeError:
        return None


def is_unordered_pool(kernel: Kernel, scheduler: Value) -> bool:
    """The same of a scheduler, by the first entry of its collections; raises DecodeError."""
    if not kernel.description.queue.unordered:
        return False
    return any(is_unordered(kernel, list(islice(elements(pool), 1))) for pool in pools(scheduler))


def is_unordered(kernel: Kernel, entries: Sequence[Value]) -> bool:
    """Whether threads, or entries with them, show that they are taken in an order not known."""
    paths = kernel.description.queue.unordered
    return any(has(entry, paths) for entry in entries[:1])
