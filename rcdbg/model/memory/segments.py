"""Segments: what the books of an address space say, and where its page table says otherwise."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rcdbg.model.kernel import Kernel
from rcdbg.model.state import PAGE_SIZE, MappedRange, Problem
from rcdbg.riscv.pages import PAGE_SHIFT

MAX_DIFFERENCES = 16
"""Differences of one segment that are listed: neighbouring pages count as one."""

MAX_UNEXPLAINED = 64

MapKind = Literal["linear", "identical", "framed", "other"]
"""At the kernel's offset, at none, with frames of its own, or otherwise."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Pages for which the segment and the page table do not say the same."""

    kind: str
    """unmapped, rights, frame, page-size, overlap, range, or not-owned (a framed page whose frame
    the mapping does not own)."""
    va: int
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an address space as the kernel's books have it."""

    start: int
    end: int
    map_type: str
    """What the kernel calls the way that it is mapped."""
    rights: str
    """"rwxu", `-` where clear."""
    kind: MapKind = "other"
    differences: tuple[Difference, ...] = ()
    more: bool = False
    """Whether there are more differences than are listed."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


def linear_offset(
    kernel: Kernel, segments: Iterable[Segment], ranges: Sequence[MappedRange]
) -> int | None:
    """What a Linear segment's virtual addresses have more than the physical ones.

    The image knows where its own sections were loaded; else the first mapped page of a Linear
    segment decides, and the others are measured by it.
    """
    for section in kernel.image.sections:
        if section.address and (loaded := kernel.image.physical(section.address)) is not None:
            return section.address - loaded
    for segment in segments:
        if segment.kind == "linear":
            for item in _touching(ranges, segment.start, segment.start + 1):
                return item.va - item.pa
    return None


def _floor(address: int) -> int:
    return address & ~(PAGE_SIZE - 1)


def _ceil(address: int) -> int:
    return _floor(address + PAGE_SIZE - 1)


def _touching(ranges: Sequence[MappedRange], start: int, end: int) -> Iterator[MappedRange]:
    """The ranges that have something between start and end."""
    place = max(bisect_right(ranges, start, key=lambda r: r.va) - 1, 0)
    for item in ranges[place:]:
        if item.va >= end:
            return
        if item.va + item.size > start:
            yield item


class _Differences:
    """Collects differences, neighbouring ones of one kind as one, MAX_DIFFERENCES at the most."""

    def __init__(self) -> None:
        self.found: list[Difference] = []
        self.more = False

    def add(self, kind: str, va: int, size: int, why: str) -> None:
        last = self.found[-1] if self.found else None
        if last and (last.kind, last.why, last.va + last.size) == (kind, why, va):
            self.found[-1] = Difference(kind, last.va, last.size + size, why)
        elif len(self.found) < MAX_DIFFERENCES:
            self.found.append(Difference(kind, va, size, why))
        else:
            self.more = True


def compare(
    segments: Sequence[Segment],
    ranges: Sequence[MappedRange],
    pairs: dict[int, int] | None,
    offset: int | None,
) -> tuple[Segment, ...]:
    """The segments with their differences."""
    order = sorted(range(len(segments)), key=lambda i: segments[i].start)
    overlaps: dict[int, Segment] = {}
    reach: Segment | None = None
    for number in order:
        segment = segments[number]
        if reach is not None and _floor(segment.start) < _ceil(reach.end):
            overlaps[number] = reach
        if reach is None or segment.end > reach.end:
            reach = segment
    result = []
    for number, segment in enumerate(segments):
        found = _Differences()
        if not 0 <= segment.start < segment.end <= 1 << 64:
            found.add("range", segment.start, 0, "the range is empty or runs backwards")
        else:
            if other := overlaps.get(number):
                size = min(_ceil(segment.end), _ceil(other.end)) - _floor(segment.start)
                why = f"overlaps with the segment {other.start:#x}..{other.end:#x}"
                found.add("overlap", _floor(segment.start), size, why)
            _compare_one(segment, ranges, pairs, offset, found)
        result.append(replace(segment, differences=tuple(found.found), more=found.more))
    return tuple(result)


def _compare_one(
    segment: Segment,
    ranges: Sequence[MappedRange],
    pairs: dict[int, int] | None,
    offset: int | None,
    found: _Differences,
) -> None:
    at, end = _floor(segment.start), _ceil(segment.end)
    for item in _touching(ranges, at, end):
        if found.more:
            return
        if item.va > at:
            found.add("unmapped", at, item.va - at, "the page table maps nothing there")
        at = max(at, item.va)
        until = min(end, item.va + item.size)
        size = until - at
        if segment.rights and item.rights[:4] != segment.rights:
            why = f"the page table gives {item.rights[:4]}, the segment says {segment.rights}"
            found.add("rights", at, size, why)
        wanted = {"linear": offset, "identical": 0}.get(segment.kind)
        if wanted is not None and item.va - item.pa != wanted:
            why = f"leads {item.va - item.pa:#x} below itself, a linear segment {wanted:#x}"
            found.add("frame", at, size, why)
        if segment.kind == "framed" and pairs is not None:
            _compare_frames(item, at, until, pairs, found)
        at = until
    if at < end:
        found.add("unmapped", at, end - at, "the page table maps nothing there")


def _compare_frames(
    item: MappedRange, start: int, end: int, pairs: dict[int, int], found: _Differences
) -> None:
    for va in range(start, end, PAGE_SIZE):
        if found.more:
            return
        frame = item.pa + va - item.va >> PAGE_SHIFT
        owned = pairs.get(va)
        if owned is None:
            why = "the mapping owns no frame for it"
            found.add("not-owned", va, PAGE_SIZE, why)
        elif owned != frame:
            why = f"the page table leads to frame {frame:#x}, the mapping owns {owned:#x}"
            found.add("frame", va, PAGE_SIZE, why)


def _covered(segments: Iterable[Segment]) -> list[tuple[int, int]]:
    """The pages of all segments as intervals that do not touch, ascending."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((_floor(s.start), _ceil(s.end)) for s in segments if s.start < s.end):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def unexplained(
    segments: Iterable[Segment], ranges: Iterable[MappedRange], problems: list[Problem]
) -> Iterator[MappedRange]:
    """The parts of the ranges that no segment covers."""
    covered = _covered(segments)
    place = listed = 0
    for item in ranges:
        at, end = item.va, item.va + item.size
        while place < len(covered) and covered[place][1] <= at:
            place += 1
        index = place
        while at < end:
            start, stop = covered[index] if index < len(covered) else (end, end)
            gap = min(start, end)
            if gap > at:
                if listed == MAX_UNEXPLAINED:
                    why = "more memory that no segment explains"
                    problems.append(Problem(f"{at:#x}", why))
                    return
                listed += 1
                yield _part(item, at, gap)
            at = max(at, min(stop, end)) if start < end else end
            index += 1


def _part(item: MappedRange, start: int, end: int) -> MappedRange:
    """The pages of a range from start to end; A and D are not known for a part."""
    if (start, end) == (item.va, item.va + item.size):
        return item
    pages = -(-(end - start) // item.page_size)
    pa = item.pa + start - item.va
    return MappedRange(start, pa, pages, item.page_size, item.rights, 0, 0, item.section)


def strays(segments: Iterable[Segment], pairs: dict[int, int]) -> Iterator[Difference]:
    """Frames that the mapping owns for pages outside of every Framed segment."""
    covered = _covered(s for s in segments if s.kind == "framed")
    starts = [start for start, _ in covered]
    found = _Differences()
    for va in sorted(pairs):
        place = bisect_right(starts, va) - 1
        if place < 0 or va >= covered[place][1]:
            why = "the mapping owns frames for it, but it is in no framed segment"
            found.add("stray-frame", va, PAGE_SIZE, why)
    yield from found.found
    if found.more:
        last = found.found[-1]
        why = "and more frames for pages in no framed segment"
        yield Difference("stray-frame", last.va + last.size, 0, why)
