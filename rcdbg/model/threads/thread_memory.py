"""Memory as a thread sees it: its stack is in the address space of its process, not in satp's."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from rcdbg.errors import MemoryReadError
from rcdbg.guest.virtual import VirtualMemory
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.mappings import ALL_RANGES
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.memory.space import root_of
from rcdbg.model.memory.table_diff import changes
from rcdbg.model.state import Thread
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.pages import PAGE_SIZE

MAX_PIECES = 1024
"""Stretches of memory that are told apart."""


class ThreadMemory:
    """The kernel as its threads see it: each has its stack in the address space of its process."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._of_process: dict[int, Kernel] = {}

    def of(self, thread: Thread) -> Kernel:
        """The kernel with the memory of the thread's process, if that can be found."""
        if thread.process is None or not self._kernel.memory.satp.translates:
            return self._kernel
        if thread.process not in self._of_process:
            self._of_process[thread.process] = self._within(thread.process)
        return self._of_process[thread.process]

    def _within(self, process: int) -> Kernel:
        memory = self._kernel.memory
        with suppress(DecodeError):
            root_ppn = root_of(self._kernel, process)
            if root_ppn != memory.satp.ppn:
                satp = memory.satp.other(root_ppn)
                own = VirtualMemory(self._kernel.target, satp.value, self._kernel.image.physical)
                return replace(self._kernel, memory=own)
        return self._kernel


def elsewhere(kernel: Kernel, thread: Thread, most: int) -> list[tuple[int, bytes]]:
    """What the thread reads otherwise than satp would: (virtual address, content), ascending.

    The part of its stack that is in use comes first, then the rest of its process's memory, as far
    as `most` bytes and MAX_PIECES stretches reach. Empty for a thread of the process in satp, or of
    one whose root table is not known. Never fails.
    """
    own = ThreadMemory(kernel).of(thread)
    if own is kernel:
        return []
    before, after = (
        read_page_table(kernel, Root(k.memory.satp, ""), limit=ALL_RANGES).ranges
        for k in (kernel, own)
    )
    moved = [(c.va, c.va + c.size) for c in changes(before, after) if c.kind in ("added", "moved")]
    pieces: list[tuple[int, bytes]] = []
    for start, end in _stack_first(moved[:MAX_PIECES], thread):
        size = min(end - start, most)
        with suppress(MemoryReadError):  # a table that leads out of RAM
            pieces.append((start, own.memory.read(start, size)))
            most -= size
    return sorted((start, data) for start, data in pieces if data)


def _stack_first(stretches: list[tuple[int, int]], thread: Thread) -> Iterator[tuple[int, int]]:
    """The stretches, that of the stack from sp's page on and before the others."""
    sp = None if thread.context is None else thread.context.x[2] & -PAGE_SIZE
    stack = thread.stack
    if sp is None or stack is None or not stack.start <= sp < stack.end:
        yield from stretches
        return
    for start, end in stretches:
        if start < stack.end and sp < end:
            yield max(start, sp), min(end, stack.end)
    for start, end in stretches:
        if end <= stack.start or stack.end <= start:
            yield start, end
        else:
            if start < stack.start:
                yield start, stack.start
            if stack.end < end:
                yield stack.end, end
