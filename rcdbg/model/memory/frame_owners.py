"""Who has each physical frame: a page table, a page of a process, something else, or nobody.

Three accounts are brought together: the allocator's (free or used), the page tables' (a table of
a level, or a page at an address), and that of the frame trackers that the kernel's statics lead
to. A frame that the accounts disagree about is a conflict. That the kernel shows itself all
memory through its linear map makes nobody an owner.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import FrameAllocator, Interval, Problem, Stack
from rcdbg.model.values.containers import arc, base_name, dig
from rcdbg.model.values.reach import Found, Reached, reach
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES, PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.table_listing import Run

MAX_FRAMES = 1 << 20
"""Frames whose owners are noted one by one: 4 GiB."""

MAX_CONFLICTS = 64
MAX_PROBLEMS = 16
_MAX_ROOTS = 256
_CLAIMS_NAMED = 4

Kind = Literal["table", "page", "held"]


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """A root page table, and the process that it belongs to."""

    root_ppn: int
    process: int | None
    """Address of the Process struct; None for a table that only satp knows."""
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
    """Whether a tracker was found, and not only the page table's entry."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Conflict:
    """A frame about which the accounts disagree."""

    frame: int
    kind: Literal["owned twice", "free but owned", "free but mapped", "free but a table"]
    claims: tuple[str, ...]
    """Who claims it, in words."""


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
        return FrameOwners(allocator, image, (), (), (), (), False, allocator.note, tuple(problems))
    reached = _trackers(kernel, managed, problems)
    books = _Books(managed, problems)
    spaces = _read_spaces(kernel, reached, books)
    books.add_trackers(reached.found)
    stacks = _stacks(kernel, reached)
    free = _Intervals(allocator.free)
    holdings = tuple(_holdings(books, free, stacks))
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
    profile = kernel.profile
    within = (profile.process, profile.thread)
    # Even if each frame had two owners, there would be no more trackers than that.
    limit = 2 * managed.frames
    try:
        reached = reach(kernel, profile.frame_tracker, within, limit)
    except DecodeError as error:
        problems.append(error.problem)
        return Reached((), (), (), complete=False)
    problems.extend(reached.problems)
    return reached


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


def _read_spaces(kernel: Kernel, reached: Reached, books: "_Books") -> tuple[AddressSpace, ...]:
    """All roots: those of the processes, then satp's if it is none of them."""
    roots: list[tuple[int, int | None, str, bool | None]] = []
    for value, path in reached.owners:
        if base_name(value.type) != kernel.profile.process or len(roots) >= _MAX_ROOTS:
            continue
        try:
            user = bool(value["is_user"].scalar()) if value.has("is_user") else None
            roots.append((_root_of(value), value.address, path, user))
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


def _root_of(process: Value) -> int:
    """The `root_ppn` somewhere inside a Process."""
    value = dig(process, "root_ppn")
    ppn = value.scalar()
    if not 0 <= ppn < FRAMES:
        raise DecodeError(value.path, f"{ppn:#x} is no frame")
    return ppn


def _stacks(kernel: Kernel, reached: Reached) -> dict[str, list[tuple[Stack, int]]]:
    """The stacks of all threads by the name of their address space, ascending."""
    names = {value.address: path for value, path in reached.owners}
    stacks: dict[str, list[tuple[Stack, int]]] = {}
    for value, _ in reached.owners:
        if base_name(value.type) != kernel.profile.thread:
            continue
        try:
            process = names.get(arc(value["process"]).address)
            stack = Stack(value["stack"]["start"].scalar(), value["stack"]["end"].scalar())
            number = value["id"].scalar()
        except DecodeError:
            continue  # the thread decoder says what is wrong with it
        if process is not None:
            stacks.setdefault(process, []).append((stack, number))
    for found in stacks.values():
        found.sort(key=lambda item: item[0].start)
    return stacks


class _Intervals:
    """Whether a number lies in one of many intervals."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._all = sorted(intervals, key=lambda i: i.start)
        self._starts = [i.start for i in self._all]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number < self._all[place].end


@dataclass(frozen=True, slots=True)
class _Table:
    space: str
    level: int


class _Books:
    """What the page tables and the trackers say about each managed frame."""

    def __init__(self, managed: Interval, problems: list[Problem]) -> None:
        self.managed = managed
        self.problems = problems
        self.left_out = False
        self._noted = 0
        self.tables: dict[int, _Table] = {}
        self.second_tables: dict[int, _Table] = {}
        self.pages: dict[int, tuple[str, int]] = {}
        """Address space and virtual address."""
        self.trackers: dict[int, Found] = {}
        self.more_trackers: dict[int, list[Found]] = {}

    def claimed(self) -> set[int]:
        """All frames that somebody has."""
        return self.tables.keys() | self.pages.keys() | self.trackers.keys()

    def add_trackers(self, found: Iterable[Found]) -> None:
        """Note who tracks what."""
        outside = 0
        start, end = self.managed.start, self.managed.end
        for tracker in found:
            frame = tracker.number
            if not start <= frame < end:
                outside += 1
                if outside == 1:
                    why = f"tracks frame {frame:#x}, which the allocator does not manage"
                    self.problems.append(Problem(tracker.full_path, why))
            elif frame in self.trackers:
                self.more_trackers.setdefault(frame, []).append(tracker)
            else:
                self.trackers[frame] = tracker
        if outside > 1:
            why = f"{outside:,} trackers of frames that the allocator does not manage"
            self.problems.append(Problem("frame trackers", why))

    def add_root(self, kernel: Kernel, root: int, space: str, linear: set[int]) -> tuple[int, int]:
        """Note the tables below a root, and what it maps; returns how many of each there are."""
        tables = pages = 0
        found = listing(kernel, kernel.memory.satp.other(root)).finish()
        for frame, level in {(t.address >> PAGE_SHIFT, t.level): None for t in found.tables}:
            if frame not in self.managed_range:
                continue
            tables += 1
            if frame in self.tables:
                self.second_tables.setdefault(frame, _Table(space, level))
            else:
                self.tables[frame] = _Table(space, level)
        for run in found:
            if run.va - run.pa not in linear:
                pages += self._add_pages(run, space)
        return tables, pages

    @property
    def managed_range(self) -> range:
        """The managed frames."""
        return range(self.managed.start, self.managed.end)

    def _add_pages(self, run: Run, space: str) -> int:
        first = run.pa >> PAGE_SHIFT
        start = max(first, self.managed.start)
        end = min(first + (run.size >> PAGE_SHIFT), self.managed.end)
        if end <= start:
            return 0
        self._noted += end - start
        if self._noted > MAX_FRAMES:
            if not self.left_out:
                why = f"more than {MAX_FRAMES} pages are mapped: the rest is left out"
                self.problems.append(Problem(space, why))
            self.left_out = True
            return 0
        va = run.va + (start - first << PAGE_SHIFT)
        for frame in range(start, end):
            self.pages.setdefault(frame, (space, va))
            va += PAGE_SIZE
        return end - start

    def conflicts(self, free: _Intervals) -> Iterator[Conflict]:
        """Frames with two owners, and free frames with any; the first MAX_CONFLICTS."""
        twice = self.more_trackers.keys() | self.second_tables.keys()
        freed = {frame for frame in self.claimed() if frame in free}
        every = sorted(twice | freed)
        for frame in every[:MAX_CONFLICTS]:
            claims = tuple(self._claims(frame))
            if frame in freed and frame in self.trackers:
                yield Conflict(frame, "free but owned", claims)
            elif frame in freed and frame in self.tables:
                yield Conflict(frame, "free but a table", claims)
            elif frame in freed:
                yield Conflict(frame, "free but mapped", claims)
            if frame in twice:
                yield Conflict(frame, "owned twice", claims)
        if len(every) > MAX_CONFLICTS:
            why = f"{len(every) - MAX_CONFLICTS:,} frames more have conflicting owners"
            self.problems.append(Problem("frames", why))

    def _claims(self, frame: int) -> Iterator[str]:
        for tables in (self.tables, self.second_tables):
            if frame in tables:
                yield f"level {tables[frame].level} table of {tables[frame].space}"
        if frame in self.pages:
            space, va = self.pages[frame]
            yield f"mapped at {va:#x} of {space}"
        trackers = [self.trackers[frame]] if frame in self.trackers else []
        trackers += self.more_trackers.get(frame, [])
        yield from (tracker.full_path for tracker in trackers[:_CLAIMS_NAMED])
        if len(trackers) > _CLAIMS_NAMED:
            yield f"{len(trackers) - _CLAIMS_NAMED:,} more"


_Label = tuple[Kind, str | None, int | None, int | None, bool]
"""What neighbours must have in common: kind; space or path; level, or how far the virtual address
is from the physical one; thread; whether it is tracked."""


def _holdings(
    books: _Books, free: _Intervals, stacks: dict[str, list[tuple[Stack, int]]]
) -> Iterator[Holding]:
    """The used frames with an owner, equal neighbours joined."""

    def label(frame: int) -> _Label:
        tracker = books.trackers.get(frame)
        if (table := books.tables.get(frame)) is not None:
            return "table", table.space, table.level, None, tracker is not None
        if (page := books.pages.get(frame)) is not None:
            space, va = page
            thread = _thread_at(stacks.get(space, []), va)
            return "page", space, va - (frame << PAGE_SHIFT), thread, tracker is not None
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
