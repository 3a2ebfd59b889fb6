"""The address spaces: what a process's MemorySet says beside what its page table does.

A process is found through a static that holds an Arc of one (or one itself), and through the
threads. Its MemorySet has `segments` (`range`, `flags`, `map_type`) and a `mapping` (`root_ppn`,
`page_tables`, `mapped_pairs`: the pages with a frame of their own); what a kernel of another make
lacks is left out and said.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from rcdbg.image.elf import Image
from rcdbg.image.types import CEnumType, EnumType, Static, StructType
from rcdbg.model.kernel import Kernel, types_inside
from rcdbg.model.memory.frames import LOCKED, NOT_YET
from rcdbg.model.memory.mappings import ALL_RANGES
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import PAGE_SIZE, MappedRange, Problem
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.values.containers import (
    arc,
    base_name,
    dig,
    elements,
    find_struct,
    lazy,
    mutex,
    vec_deque,
)
from rcdbg.model.values.value import DecodeError, Value
from rcdbg.riscv.pages import FRAMES, PAGE_SHIFT
from rcdbg.riscv.pte import flags_text
from rcdbg.riscv.table_listing import Table

MAX_PROCESSES = 256
MAX_SEGMENTS = 4096
"""Segments of one process that are compared."""
MAX_DIFFERENCES = 16
"""Differences of one segment that are listed: neighbouring pages count as one."""
_MAX_NAMED = 16

MAX_UNEXPLAINED = 64
_PAIR_FIELDS = 2

_T = TypeVar("_T")


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
    """The variant's name: Linear, Framed."""
    rights: str
    """"rwxu", `-` where clear."""
    differences: tuple[Difference, ...] = ()
    more: bool = False
    """Whether there are more differences than are listed."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class MemorySet:
    """The address space of one process."""

    name: str
    """How it was found: the static's path, or the threads that are in it."""
    process: int
    """Address of the Process struct."""
    number: int
    """What `--process` takes: the same at every stop, as long as the same processes are there."""
    is_user: bool | None
    threads: tuple[int, ...]
    """Ids of its threads."""
    root_ppn: int | None
    active: bool
    """Whether satp names its root table."""
    segments: tuple[Segment, ...]
    unexplained: tuple[MappedRange, ...]
    """What the page table maps and no segment covers."""
    owned_pages: int | None
    """Pages with a frame of their own."""
    books: tuple[Difference, ...] = ()
    """Differences that belong to no segment: owned pages outside of all, tables not in the list."""
    locked: bool | None = None
    note: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def differences(self) -> int:
        """How many differences are listed, unexplained ranges included."""
        listed = sum(len(s.differences) for s in self.segments)
        return listed + len(self.books) + len(self.unexplained)


@dataclass(frozen=True, slots=True)
class MemorySets:
    """The address spaces of all processes that were found, by number."""

    sets: tuple[MemorySet, ...]
    note: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    value: Value
    threads: tuple[int, ...]
    is_static: bool
    """Whether a static holds it: such as the kernel's own."""


@lru_cache(maxsize=16)
def _statics(image: Image, name: str) -> tuple[Static, ...]:
    """The statics that hold a `name` or an Arc of one, lazily or not."""
    found = []
    for static in image.types.statics():
        if not image.types.type(static.type).size:
            continue  # the handle of a lazy_static, not its data
        for type_id in types_inside(image, static.type):
            kind = image.types.type(type_id)
            if not isinstance(kind, StructType):
                continue
            inside = [image.types.type(t) for p, t in kind.parameters if p == "T"]
            held = inside[:1] if base_name(kind) in ("Arc", "Rc") else [kind]
            if any(isinstance(k, StructType) and base_name(k) == name for k in held):
                found.append(static)
                break
    return tuple(found)


def _held_process(data: Value, name: str) -> Value:
    """The process that a static's data is, or points to; raises DecodeError."""
    try:
        return find_struct(data, name)
    except DecodeError:
        for kind in ("Arc", "Rc"):
            try:
                return arc(find_struct(data, kind))
            except DecodeError as error:
                last = error
        raise last from None


def _processes(kernel: Kernel, problems: list[Problem]) -> tuple[list[_Found], str]:
    """The processes, in no order; and a note if one is not there yet."""
    name = kernel.profile.process
    found: dict[int, _Found] = {}
    note = ""
    for static in _statics(kernel.image, name):
        path = _short(static)
        try:
            data = lazy(Value(kernel.space, static.type, static.address, path))
            if data is None:
                note = f"{path} is {NOT_YET}"
                continue
            process = _held_process(data, name)
            found.setdefault(process.address, _Found(path, process, (), True))
        except DecodeError as error:
            problems.append(error.problem)
    members: dict[int, list[int]] = {}
    processor = read_processor(kernel)
    for thread in processor.threads:
        if thread.process is not None:
            members.setdefault(thread.process, [])
            if thread.id is not None:
                members[thread.process].append(thread.id)
    for address, ids in members.items():
        known = found.get(address)
        if known is None and len(found) >= MAX_PROCESSES:
            problems.append(Problem("processes", "more processes than can be shown"))
            break
        try:
            value = known.value if known else _process_at(kernel, address)
        except DecodeError as error:
            problems.append(error.problem)
            continue
        words = known.name if known else "found through its threads"
        found[address] = _Found(words, value, tuple(sorted(ids)), known is not None)
    return list(found.values()), note


def _numbered(kernel: Kernel, found: list[_Found]) -> list[tuple[int, _Found]]:
    """The processes by number: the one that the kernel gave them, if it gave each its own.

    Else they are counted: those of a static first, then by their lowest thread id. Whichever
    thread runs, and wherever the others wait, the numbers are the same.
    """
    try:
        given = {item.value[kernel.profile.process_id].scalar(): item for item in found}
        if len(given) == len(found):
            return sorted(given.items())
    except DecodeError:
        pass  # as in most kernels of this kind: a Process has no id

    def order(item: _Found) -> tuple[bool, float, int]:
        lowest = item.threads[0] if item.threads else math.inf
        return (not item.is_static, 0 if item.is_static else lowest, item.value.address)

    return list(enumerate(sorted(found, key=order)))


def _short(static: Static) -> str:
    """A static's path as people say it: a lazy_static's data is named by its handle."""
    parts = [p for p in static.path.split("::") if p]
    names = [p for p in parts if p.isupper() and p not in ("LAZY",)]
    for part in parts:
        inner = part.strip("<>").split(" as ")[0].rsplit("::", 1)[-1]
        if inner.isupper() and inner != "LAZY":
            return inner
    return names[-1] if names else static.path


def _process_at(kernel: Kernel, address: int) -> Value:
    type_id = kernel.struct_named(kernel.profile.process, ("inner",))
    return Value(kernel.space, type_id, address, f"process at {address:#x}")


@once_a_moment
def read_memory_sets(kernel: Kernel) -> MemorySets:
    """The address spaces of all processes, compared with their page tables; never fails."""
    problems: list[Problem] = []
    try:
        found, note = _processes(kernel, problems)
    except DecodeError as error:
        return MemorySets((), "", (error.problem,))
    if not found and not note and not problems:
        note = f"no static of the kernel and no thread holds a {kernel.profile.process}"
    sets = tuple(_read(kernel, item, number) for number, item in _numbered(kernel, found))
    return MemorySets(sets, note, tuple(problems))


def process_root(kernel: Kernel, number: int) -> Root:
    """The page table of the process with that number, or of the Process struct at that address.

    Raises DecodeError if there is none, or its books cannot be read.
    """
    problems: list[Problem] = []
    found, note = _processes(kernel, problems)
    numbered = _numbered(kernel, found)
    for own, item in numbered:
        if number in (own, item.value.address):
            memory_set, _ = _memory_set(kernel, item.value)
            ppn = _root(memory_set)
            return Root(kernel.memory.satp.other(ppn), f"of process {own} ({item.name})")
    reason = note or "; ".join(f"{p.where}: {p.why}" for p in problems)
    numbers = ", ".join(str(own) for own, _ in numbered[:_MAX_NAMED])
    numbers += ", ..." * (len(numbered) > _MAX_NAMED)
    known = {0: "there is none", 1: f"there is only {numbers}"}.get(
        len(numbered), f"there are {numbers}"
    )
    raise DecodeError(f"process {number}", f"{known}{': ' if reason else ''}{reason}")


def root_of(kernel: Kernel, process: int) -> int:
    """The frame of the root table of the Process struct at that address; raises DecodeError."""
    memory_set, _ = _memory_set(kernel, _process_at(kernel, process))
    return _root(memory_set)


def _memory_set(kernel: Kernel, process: Value) -> tuple[Value, bool | None]:
    """The MemorySet of a process, and whether the lock around it is held."""
    name = kernel.profile.memory_set
    for field in (process, *process.fields()):
        try:
            guarded = mutex(field)
            return find_struct(guarded.value, name), guarded.locked
        except DecodeError:
            continue
    return find_struct(process, name), None


def _root(memory_set: Value) -> int:
    ppn = dig(memory_set, "root_ppn").scalar()
    if not 0 <= ppn < FRAMES:
        raise DecodeError(f"{memory_set.path}.root_ppn", f"{ppn:#x} is no frame")
    return ppn


def _read(kernel: Kernel, found: _Found, number: int) -> MemorySet:
    problems: list[Problem] = []

    def attempt(decode: Callable[[], _T]) -> _T | None:
        try:
            return decode()
        except DecodeError as error:
            problems.append(error.problem)
            return None

    user = attempt(lambda: bool(found.value["is_user"].scalar()))
    located = attempt(lambda: _memory_set(kernel, found.value))
    address = found.value.address
    if located is None:
        return MemorySet(
            found.name, address, number, user, found.threads, None, False, (), (), None, (), None,
            "", tuple(problems),
        )  # fmt: skip
    memory_set, locked = located
    ppn = attempt(lambda: _root(memory_set))
    segments, complete = _segments(memory_set, problems)
    pairs = attempt(lambda: _pairs(memory_set))
    ranges: tuple[MappedRange, ...] = ()
    whole = True
    root = None if ppn is None else Root(kernel.memory.satp.other(ppn), "")
    if root is not None:
        table = read_page_table(kernel, root, limit=ALL_RANGES)
        ranges, whole = table.ranges, table.complete
        problems += table.problems
    compared = segments
    unexplained: tuple[MappedRange, ...] = ()
    books: list[Difference] = []
    if root is not None and whole:
        offset = _linear_offset(kernel, segments, ranges)
        compared = _compare(segments, ranges, pairs, offset)
        if complete:
            unexplained = tuple(_unexplained(segments, ranges, problems))
            books += _strays(segments, pairs or {})
        books += _table_books(memory_set, listing(kernel, root.satp).finish().tables, problems)
    note = LOCKED if locked else ""
    if not whole:
        note = "the page table is too large to compare"
    active = ppn is not None and kernel.memory.satp.root == ppn
    return MemorySet(
        found.name,
        address,
        number,
        user,
        found.threads,
        ppn,
        active,
        compared,
        unexplained,
        None if pairs is None else len(pairs),
        tuple(books),
        locked,
        note,
        tuple(problems),
    )


def _segments(memory_set: Value, problems: list[Problem]) -> tuple[tuple[Segment, ...], bool]:
    """The segments in the order of the books, and whether they are all there."""
    found: list[Segment] = []
    try:
        for item in elements(memory_set["segments"]):
            if len(found) == MAX_SEGMENTS:
                problems.append(Problem(item.path, "more segments than can be compared"))
                return tuple(found), False
            found.append(_segment(item))
    except DecodeError as error:
        problems.append(error.problem)
        return tuple(found), False
    return tuple(found), True


def _segment(item: Value) -> Segment:
    start = item["range"]["start"].scalar()
    end = item["range"]["end"].scalar()
    rights = flags_text(item["flags"].scalar())[:4]
    return Segment(start, end, _variant(item["map_type"]), rights)


def _variant(value: Value) -> str:
    """The name of the variant that an enum is in."""
    kind = value.type
    if isinstance(kind, CEnumType):
        number = int.from_bytes(value.raw(), "little")
        for name, known in kind.enumerators:
            if known == number:
                return name
        raise DecodeError(value.path, f"{number:#x} is no variant of {kind.name}")
    if isinstance(kind, EnumType):
        return value.variant()[0]
    return base_name(kind)


def _pairs(memory_set: Value) -> dict[int, int]:
    """The pages with a frame of their own: virtual page number to frame number."""
    books = dig(memory_set, "mapped_pairs")
    found: dict[int, int] = {}
    for pair in vec_deque(books) if base_name(books.type) == "VecDeque" else elements(books):
        numbers = [field.scalar() for field in pair.fields()]
        if len(numbers) != _PAIR_FIELDS:
            raise DecodeError(pair.path, f"{pair.type.name} is no pair of page and frame")
        found[numbers[0] << PAGE_SHIFT & (1 << 64) - 1] = numbers[1]
    return found


def _linear_offset(
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
        if segment.map_type == "Linear":
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


def _compare(
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
        result.append(
            Segment(
                segment.start,
                segment.end,
                segment.map_type,
                segment.rights,
                tuple(found.found),
                found.more,
            )
        )
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
        if item.rights[:4] != segment.rights:
            why = f"the page table gives {item.rights[:4]}, the segment says {segment.rights}"
            found.add("rights", at, size, why)
        if segment.map_type == "Linear" and offset is not None:
            if item.va - item.pa != offset:
                why = f"leads {item.va - item.pa:#x} below itself, a linear segment {offset:#x}"
                found.add("frame", at, size, why)
        elif segment.map_type == "Framed" and pairs is not None:
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


def _unexplained(
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


def _strays(segments: Iterable[Segment], pairs: dict[int, int]) -> Iterator[Difference]:
    """Frames that the mapping owns for pages outside of every Framed segment."""
    covered = _covered(s for s in segments if s.map_type == "Framed")
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


def _table_books(
    memory_set: Value, tables: Sequence[Table], problems: list[Problem]
) -> Iterator[Difference]:
    """Page tables that the mapping does not own, and tables that it owns and nobody reaches."""
    try:
        owned = {tracker.scalar() for tracker in elements(dig(memory_set, "page_tables"))}
    except DecodeError as error:
        problems.append(error.problem)
        return
    reached = {table.address >> PAGE_SHIFT: table for table in tables}
    foreign, lost = sorted(reached.keys() - owned), sorted(owned - reached.keys())
    for ppn in foreign[:MAX_DIFFERENCES]:
        table = reached[ppn]
        why = f"its level {table.level} table in frame {ppn:#x} is not among the mapping's own"
        yield Difference("foreign-table", table.va, 0, why)
    for ppn in lost[:MAX_DIFFERENCES]:
        why = f"the mapping owns a table in frame {ppn:#x} that its root does not lead to"
        yield Difference("lost-table", 0, 0, why)
    left = len(foreign[MAX_DIFFERENCES:]) + len(lost[MAX_DIFFERENCES:])
    if left:
        problems.append(Problem(f"{memory_set.path}.mapping.page_tables", f"{left:,} more"))
