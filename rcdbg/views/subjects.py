"""What can be asked for by name: one table for the CLI, the gdb commands and their completion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from rcdbg.errors import UsageError
from rcdbg.model.everything import read_everything
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory import mappings, table_aliases, table_diff, table_lint
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.heap import read_heap
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.memory.page_table import Root, read_page_table, translate
from rcdbg.model.serial import memory as serial_memory
from rcdbg.model.serial import state as serial
from rcdbg.model.serial import tables as serial_tables
from rcdbg.model.threads.call_stacks import (
    read_call_stacks,
    read_hart_stack,
    read_thread,
    read_threads,
)
from rcdbg.model.threads.trap import read_hart, read_trap
from rcdbg.riscv.csr import SPECS, decode
from rcdbg.views import everything
from rcdbg.views.hart import context, csr
from rcdbg.views.memory import frame_map, frames, heap, memory_set, page_table, walk
from rcdbg.views.memory import mappings as tables
from rcdbg.views.threads import backtrace, threads


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded part of the kernel, for people and for programs."""

    view: RenderableType
    document: serial.Json


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of the kernel that can be shown."""

    name: str
    about: str
    read: Callable[[Kernel], Any]
    view: Callable[[Any], RenderableType]
    key: str
    json: Callable[[Any], serial.Json]
    needs_types: bool = True
    """Whether it takes debug info to decode anything of it."""

    def answer(self, kernel: Kernel) -> Answer:
        """This part of the kernel as it is at this moment; nonsense in memory becomes Problems."""
        found = self.read(kernel)
        return Answer(self.view(found), serial.document(self.key, self.json(found)))


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "context",
        "the Context of the trap that is being handled",
        read_trap,
        context.view,
        "trap",
        serial.trap,
    ),
    Subject(
        "csr",
        "the supervisor CSRs, with their fields in words",
        read_hart,
        csr.view,
        "csrs",
        serial.csrs,
        needs_types=False,
    ),
    Subject(
        "pagetable",
        "the page table in satp, equal neighbours merged",
        read_page_table,
        page_table.view,
        "page_table",
        serial.page_table,
        needs_types=False,
    ),
    Subject(
        "frames",
        "the physical frames: free intervals, used, total",
        read_frames,
        frames.view,
        "frames",
        serial.frames,
    ),
    Subject(
        "threads",
        "the threads: running, ready in their order, sleeping",
        read_threads,
        threads.view,
        "threads",
        serial.threads,
    ),
    Subject(
        "memoryset",
        "the address spaces: each segment beside what the page table says",
        read_memory_sets,
        memory_set.view,
        "memory_sets",
        serial_tables.memory_sets,
    ),
    Subject(
        "owners",
        "who has each physical frame: a page table, a page, something else, or nobody",
        read_frame_owners,
        frame_map.view,
        "owners",
        serial_memory.owners,
    ),
    Subject(
        "heap",
        "the kernel heap: free blocks by order, requested against allocated",
        read_heap,
        heap.view,
        "heap",
        serial_memory.heap,
    ),
    Subject(
        "backtrace",
        "the call stack, through the trap into the code that it interrupted",
        read_hart_stack,
        backtrace.view_hart,
        "backtrace",
        serial.hart_stack,
        needs_types=False,
    ),
    Subject(
        "backtraces",
        "the threads, each with its call stack",
        read_call_stacks,
        backtrace.view_all,
        "threads",
        serial.call_stacks,
    ),
    Subject(
        "all",
        "everything",
        read_everything,
        everything.view,
        "state",
        serial_memory.everything,
    ),
)


def subject(name: str) -> Subject:
    """The subject of that name; raises KeyError."""
    return {s.name: s for s in SUBJECTS}[name]


def walk_answer(kernel: Kernel, va: int, root: Root | None = None) -> Answer:
    """The way of a virtual address through the page table in satp, or the one at `root`."""
    found = translate(kernel, va, root)
    return Answer(walk.view(found), serial.document("walk", serial.translation(found)))


def filtered_answer(kernel: Kernel, wanted: mappings.Filter, root: Root | None) -> Answer:
    """The ranges of a page table that are wanted."""
    found = mappings.filtered(kernel, wanted, root)
    return Answer(page_table.view(found), serial.document("page_table", serial.page_table(found)))


def reverse_answer(kernel: Kernel, physical: int, root: Root | None) -> Answer:
    """The virtual addresses of a physical one."""
    found = mappings.virtuals(kernel, physical, root)
    return Answer(tables.reverse(found), serial.document("reverse", serial_tables.reverse(found)))


def aliases_answer(kernel: Kernel, root: Root | None) -> Answer:
    """What a page table maps more than once."""
    found = table_aliases.read_aliases(kernel, root)
    return Answer(tables.aliases(found), serial.document("aliases", serial_tables.aliases(found)))


def lint_answer(kernel: Kernel, root: Root | None) -> Answer:
    """What is odd about a page table."""
    found = table_lint.lint(kernel, root)
    return Answer(tables.lint(found), serial.document("lint", serial_tables.lint(found)))


def diff_answer(kernel: Kernel, before: Root | None, after: Root | None) -> Answer:
    """Two page tables compared."""
    found = table_diff.diff_roots(kernel, before, after)
    return Answer(tables.diff(found), serial.document("diff", serial_tables.diff(found)))


def moments_answer(
    before: tuple[Kernel, Root | None], after: tuple[Kernel, Root | None], file: str
) -> Answer:
    """The page tables of two moments compared, the second one out of the snapshot `file`."""
    found = table_diff.diff_moments(before, after, file)
    return Answer(tables.diff(found), serial.document("diff", serial_tables.diff(found)))


def explain_answer(kernel: Kernel, name: str) -> Answer:
    """One CSR with every field explained; raises UsageError for an unknown name."""
    if name not in SPECS:
        raise UsageError(f"{name!r} is no CSR that rcdbg knows: {', '.join(SPECS)}")
    hart = read_hart(kernel)
    found = hart.csr(name)
    if name == "privilege" and hart.privilege is not None:
        found = decode(name, hart.privilege)
    if found is not None:
        return Answer(csr.explain(found), serial.document("csr", serial_tables.explained(found)))
    why = f"the target does not give {name}"
    if name == "time":
        why += (
            ": QEMU's gdb stub has no such register, and the timer behind it was not found in "
            "QEMU's monitor, or not kept in the snapshot"
        )
    return Answer(
        csr.explain_absent(name, why),
        serial.document("csr", {"name": name, "value": None, "note": why}),
    )


def thread_answer(kernel: Kernel, number: int) -> Answer:
    """One thread in full; raises UsageError if no thread has that id."""
    found = read_thread(kernel, number)
    return Answer(backtrace.view_thread(found), serial.document("thread", serial.call_stack(found)))
