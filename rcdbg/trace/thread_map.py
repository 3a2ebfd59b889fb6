"""Which thread a stack pointer belongs to, learned while threads come and go."""

from collections.abc import Callable
from dataclasses import dataclass

from rcdbg.model.containers import arc, base_name, dig, find_struct, mutex
from rcdbg.model.kernel import Kernel
from rcdbg.model.profile import Profile
from rcdbg.model.threads import read_processor
from rcdbg.model.value import DecodeError, Value

_REGION = 16
"""Stack pointers that differ above these bits only are asked for once, if they are nobody's."""


@dataclass(slots=True)
class KnownThread:
    """A thread by its number, where its Thread lies, and its stack [start, end)."""

    id: int
    address: int
    start: int
    end: int
    is_sleeping: bool = False
    ended: str | None = None
    """Why it has ended: "exit" or "fault"."""

    def holds(self, sp: int) -> bool:
        """Whether `sp` points into its stack; an empty stack's points at its end."""
        return self.start < sp <= self.end


class ThreadMap:
    """The threads that are known and have not ended."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._threads: dict[int, KnownThread] = {}
        self._nobodys: set[int] = set()

    def at(self, sp: int) -> KnownThread | None:
        """The known thread whose stack holds `sp`."""
        return next((t for t in self._threads.values() if t.holds(sp)), None)

    def add(self, holder: Value, is_certain: Callable[[], bool]) -> tuple[KnownThread, bool, bool]:
        """The thread in an Arc<Thread>, a reference to one, or a Thread; whether it is new.

        And whether that is certain: `is_certain` tells, after it was read, if memory can be
        believed. Else what is known of the thread at that address is, if anything. Raises
        DecodeError if there is no thread to be read.
        """
        thread = _thread_in(holder, self._profile.thread)
        known = self._threads.get(thread.address)
        try:
            found = self._identity(thread)
        except DecodeError:
            if known is not None and not is_certain():
                return known, False, True
            raise
        certain = is_certain()
        if known is not None and (
            not certain or (known.id, known.start) == (found.id, found.start)
        ):
            return known, False, True
        self._insert(found)
        return found, True, certain

    def look_up(self, sp: int, kernel: Kernel) -> KnownThread | None:
        """The thread of the kernel whose stack holds `sp`, if there is just one."""
        region = sp >> _REGION
        if region in self._nobodys:
            return None
        holding = []
        for thread in read_processor(kernel).threads:
            if thread.id is None or thread.stack is None:
                continue
            one = KnownThread(thread.id, thread.address, thread.stack.start, thread.stack.end)
            if one.holds(sp):
                one.is_sleeping = bool(thread.sleeping)
                holding.append(one)
        if len({t.address for t in holding}) != 1:
            self._nobodys.add(region)
            return None
        self._insert(holding[0])
        return holding[0]

    def current(self, kernel: Kernel) -> KnownThread | None:
        """The thread that the kernel counts as the running one."""
        thread = read_processor(kernel).current
        if thread is None or thread.id is None or thread.stack is None:
            return None
        found = KnownThread(thread.id, thread.address, thread.stack.start, thread.stack.end)
        self._insert(found)
        return found

    def sleeps(self, thread: KnownThread, kernel: Kernel) -> bool | None:
        """Whether the Thread says of itself that it sleeps; None if that cannot be read."""
        names = self._profile
        try:
            kind = kernel.struct_named(names.thread, (names.thread_id, names.thread_inner))
            value = Value(kernel.space, kind, thread.address, names.thread)
            flag = dig(mutex(value[names.thread_inner]).value, names.thread_sleeping).scalar()
        except DecodeError:
            return None
        return bool(flag) if flag in (0, 1) else None

    def remove(self, thread: KnownThread) -> None:
        """Forget a thread that is gone: its stack and its address will be used again."""
        if self._threads.get(thread.address) is thread:
            del self._threads[thread.address]

    def something_changed(self) -> None:
        """Threads may have come: what belonged to nobody may belong to somebody now."""
        self._nobodys.clear()

    def _insert(self, thread: KnownThread) -> None:
        # Whoever had that stack before has gone unseen.
        for other in [t for t in self._threads.values()
                      if t.start < thread.end and thread.start < t.end]:  # fmt: skip
            del self._threads[other.address]
        self._threads[thread.address] = thread
        self._nobodys.clear()

    def _identity(self, thread: Value) -> KnownThread:
        number = dig(thread, self._profile.thread_id).scalar()
        stack = dig(thread, self._profile.thread_stack)
        start, end = dig(stack, "start").scalar(), dig(stack, "end").scalar()
        if not 0 <= start < end < 1 << 64:
            raise DecodeError(thread.path, f"a stack from {start:#x} to {end:#x}")
        return KnownThread(number, thread.address, start, end)


def _thread_in(holder: Value, name: str) -> Value:
    """The Thread that an argument is, holds or refers to."""
    kind = holder.type
    target = getattr(kind, "target", None)
    if target is not None:
        holder = holder.at(target, holder.scalar(), holder.path)
    if base_name(holder.type) == name:
        return holder
    for pointer in ("Arc", "Rc"):
        try:
            return arc(find_struct(holder, pointer))
        except DecodeError:
            continue
    raise DecodeError(holder.path, f"{holder.type.name} holds no {name}")
