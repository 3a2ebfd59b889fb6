"""The user's side of a trap: whose code it was, its registers, its table; through a portal too."""

from collections.abc import Callable, Sequence

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.kernels.description import Paths
from rcdbg.model.kernel import Kernel
from rcdbg.model.threads.listed import is_listed
from rcdbg.model.threads.task import process_of
from rcdbg.model.threads.thread import thread_at
from rcdbg.model.values.parts import has, number
from rcdbg.model.values.value import DecodeError, Space, Value
from rcdbg.riscv.paging import Satp
from rcdbg.riscv.registers import MASK64
from rcdbg.trace.moment import Moment
from rcdbg.trace.observers.thread_map import KnownThread

_A0 = 10
_WORD = 8


class TrappedCode:
    """What is known of the user code that traps interrupt; `kernel` is that at a moment."""

    def __init__(self, kernel: Callable[[Moment], Kernel]) -> None:
        self._kernel = kernel
        self._portal: int | None = None

    def process(self, moment: Moment, thread: KnownThread | None) -> int | None:
        """The kernel's number of its process; None if it has none, or it cannot be read."""
        kernel = self._kernel(moment)
        names = kernel.description
        if thread is None or not is_listed(kernel):
            return None
        try:
            process = process_of(kernel, thread_at(kernel, thread.address))
            has_id = process is not None and has(process, names.process.id)
            return number(process, names.process.id) if process and has_id else None
        except DecodeError:
            return None

    def goes_through(self, moment: Moment, cache: int | None) -> tuple[int, int] | None:
        """The user's sepc and a0 if the way out leads through the portal with that cache."""
        self._portal = None
        names = self._kernel(moment).description.portal
        if cache is None or not names.type:
            return None
        self._portal = cache
        sepc, a0 = self._cached(moment, names.sepc), self._cached(moment, names.a0)
        if sepc is None or a0 is None:
            self._portal = None
            return None
        return sepc, a0

    def x(self, moment: Moment) -> Sequence[int]:
        """The general registers of the user code that has just trapped."""
        x = moment.registers.x
        if self._portal is None:
            return x
        a0 = self._cached(moment, self._kernel(moment).description.portal.a0)
        return x if a0 is None else (*x[:_A0], a0, *x[_A0 + 1 :])

    def satp(self, moment: Moment) -> Satp:
        """The satp of the user code."""
        if self._portal is not None:
            found = self._cached(moment, self._kernel(moment).description.portal.satp)
            if found is not None:
                return Satp(found)
        return self._kernel(moment).memory.satp

    def root(self, moment: Moment) -> int | None:
        """The PPN of its root table; None without paging."""
        return self.satp(moment).root

    def memory(self, moment: Moment) -> VirtualMemory:
        """Memory as it sees it."""
        return VirtualMemory(self._kernel(moment).target, self.satp(moment).value)

    def word(self, moment: Moment, address: int) -> int | None:
        """A word of the kernel's memory; None if it cannot be read."""
        try:
            data = self._kernel(moment).memory.read(address, _WORD)
        except MemoryReadError:
            return None
        return int.from_bytes(data, "little")

    def _cached(self, moment: Moment, paths: Paths) -> int | None:
        kernel = self._kernel(moment)
        try:
            type_id = kernel.struct_with(kernel.description.portal.type)
            # It is in a page of every table, and nowhere else.
            space = Space(kernel.image.types, kernel.memory.read)
            cache = Value(space, type_id, self._portal or 0, "portal")
            return number(cache, paths) & MASK64 if has(cache, paths) else None
        except DecodeError:
            return None
