"""Physical memory that a page table maps more than once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from operator import itemgetter

from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.mappings import ALL_RANGES, Mapped
from rcdbg.model.memory.page_table import Root, read_page_table
from rcdbg.model.state import MappedRange, Problem

MAX_ALIASES = 256
"""Aliases that are listed."""
MAX_SHOWN = 8
"""Mappings of one alias that are listed."""


@dataclass(frozen=True, slots=True)
class Alias:
    """Physical memory that is mapped more than once."""

    pa: int
    size: int
    mappings: tuple[Mapped, ...]
    """At the most MAX_SHOWN of them."""
    count: int
    different_rights: bool
    """Whether the mappings, also those that are not listed, do not all give the same rights."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """All memory of a table that is mapped more than once, ascending by physical address."""

    aliases: tuple[Alias, ...]
    origin: str = ""
    note: str = ""
    problems: tuple[Problem, ...] = ()


def aliases(ranges: Iterable[MappedRange]) -> Iterator[Alias]:
    """The physical intervals that two or more of the ranges map, ascending.

    Between two neighbouring borders of ranges the mappings are the same; O(n log n), and the sum
    of MAX_SHOWN mappings for each alias.
    """
    by_place = sorted(ranges, key=itemgetter(1))  # pa
    ends: list[tuple[int, int]] = []
    active: dict[int, MappedRange] = {}
    rights: dict[str, int] = {}
    at = opened = 0
    while opened < len(by_place) or len(active) > 1:
        if not active:
            # Most ranges are alone: no need to keep accounts of them.
            while opened + 1 < len(by_place):
                item = by_place[opened]
                if item.pa + item.size > by_place[opened + 1].pa:
                    break
                opened += 1
            at = by_place[opened].pa
        place = by_place[opened].pa if opened < len(by_place) else ends[0][0]
        closes = bool(ends) and ends[0][0] <= place
        place = ends[0][0] if closes else place
        if len(active) > 1 and place > at:
            shown = islice(active.values(), MAX_SHOWN)
            mappings = tuple(Mapped(r.va + at - r.pa, r.rights, r.page_size) for r in shown)
            yield Alias(at, place - at, mappings, len(active), len(rights) > 1)
        at = place
        if closes:
            key = active.pop(heappop(ends)[1]).rights
            rights[key] -= 1
            if not rights[key]:
                del rights[key]
        else:
            item = active[opened] = by_place[opened]
            heappush(ends, (item.pa + item.size, opened))
            rights[item.rights] = rights.get(item.rights, 0) + 1
            opened += 1


def read_aliases(kernel: Kernel, root: Root | None = None) -> Aliases:
    """What a table maps more than once; never fails."""
    table = read_page_table(kernel, root, limit=ALL_RANGES)
    problems = table.problems
    found: list[Alias] = []
    for alias in aliases(table.ranges):
        if len(found) == MAX_ALIASES:
            more = Problem(f"{alias.pa:#x}", "more aliases than can be shown")
            problems = (*problems, more)
            break
        found.append(alias)
    return Aliases(tuple(found), table.origin, table.note, problems)
