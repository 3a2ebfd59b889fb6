"""What can be asked for by name: one table for the CLI, the gdb commands and their completion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from rcdbg.model import serial
from rcdbg.model.call_stacks import (
    read_call_stacks,
    read_hart_stack,
    read_thread,
    read_threads,
)
from rcdbg.model.frames import read_frames
from rcdbg.model.kernel import Kernel
from rcdbg.model.page_table import read_page_table, translate
from rcdbg.model.read import read_state
from rcdbg.model.trap import read_hart, read_trap
from rcdbg.views import backtrace, context, csr, frames, page_table, state, threads, walk


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
    Subject("all", "everything", read_state, state.view, "state", serial.state),
)


def subject(name: str) -> Subject:
    """The subject of that name; raises KeyError."""
    return {s.name: s for s in SUBJECTS}[name]


def walk_answer(kernel: Kernel, va: int) -> Answer:
    """The way of a virtual address through the page table in satp."""
    found = translate(kernel, va)
    return Answer(walk.view(found), serial.document("walk", serial.translation(found)))


def thread_answer(kernel: Kernel, number: int) -> Answer:
    """One thread in full; raises UsageError if no thread has that id."""
    found = read_thread(kernel, number)
    return Answer(backtrace.view_thread(found), serial.document("thread", serial.call_stack(found)))
