"""Who claims each frame: page tables, mappings, and the trackers that statics lead to."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.state import Interval, Problem
from rcdbg.model.values.reach import Found
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.table_listing import LeafRun

MAX_FRAMES = 1 << 20
"""Frames whose owners are noted one by one: 4 GiB."""

MAX_CONFLICTS = 64
_CLAIMS_NAMED = 4


@dataclass(frozen=True, slots=True)
class Conflict:
    """A frame about which the accounts disagree."""

    frame: int
    kind: Literal["owned twice", "free but owned", "free but mapped", "free but a table"]
    claims: tuple[str, ...]
    """Who claims it, in words."""
    spaces: tuple[str, ...] = ()
    """The address spaces that have it, as a page or as a table."""


class Intervals:
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


class Claims:
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

    def _add_pages(self, run: LeafRun, space: str) -> int:
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

    def conflicts(self, free: Intervals) -> Iterator[Conflict]:
        """Frames with two owners, and free frames with any; the first MAX_CONFLICTS."""
        twice = self.more_trackers.keys() | self.second_tables.keys()
        freed = {frame for frame in self.claimed() if frame in free}
        every = sorted(twice | freed)
        for frame in every[:MAX_CONFLICTS]:
            claims, spaces = tuple(self._claims(frame)), tuple(self._spaces(frame))
            if frame in freed and frame in self.trackers:
                yield Conflict(frame, "free but owned", claims, spaces)
            elif frame in freed and frame in self.tables:
                yield Conflict(frame, "free but a table", claims, spaces)
            elif frame in freed:
                yield Conflict(frame, "free but mapped", claims, spaces)
            if frame in twice:
                yield Conflict(frame, "owned twice", claims, spaces)
        if len(every) > MAX_CONFLICTS:
            why = f"{len(every) - MAX_CONFLICTS:,} frames more have conflicting owners"
            self.problems.append(Problem("frames", why))

    def _spaces(self, frame: int) -> Iterator[str]:
        for tables in (self.tables, self.second_tables):
            if frame in tables:
                yield tables[frame].space
        if frame in self.pages:
            yield self.pages[frame][0]

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
