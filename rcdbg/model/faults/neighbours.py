"""What lies at an address or nearest to it: stacks, segments, sections, devices, mapped memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.model.faults.moment import FaultMoment
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.memory_set import read_memory_sets
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.memory.space import kernel_memory
from rcdbg.model.programs.code import program_in
from rcdbg.model.programs.explained import space_of_thread, with_programs
from rcdbg.model.state import Stack, Thread
from rcdbg.model.threads.processor import read_processor

FAR = 1 << 20
"""Bytes beyond which something is not near any more: 1 MiB."""
CLOSE = 1 << 16
"""Bytes within which a stack is told of even where the address is in something else."""
_KINDS = ("stack", "segment", "section", "mapped")

Side = Literal["in", "below", "above"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stretch of an address space, and where an address lies by it."""

    name: str
    """In words: "the kernel stack of thread 3"."""
    kind: Literal["stack", "segment", "section", "mapped"]
    start: int
    end: int
    side: Side
    """Where the address is: in it, below its start, or above its end."""
    distance: int
    """Bytes from its start or end; from its start where the address is in it."""
    thread: int | None = None
    """The id of the thread whose stack it is."""
    guarded: bool | None = None
    writable: bool = False
    of_program: bool = False
    """Whether it is of a program's ELF, and not of the kernel's."""
    flags: str = ""
    """Of a section: "wax" as far as its ELF has them."""

    @property
    def words(self) -> str:
        """`24 bytes below the stack of thread 3 (0x1010000..0x1090000)`."""
        span = f"{self.name} ({self.start:#x}..{self.end:#x})"
        if self.side == "in":
            return f"in {span}"
        where = "below" if self.side == "below" else "above the end of"
        if not self.distance:
            return f"right {where} {span}"
        unit = "byte" if self.distance == 1 else "bytes"
        return f"{self.distance:,} {unit} {where} {span}"


def _placed(
    address: int, name: str, kind: Literal["stack", "segment", "section", "mapped"],
    start: int, end: int, thread: int | None = None, guarded: bool | None = None,
    writable: bool = False,
) -> Neighbour:  # fmt: skip
    if address < start:
        side: Side = "below"
        distance = start - address
    elif address >= end:
        side, distance = "above", address - end
    else:
        side, distance = "in", address - start
    return Neighbour(name, kind, start, end, side, distance, thread, guarded, writable)


def neighbours(kernel: Kernel, moment: FaultMoment, address: int) -> tuple[Neighbour, ...]:
    """What is known of the places at and around an address in the address space of a trap.

    Those that it lies in come first, then the nearest ones; never fails.
    """
    found = [*stacks(kernel, moment, address)]
    found += _segments(kernel, moment, address)
    found += _sections(kernel, moment, address)
    if not any(one.side == "in" for one in found):
        found += _mapped(kernel, moment, address)
    return tuple(_worth_telling(found))


def _worth_telling(found: list[Neighbour]) -> Iterator[Neighbour]:
    """What the address is in, and close stacks; or else the nearest of each kind on each side."""
    found.sort(key=lambda one: (one.side != "in", one.distance, _KINDS.index(one.kind)))
    inside = any(one.side == "in" for one in found)
    told = set()
    for one in found:
        if one.side == "in":
            yield one
        elif one.distance < (CLOSE if inside else FAR) and (not inside or one.kind == "stack"):
            if (one.kind, one.side) not in told:
                yield one
            told.add((one.kind, one.side))


def stacks(kernel: Kernel, moment: FaultMoment, address: int) -> Iterator[Neighbour]:
    """The stacks that are in that address space, the nearest ones and all others."""
    processor = with_programs(kernel, read_processor(kernel))
    own = processor.current
    for thread in processor.threads:
        for what, stack in _stacks_of(kernel, moment, thread):
            # Stacks of other address spaces at the same addresses are another thread's.
            if not 0 <= stack.start < stack.end <= 1 << 64:
                continue
            if own is not None and thread is not own and _clashes(own, stack):
                continue
            yield _placed(
                address, f"the {what} of {called(thread)}", "stack", stack.start, stack.end,
                thread.id, stack.guarded, writable=True,
            )  # fmt: skip


def _clashes(own: Thread, stack: Stack) -> bool:
    mine = (own.stack, own.user_stack, own.kernel_stack)
    return any(one is not None and one.start < stack.end and stack.start < one.end for one in mine)


def _stacks_of(kernel: Kernel, moment: FaultMoment, thread: Thread) -> Iterable[tuple[str, Stack]]:
    in_its_space = space_of_thread(kernel, thread).root == moment.satp.root
    if thread.stack is not None and in_its_space:
        yield "stack", thread.stack
    if thread.user_stack is not None and in_its_space:
        yield "user stack", thread.user_stack
    if thread.kernel_stack is not None and moment.privilege != "U":
        yield "kernel stack", thread.kernel_stack


def called(thread: Thread) -> str:
    """`thread 3`, `thread 0 of process 2`, with its name where it has one."""
    words = f"thread {thread.id}" if thread.id is not None else f"the thread at {thread.address:#x}"
    if thread.process_id is not None and thread.process_id != thread.id:
        words += f" of process {thread.process_id}"
    return f"{words} ({thread.name})" if thread.name else words


def _segments(kernel: Kernel, moment: FaultMoment, address: int) -> Iterator[Neighbour]:
    roots = {moment.satp.root}
    if moment.privilege != "U":
        roots.add(kernel_memory(kernel).satp.root)
    for space in read_memory_sets(kernel).sets:
        if space.root_ppn is None or space.root_ppn not in roots:
            continue
        for segment in space.segments:
            if 0 <= segment.start < segment.end <= 1 << 64:
                words = ("the", segment.rights, "segment", segment.map_type, "of", space.name)
                name = " ".join(word for word in words if word)
                yield _placed(
                    address, name, "segment", segment.start, segment.end,
                    writable="w" in segment.rights,
                )  # fmt: skip


def _sections(kernel: Kernel, moment: FaultMoment, address: int) -> Iterator[Neighbour]:
    image, whose = kernel.image, "the kernel"
    if moment.privilege == "U":
        program = program_in(kernel, moment.satp)
        if program is not None and program.image is not None:
            image, whose = program.image, program.name
    for section in image.sections:
        if section.address and section.size and "a" in section.flags:
            end = section.address + section.size
            found = _placed(address, f"{section.name} of {whose}", "section", section.address, end)
            yield replace(found, of_program=image is not kernel.image, flags=section.flags)


def _mapped(kernel: Kernel, moment: FaultMoment, address: int) -> Iterator[Neighbour]:
    """The mapped ranges on both sides of an address."""
    if not moment.satp.translates:
        return
    below = above = None
    for item in read_page_table(kernel, Root(moment.satp, "")).ranges:
        if item.va + item.size <= address:
            below = item
        elif item.va > address:
            above = item
            break
    for one in (below, above):
        if one is not None:
            name = f"{one.rights} memory"
            yield _placed(
                address, name, "mapped", one.va, one.va + one.size, writable="w" in one.rights
            )
