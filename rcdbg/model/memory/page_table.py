"""Page tables as merged ranges, and single addresses walked through them.

The table is the one in satp unless a `Root` names another one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.table_walks import walk_of
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import MappedRange, PageTable, Problem, Translation
from rcdbg.riscv import access, csr, sv39
from rcdbg.riscv.registers import unsigned

MAX_PROBLEMS = 16
"""Problems of one table that are listed; more say nothing new."""
MAX_RANGES = 4096
"""Ranges of one table that are listed: a healthy kernel has dozens."""
_CONTENT_BYTES = 32
_new = tuple.__new__
"""Makes a NamedTuple in half the time of its own constructor."""
_RIGHTS = tuple(sv39.flags_text(bits)[:5] for bits in range(sv39.RIGHTS + 1))


def merge(runs: Iterable[sv39.Run]) -> Iterator[MappedRange]:
    """Runs that follow each other with equal rights and page size, as one range each.

    A and D are counted and do not split a range: hardware sets them page by page.
    """
    first_va = first_pa = pages = accessed = dirty = size = 0
    end = physical_end = rights = level_now = -1
    for va, pa, count, level, bits in runs:
        if va != end or pa != physical_end or level != level_now or bits & sv39.RIGHTS != rights:
            if pages:
                found = first_va, first_pa, pages, size, _RIGHTS[rights], accessed, dirty, None
                yield _new(MappedRange, found)
            first_va, first_pa, level_now, rights = va, pa, level, bits & sv39.RIGHTS
            size = sv39.PAGE_SIZE << 9 * level
            pages = accessed = dirty = 0
        pages += count
        end, physical_end = va + count * size, pa + count * size
        if bits & sv39.A:
            accessed += count
        if bits & sv39.D:
            dirty += count
    if pages:
        yield MappedRange(first_va, first_pa, pages, size, _RIGHTS[rights], accessed, dirty)


@dataclass(frozen=True, slots=True)
class Root:
    """A page table other than the one in satp: its mode and frame, and in words whose it is."""

    mode: int
    ppn: int
    origin: str

    @classmethod
    def of_satp(cls, value: int) -> "Root":
        """The table that satp would name with that value."""
        value = unsigned(value)
        return cls(value >> 60, value & ((1 << 44) - 1), f"of satp {value:#x}")

    @classmethod
    def of_frame(cls, ppn: int) -> "Root":
        """The Sv39 table in that frame."""
        return cls(sv39.MODE_SV39, ppn, f"in frame {ppn:#x}")


def satp_root(kernel: Kernel) -> Root:
    """The table in satp."""
    return Root(kernel.memory.mode, kernel.memory.root_ppn, "")


def translation_mode(kernel: Kernel, root: Root | None) -> tuple[str, str]:
    """The name of the translation mode, and a note where there is nothing to walk."""
    if root is None and kernel.csr("satp") is None:
        return "unknown", "the target does not give satp"
    number = kernel.memory.mode if root is None else root.mode
    mode = csr.decode("satp", number << 60).fields[0].text
    if number == sv39.MODE_BARE:
        where = "satp" if root is None else "that"
        return mode, f"paging is off ({where} is bare): addresses are physical"
    if number != sv39.MODE_SV39:
        return mode, f"rcdbg walks Sv39, not {mode}"
    return mode, ""


@once_a_moment
def _purposes(kernel: Kernel) -> Callable[[int, int], str | None]:
    """Gives the names of the image's sections inside a range."""
    sections = [
        (s.address, s.address + s.size, s.name)
        for s in kernel.image.sections
        if s.address and s.size
    ]
    lowest = min((start for start, _, _ in sections), default=0)
    highest = max((end for _, end, _ in sections), default=0)

    def purpose(va: int, size: int) -> str | None:
        if va >= highest or va + size <= lowest:
            return None
        names = [name for start, end, name in sections if start < va + size and va < end]
        return " ".join(dict.fromkeys(names)) or None

    return purpose


def read_page_table(
    kernel: Kernel,
    root: Root | None = None,
    keep: Callable[[MappedRange], bool] | None = None,
    limit: int = MAX_RANGES,
) -> PageTable:
    """The table in satp, or that at `root`; of its ranges those that `keep` wants; never fails."""
    mode, note = translation_mode(kernel, root)
    ppn = kernel.memory.root_ppn if root is None else root.ppn
    origin = root.origin if root is not None else ""
    if note:
        return PageTable(mode, ppn, (), note, (), origin)
    problems: list[Problem] = []
    bad = told = 0
    complete = True

    def good() -> Iterator[sv39.Run]:
        nonlocal bad, told, complete
        for item in walk_of(kernel, ppn):
            if isinstance(item, sv39.Run):
                yield item
                continue
            bad += 1
            first_cut = complete and item.kind == "limit"
            complete = complete and not first_cut
            if told < MAX_PROBLEMS or first_cut:
                told += 1
                problems.append(Problem(f"{item.va:#x}, level {item.level}", item.why))

    ranges: list[MappedRange] = []
    purpose = _purposes(kernel)
    for found in merge(good()):
        if keep is not None and not keep(found):
            continue
        if len(ranges) == limit:
            problems.append(Problem(f"{found.va:#x}", "more ranges than can be shown"))
            complete = False
            break
        section = purpose(found.va, found.size)
        ranges.append(found if section is None else found._replace(section=section))
    if bad > told:
        more = f"{bad - told:,} more entries that map nothing"
        problems.append(Problem("the page table", more))
    return PageTable(mode, ppn, tuple(ranges), "", tuple(problems), origin, complete)


def translate(kernel: Kernel, va: int, root: Root | None = None) -> Translation:
    """`va` walked through the table in satp, or that at `root`; never fails."""
    mode, note = translation_mode(kernel, root)
    number = kernel.memory.mode if root is None else root.mode
    ppn = kernel.memory.root_ppn if root is None else root.ppn
    if note:
        fault = None if number == sv39.MODE_BARE else note
        rule = "" if fault is None else "mode"
        walk = sv39.Walk(va, (), va if fault is None else None, fault, rule)
    else:
        walk = sv39.walk(kernel.target.read_phys, ppn, va)
    content = None
    if walk.physical is not None:
        size = min(_CONTENT_BYTES, sv39.PAGE_SIZE - walk.physical % sv39.PAGE_SIZE)
        try:
            content = kernel.target.read_phys(walk.physical, size)
        except MemoryReadError:
            note = note or "no RAM there: a device, or nothing"
    place = kernel.place(va)
    sstatus = kernel.csr("sstatus")
    verdicts = access.verdicts(walk, sstatus or 0)
    sum_ = None if sstatus is None else bool(sstatus & access.SUM)
    mxr = None if sstatus is None else bool(sstatus & access.MXR)
    return Translation(walk, mode, ppn, place, content, note, verdicts, sum_, mxr)
