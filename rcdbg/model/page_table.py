"""The page table in satp as merged ranges, and single addresses walked through it."""

from collections.abc import Iterable, Iterator

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.state import MappedRange, PageTable, Problem, Translation
from rcdbg.riscv import csr, sv39

MAX_PROBLEMS = 16
"""Problems of one table that are listed; more say nothing new."""
MAX_RANGES = 4096
"""Ranges of one table that are listed: a healthy kernel has dozens."""
_CONTENT_BYTES = 32


def merge(runs: Iterable[sv39.Run]) -> Iterator[MappedRange]:
    """Runs that follow each other with equal rights and page size, as one range each.

    A and D are counted and do not split a range: hardware sets them page by page.
    """
    current: MappedRange | None = None
    for run in runs:
        size = sv39.page_size(run.level)
        accessed = run.pages if run.bits & sv39.A else 0
        dirty = run.pages if run.bits & sv39.D else 0
        rights = sv39.flags_text(run.bits)[:5]
        if (
            current is not None
            and current.rights == rights
            and current.page_size == size
            and current.va + current.size == run.va
            and current.pa + current.size == run.pa
        ):
            current = MappedRange(
                current.va,
                current.pa,
                current.pages + run.pages,
                size,
                rights,
                current.accessed + accessed,
                current.dirty + dirty,
            )
            continue
        if current is not None:
            yield current
        current = MappedRange(run.va, run.pa, run.pages, size, rights, accessed, dirty)
    if current is not None:
        yield current


def _mode(kernel: Kernel) -> tuple[str, str]:
    """The name of the translation mode, and a note where there is nothing to walk."""
    if kernel.csr("satp") is None:
        return "unknown", "the target does not give satp"
    mode = csr.decode("satp", kernel.memory.satp).fields[0].text
    if kernel.memory.mode == sv39.MODE_BARE:
        return mode, "paging is off (satp is bare): addresses are physical"
    if kernel.memory.mode != sv39.MODE_SV39:
        return mode, f"rcdbg walks Sv39, not {mode}"
    return mode, ""


def _purpose(kernel: Kernel, va: int, size: int) -> str | None:
    """The names of the image's sections inside a range."""
    names = [
        s.name
        for s in kernel.image.sections
        if s.address and s.size and s.address < va + size and va < s.address + s.size
    ]
    return " ".join(dict.fromkeys(names)) or None


def read_page_table(kernel: Kernel) -> PageTable:
    """The table in satp; never fails."""
    mode, note = _mode(kernel)
    if note:
        return PageTable(mode, kernel.memory.root_ppn, (), note)
    problems: list[Problem] = []

    def good() -> Iterator[sv39.Run]:
        for item in sv39.runs(kernel.target.read_phys, kernel.memory.root_ppn):
            if isinstance(item, sv39.Run):
                yield item
            elif len(problems) < MAX_PROBLEMS:
                problems.append(Problem(f"{item.va:#x}, level {item.level}", item.why))

    ranges: list[MappedRange] = []
    for found in merge(good()):
        if len(ranges) == MAX_RANGES:
            problems.append(Problem(f"{found.va:#x}", "more ranges than can be shown"))
            break
        ranges.append(
            MappedRange(
                found.va,
                found.pa,
                found.pages,
                found.page_size,
                found.rights,
                found.accessed,
                found.dirty,
                _purpose(kernel, found.va, found.size),
            )
        )
    return PageTable(mode, kernel.memory.root_ppn, tuple(ranges), "", tuple(problems))


def translate(kernel: Kernel, va: int) -> Translation:
    """`va` walked through the table in satp; never fails."""
    mode, note = _mode(kernel)
    if note:
        fault = None if kernel.memory.mode == sv39.MODE_BARE else note
        walk = sv39.Walk(va, (), va if fault is None else None, fault)
    else:
        walk = sv39.walk(kernel.target.read_phys, kernel.memory.root_ppn, va)
    content = None
    if walk.physical is not None:
        size = min(_CONTENT_BYTES, sv39.PAGE_SIZE - walk.physical % sv39.PAGE_SIZE)
        try:
            content = kernel.target.read_phys(walk.physical, size)
        except MemoryReadError:
            note = note or "no RAM there: a device, or nothing"
    place = kernel.place(va)
    return Translation(walk, mode, kernel.memory.root_ppn, place, content, note)
