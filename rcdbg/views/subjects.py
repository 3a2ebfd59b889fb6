"""What can be asked for by name: one table for the CLI, the gdb commands and their completion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from rcdbg.model import serial, serial_memory
from rcdbg.model.frame_owners import read_frame_owners
from rcdbg.model.frames import read_frames
from rcdbg.model.heap import read_heap
from rcdbg.model.kernel import Kernel
from rcdbg.model.page_table import read_page_table, translate
from rcdbg.model.read import read_state
from rcdbg.model.threads import read_processor
from rcdbg.model.trap import read_hart, read_trap
from rcdbg.views import context, csr, frame_map, frames, heap, page_table, state, threads, walk


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
        read_processor,
        threads.view,
        "threads",
        serial.threads,
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
    Subject("all", "everything", read_state, state.view, "state", serial.state),
)


def subject(name: str) -> Subject:
    """The subject of that name; raises KeyError."""
    return {s.name: s for s in SUBJECTS}[name]


def walk_answer(kernel: Kernel, va: int) -> Answer:
    """The way of a virtual address through the page table in satp."""
    found = translate(kernel, va)
    return Answer(walk.view(found), serial.document("walk", serial.translation(found)))
