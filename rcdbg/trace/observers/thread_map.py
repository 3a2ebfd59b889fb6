"""Which thread a stack pointer belongs to, learned while threads come and go.

Stacks of different processes may have the same addresses: into which of them a stack pointer
points, the root of the page table of the moment tells.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.space import root_of, root_of_process
from rcdbg.model.state import Thread
from rcdbg.model.threads.listed import is_listed, place_of, running_task, tasks
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.task import id_of, state_of
from rcdbg.model.threads.thread import is_asleep, thread_at, thread_in
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.paging import walk

_REGION = 16
"""Stack pointers that differ above these bits only are asked for once, if they are nobody's."""


@dataclass(slots=True)
class KnownThread:
    """A thread by its number, where its Thread lies, and its stack [start, end), 0 if not known."""

    id: int
    address: int
    start: int
    end: int
    is_sleeping: bool = False
    ended: str | None = None
    """Why it has ended: "exit" or "fault"."""
    roots: set[int] = field(default_factory=set)
    """The root tables (PPN) with which its stack is what lies there; empty if that is not known."""

    def holds(self, sp: int) -> bool:
        """Whether `sp` points into its stack; an empty stack's points at its end."""
        return self.start < sp <= self.end

    def is_in(self, root: int | None) -> bool:
        """Whether its stack may be in the address space of that root; None is any."""
        return root is None or not self.roots or root in self.roots


class ThreadMap:
    """The threads that are known and have not ended."""

    def __init__(self) -> None:
        self._threads: dict[int, KnownThread] = {}
        self._nobodys: set[tuple[int | None, int]] = set()

    def at(self, sp: int, root: int | None) -> KnownThread | None:
        """The known thread whose stack holds `sp` in the address space of that root table.

        `root` is None where paging is off or not known: then one that no other is as good as.
        """
        found = [t for t in self._threads.values() if t.holds(sp) and t.is_in(root)]
        return _only(found, root)

    def add(
        self, holder: Value, kernel: Kernel, is_certain: Callable[[], bool]
    ) -> tuple[KnownThread, bool, bool]:
        """The thread that an argument is, holds or refers to; whether it is new.

        And whether that is certain: `is_certain` tells, after it was read, if memory can be
        believed. Else what is known of the thread at that address is, if anything. Raises
        DecodeError if there is no thread to be read.
        """
        thread = _thread_in(holder, kernel)
        at_its_address = self._threads.get(thread.address)
        try:
            found = _identity(thread, kernel)
        except DecodeError:
            if at_its_address is not None and not is_certain():
                return at_its_address, False, True
            raise
        known = self._known(found)
        if known is None:
            found.roots = _roots(thread, kernel)
        certain = is_certain()
        known = known or (None if certain else at_its_address)
        if known is not None:
            return known, False, True
        self._insert(found)
        return found, True, certain

    def look_up(self, sp: int, root: int | None, kernel: Kernel) -> KnownThread | None:
        """The thread of the kernel whose stack holds `sp` with that root table, if there is one.

        A stack may lie where all address spaces are the same: a thread with another root is meant
        if both lead to the same memory there.
        """
        region = root, sp >> _REGION
        if region in self._nobodys:
            return None
        holding: dict[int, KnownThread] = {}
        for thread in read_processor(kernel).threads:
            one = _one(thread, kernel)
            if one is not None and one.holds(sp):
                holding[one.address] = one
        inside = [t for t in holding.values() if t.is_in(root)]
        if not inside and root is not None:
            inside = [t for t in holding.values() if _is_shared(t, sp, root, kernel)]
        found = _only(inside, root)
        if found is None:
            self._nobodys.add(region)
            return None
        if root is not None and not found.is_in(root):
            found.roots.add(root)
        return self._insert(found)

    def current(self, kernel: Kernel) -> KnownThread | None:
        """The thread that the kernel counts as the running one."""
        if is_listed(kernel):
            return self._current_task(kernel)
        thread = read_processor(kernel).current
        found = None if thread is None else _one(thread, kernel)
        return None if found is None else self._insert(found)

    def _current_task(self, kernel: Kernel) -> KnownThread | None:
        """The same, of a kernel that lists its threads: without a look at all of them."""
        try:
            task = running_task(kernel)
            return None if task is None else self._insert(_task(task, kernel))
        except DecodeError:
            return None

    def has_ended(self, thread: KnownThread, kernel: Kernel) -> bool:
        """Whether its state says so; False where no state can be read."""
        try:
            return state_of(kernel, thread_at(kernel, thread.address))[1] == "dead"
        except DecodeError:
            return False

    def sleeps(self, thread: KnownThread, kernel: Kernel) -> bool | None:
        """Whether the Thread says of itself that it sleeps; None if that cannot be read."""
        try:
            task = thread_at(kernel, thread.address)
            if is_listed(kernel):
                return state_of(kernel, task)[1] == "sleeping"
            return is_asleep(kernel, task)
        except DecodeError:
            return None

    def remove(self, thread: KnownThread) -> None:
        """Forget a thread that is gone: its stack and its address will be used again."""
        if self._threads.get(thread.address) is thread:
            del self._threads[thread.address]

    def something_changed(self) -> None:
        """Threads may have come: what belonged to nobody may belong to somebody now."""
        self._nobodys.clear()

    def _known(self, thread: KnownThread) -> KnownThread | None:
        """The same one, if it is known already."""
        known = self._threads.get(thread.address)
        if known is not None and (known.id, known.start) == (thread.id, thread.start):
            return known
        return None

    def _insert(self, thread: KnownThread) -> KnownThread:
        """Adds a thread; returns it, or what is known of it already, with its roots added."""
        known = self._known(thread)
        if known is not None:
            known.roots |= thread.roots
            return known
        # Whoever had that stack before has gone unseen.
        for other in [t for t in self._threads.values()
                      if t.start < thread.end and thread.start < t.end
                      and (not t.roots or not thread.roots or t.roots & thread.roots)]:  # fmt: skip
            del self._threads[other.address]
        self._threads[thread.address] = thread
        self._nobodys.clear()
        return thread


def _roots(thread: Value, kernel: Kernel) -> set[int]:
    names = kernel.description
    if not has(thread, names.thread.process):
        return set()
    try:
        process = part(thread, names.thread.process, names.process.type)
        return {root_of_process(kernel, process)}
    except DecodeError:
        return set()


def _task(thread: Value, kernel: Kernel) -> KnownThread:
    """One that a list has: where its stack lies is nobody's question, memory tells who runs."""
    number = id_of(kernel, thread, place_of(tasks(kernel), thread.address))
    if number is None:
        raise DecodeError(thread.path, "it has no number")
    return KnownThread(number, thread.address, 0, 0)


def _identity(thread: Value, kernel: Kernel) -> KnownThread:
    names = kernel.description.thread
    if is_listed(kernel):
        return _task(thread, kernel)
    start, end = number(thread, names.stack_start), number(thread, names.stack_end)
    if not 0 <= start < end < 1 << 64:
        raise DecodeError(thread.path, f"a stack from {start:#x} to {end:#x}")
    return KnownThread(number(thread, names.id), thread.address, start, end)


def _only(found: Iterable[KnownThread], root: int | None) -> KnownThread | None:
    """The one of them, or the one that is surely in the address space of that root."""
    threads = list(found)
    if len(threads) > 1:
        threads = [t for t in threads if root in t.roots]
    return threads[0] if len(threads) == 1 else None


def _is_shared(thread: KnownThread, sp: int, root: int, kernel: Kernel) -> bool:
    """Whether the stack is the same memory under that root table as under the thread's own."""
    places = set()
    for table in (root, *thread.roots):
        try:
            satp = kernel.memory.satp.other(table)
            places.add(walk(kernel.target.read_phys, satp, sp - 1).physical)
        except MemoryReadError:
            return False
    return len(places) == 1 and None not in places


def _one(thread: Thread, kernel: Kernel) -> KnownThread | None:
    """The same thread, as it is known here; None if its number or its stack cannot be read."""
    if thread.id is None or thread.stack is None:
        return None
    found = KnownThread(thread.id, thread.address, thread.stack.start, thread.stack.end)
    found.is_sleeping = bool(thread.sleeping)
    if thread.process is not None:
        found.roots = _root_in(kernel, thread.process)
    return found


def _root_in(kernel: Kernel, process: int) -> set[int]:
    """The root table of the Process at that address; empty if it cannot be read."""
    try:
        return {root_of(kernel, process)}
    except DecodeError:
        return set()


def _thread_in(holder: Value, kernel: Kernel) -> Value:
    found = thread_in(kernel, holder)
    if found is None:
        name = kernel.description.thread.type.first or "thread"
        raise DecodeError(holder.path, f"{holder.type.name} holds no {name}")
    return found
