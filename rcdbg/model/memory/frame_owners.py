"""Who has each physical frame: a page table, a page of a process, something else, or nobody.

Three accounts are brought together: the allocator's (free or used), the page tables' (a table of
a level, or a page at an address), and that of the frame trackers that the kernel's statics lead
to. A frame that the accounts disagree about is a conflict. That the kernel shows itself all
memory through its linear map makes nobody an owner.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rcdbg.kernels.description import UNKNOWN, Names
from rcdbg.model.kernel import NOT_DESCRIBED, Kernel
from rcdbg.model.memory.claims import Claims, Conflict, Intervals
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.space import own_spaces, root_in, root_of_process
from rcdbg.model.process_list import listed_processes
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import FrameAllocator, Interval, Problem, Stack
from rcdbg.model.values.containers import base_name
from rcdbg.model.values.parts import has, number, part
from rcdbg.model.values.pointers import pages_pointed_to
from rcdbg.model.values.reach import Found, Reached, reach
from rcdbg.model.values.value import DecodeError
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE

MAX_PROBLEMS = 16
_MAX_ROOTS = 256
_NOT_MANAGED = "which frames the kernel manages is not known: so are their owners"

Kind = Literal["table", "page", "held"]


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """A root page table, and the process that it belongs to."""

    root_ppn: int
    process: int | None
    """Address of the Process struct; None for one of no process, as that which only satp knows."""
    name: str
    """How one gets to the process from the kernel's statics, or "satp"."""
    is_user: bool | None
    active: bool
    """Whether it is the one in satp."""
    tables: int
    """Frames of managed memory that its tables take."""
    pages: int
    """Frames of managed memory that it maps outside of the linear map."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Frames that follow each other and have the same owner."""

    start: int
    end: int
    """Exclusive."""
    kind: Kind
    space: str | None
    """The name of the address space, for tables and pages."""
    level: int | None = None
    """Of tables: 2 is the root."""
    va: int | None = None
    """Where the first of the pages is mapped; the others follow it."""
    thread: int | None = None
    """The thread whose stack these pages are."""
    path: str | None = None
    """How one gets from the kernel's statics to the tracker of the first frame."""
    tracked: bool = True
    """Whether a tracker was found, and not only the page table's entry; true where there are none
    in this family of kernels."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class FrameOwners:
    """All used frames by owner."""

    allocator: FrameAllocator
    image: Interval | None
    """The frames that the kernel's own image lies in."""
    spaces: tuple[AddressSpace, ...]
    holdings: tuple[Holding, ...]
    """Ascending by frame."""
    nobody: tuple[Interval, ...]
    """Used frames without an owner: leaked, or held by a local variable."""
    conflicts: tuple[Conflict, ...]
    complete: bool
    """Whether everything that could have been an owner was read: else `nobody` may be too much."""
    note: str = ""
    problems: tuple[Problem, ...] = ()

    def frames(self, kind: Kind) -> int:
        """How many frames have owners of that kind."""
        return sum(h.frames for h in self.holdings if h.kind == kind)

    @property
    def leaked(self) -> int:
        """How many frames have no owner."""
        return sum(i.frames for i in self.nobody)


@once_a_moment
def read_frame_owners(kernel: Kernel) -> FrameOwners:
    """The owners of all used frames; never fails."""
    allocator = read_frames(kernel)
    image = _image_frames(kernel)
    managed = allocator.managed
    problems = list(allocator.problems)
    if managed is None:
        note = allocator.note or ("" if problems else _NOT_MANAGED)
        return FrameOwners(allocator, image, (), (), (), (), False, note, tuple(problems))
    reached = _trackers(kernel, managed, problems)
    books = Claims(managed, problems)
    spaces = _read_spaces(kernel, reached, books)
    stacks = _stacks(kernel, reached)
    free = Intervals(allocator.free)
    if _has_trackers(kernel):
        books.add_trackers(reached.found)
    else:
        books.add_trackers(_not_claimed(books, reached, free))
    holdings = tuple(_holdings(books, free, stacks, _has_trackers(kernel)))
    nobody = tuple(_unclaimed(managed, allocator.free, books.claimed()))
    conflicts = tuple(books.conflicts(free))
    return FrameOwners(
        allocator,
        image,
        spaces,
        holdings,
        nobody,
        conflicts,
        reached.complete and not books.left_out and not allocator.problems,
        allocator.note,
        tuple(problems[:MAX_PROBLEMS]),
    )


def _trackers(kernel: Kernel, managed: Interval, problems: list[Problem]) -> Reached:
    names = kernel.description
    within = Names((*names.process.type, *names.thread.type))
    if not names.frame_tracker.type:
        if kernel.description.family == UNKNOWN.family:
            problems.append(Problem("frame trackers", NOT_DESCRIBED))
            return Reached((), (), (), complete=False)
        reached = pages_pointed_to(kernel)
        problems.extend(reached.problems)
        return reached
    # Even if each frame had two owners, there would be no more trackers than that.
    limit = 2 * managed.frames
    try:
        reached = reach(kernel, names.frame_tracker.type, within, limit)
    except DecodeError as error:
        problems.append(error.problem)
        return Reached((), (), (), complete=False)
    problems.extend(reached.problems)
    return reached


def _has_trackers(kernel: Kernel) -> bool:
    """Whether frames have owners in this family, and not only pointers to them."""
    names = kernel.description
    return bool(names.frame_tracker.type) or names.family == UNKNOWN.family


def _not_claimed(books: Claims, reached: Reached, free: Intervals) -> Iterator[Found]:
    """Pointers to frames that are in use and nobody has claimed, the first to each.

    A pointer owns nothing: two of them, or one to a page that is free, are no conflict.
    """
    first: dict[int, Found] = {}
    claimed = books.claimed()
    for found in reached.found:
        if found.number in books.managed_range and found.number not in free:
            first.setdefault(found.number, found)
    yield from (found for frame, found in first.items() if frame not in claimed)


def _image_frames(kernel: Kernel) -> Interval | None:
    """The frames between the kernel's first and last loaded byte."""
    ends = []
    for section in kernel.image.sections:
        if section.size and "a" in section.flags:
            first = kernel.image.physical(section.address)
            if first is not None:
                ends += [first, first + section.size]
    if not ends:
        return None
    return Interval(min(ends) >> PAGE_SHIFT, -(-max(ends) // PAGE_SIZE))


def _linear_offsets(kernel: Kernel) -> set[int]:
    """What lies between virtual and physical addresses in linear maps: the image's, and none."""
    offsets = {0}
    for section in kernel.image.sections:
        if section.size and "a" in section.flags:
            first = kernel.image.physical(section.address)
            if first is not None:
                offsets.add(section.address - first)
    return offsets


def _read_spaces(kernel: Kernel, reached: Reached, books: Claims) -> tuple[AddressSpace, ...]:
    """All roots: those of the processes, then satp's if it is none of them."""
    roots: list[tuple[int, int | None, str, bool | None]] = []
    names = kernel.description.process
    for value, path in reached.owners:
        if base_name(value.type) not in names.type or len(roots) >= _MAX_ROOTS:
            continue
        try:
            user = bool(number(value, names.is_user)) if has(value, names.is_user) else None
            roots.append((root_of_process(kernel, value), value.address, path, user))
        except DecodeError as error:
            books.problems.append(error.problem)
    try:
        for value in own_spaces(kernel):
            roots.append((root_in(kernel, value), None, value.path, False))
    except DecodeError as error:
        books.problems.append(error.problem)
    known = {process for _, process, *_ in roots}
    listed = listed_processes(kernel).values if names.list else ()
    for value in listed[: _MAX_ROOTS - min(len(roots), _MAX_ROOTS)]:
        if value.address not in known:
            try:
                root = root_of_process(kernel, value)
                roots.append((root, value.address, value.path, names.all_user or None))
            except DecodeError as error:
                books.problems.append(error.problem)
    active = kernel.memory.satp.root
    if active is not None and all(root != active for root, *_ in roots):
        roots.append((active, None, "satp", None))
    linear = _linear_offsets(kernel)
    spaces = []
    for root, process, name, user in roots:
        tables, pages = books.add_root(kernel, root, name, linear)
        spaces.append(AddressSpace(root, process, name, user, root == active, tables, pages))
    return tuple(spaces)


def _stacks(kernel: Kernel, reached: Reached) -> dict[str, list[tuple[Stack, int]]]:
    """The stacks of all threads by the name of their address space, ascending."""
    spaces = {value.address: path for value, path in reached.owners}
    names = kernel.description.thread
    stacks: dict[str, list[tuple[Stack, int]]] = {}
    for value, _ in reached.owners:
        if base_name(value.type) not in names.type:
            continue
        try:
            process = part(value, names.process, kernel.description.process.type)
            stack = Stack(number(value, names.stack_start), number(value, names.stack_end))
            own = number(value, names.id)
        except DecodeError:
            continue  # the thread decoder says what is wrong with it
        if process.address in spaces:
            stacks.setdefault(spaces[process.address], []).append((stack, own))
    for found in stacks.values():
        found.sort(key=lambda item: item[0].start)
    return stacks


_Label = tuple[Kind, str | None, int | None, int | None, bool]
"""What neighbours must have in common: kind; space or path; level, or how far the virtual address
is from the physical one; thread; whether it is tracked."""


def _holdings(
    books: Claims,
    free: Intervals,
    stacks: dict[str, list[tuple[Stack, int]]],
    has_trackers: bool,
) -> Iterator[Holding]:
    """The used frames with an owner, equal neighbours joined."""

    def label(frame: int) -> _Label:
        tracker = books.trackers.get(frame)
        is_tracked = tracker is not None or not has_trackers
        if (table := books.tables.get(frame)) is not None:
            return "table", table.space, table.level, None, is_tracked
        if (page := books.pages.get(frame)) is not None:
            space, va = page
            thread = _thread_at(stacks.get(space, []), va)
            return "page", space, va - (frame << PAGE_SHIFT), thread, is_tracked
        return "held", tracker.path if tracker else None, None, None, True

    def key(item: tuple[int, int]) -> tuple[int, _Label]:
        # Frames that follow each other are all as far from their position in the list.
        position, frame = item
        return frame - position, label(frame)

    used = (frame for frame in sorted(books.claimed()) if frame not in free)
    for (_, common), group in groupby(enumerate(used), key):
        members = [frame for _, frame in group]
        first, end = members[0], members[-1] + 1
        kind, space, number, thread, tracked = common
        tracker = books.trackers.get(first)
        path = tracker.full_path if tracker else None
        if kind == "page":
            va = (number or 0) + (first << PAGE_SHIFT)
            yield Holding(first, end, kind, space, None, va, thread, path, tracked=tracked)
        elif kind == "table":
            yield Holding(first, end, kind, space, number, path=path, tracked=tracked)
        else:
            yield Holding(first, end, kind, None, path=path)


def _thread_at(stacks: list[tuple[Stack, int]], va: int) -> int | None:
    place = bisect_right(stacks, va, key=lambda item: item[0].start) - 1
    if place < 0 or va >= stacks[place][0].end:
        return None
    return stacks[place][1]


def _unclaimed(
    managed: Interval, free: tuple[Interval, ...], claimed: set[int]
) -> Iterator[Interval]:
    """The managed frames that are neither free nor claimed."""
    taken = [*free, *(Interval(frame, frame + 1) for frame in claimed)]
    at = managed.start
    # A corrupt allocator may manage exabytes: this goes by what is taken, not by frames.
    for item in sorted(taken, key=lambda i: i.start):
        if item.start > at:
            yield Interval(at, min(item.start, managed.end))
        at = max(at, item.end)
        if at >= managed.end:
            return
    if at < managed.end:
        yield Interval(at, managed.end)
