"""Page tables as merged ranges, and single addresses walked through them.

The table is the one in satp unless a `Root` names another one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.table_walks import listing
from rcdbg.model.remember import once_a_moment
from rcdbg.model.state import MappedRange, PageTable, Problem, Translation
from rcdbg.riscv import access, pte
from rcdbg.riscv.pages import INDEX_BITS, PAGE_SIZE
from rcdbg.riscv.paging import SCHEMES, Satp, walk
from rcdbg.riscv.registers import unsigned
from rcdbg.riscv.table_listing import LIMIT, Bad, Row

MAX_PROBLEMS = 16
"""Problems of one table that are listed; more say nothing new."""
MAX_RANGES = 4096
"""Ranges of one table that are listed: a healthy kernel has dozens."""
_CONTENT_BYTES = 32
_SCHEMES = ", ".join(scheme.name for scheme in SCHEMES if scheme.translates)
_new = tuple.__new__
"""Makes a NamedTuple in half the time of its own constructor."""
_RIGHTS = tuple(pte.flags_text(bits)[:5] for bits in range(pte.RIGHTS + 1))


def merge(runs: Iterable[Row]) -> Iterator[MappedRange]:
    """Runs that follow each other with equal rights and page size, as one range each.

    A and D are counted and do not split a range: hardware sets them page by page.
    """
    first_va = first_pa = pages = accessed = dirty = size = 0
    end = physical_end = rights = level_now = -1
    for va, pa, count, level, bits in runs:
        if va != end or pa != physical_end or level != level_now or bits & pte.RIGHTS != rights:
            if pages:
                found = first_va, first_pa, pages, size, _RIGHTS[rights], accessed, dirty, None
                yield _new(MappedRange, found)
            first_va, first_pa, level_now, rights = va, pa, level, bits & pte.RIGHTS
            size = PAGE_SIZE << INDEX_BITS * level
            pages = accessed = dirty = 0
        pages += count
        end, physical_end = va + count * size, pa + count * size
        if bits & pte.A:
            accessed += count
        if bits & pte.D:
            dirty += count
    if pages:
        yield MappedRange(first_va, first_pa, pages, size, _RIGHTS[rights], accessed, dirty)


@dataclass(frozen=True, slots=True)
class Root:
    """A page table other than the one in satp: the satp that names it, and in words whose it is."""

    satp: Satp
    origin: str

    @property
    def ppn(self) -> int:
        """Its frame."""
        return self.satp.ppn

    @classmethod
    def of_satp(cls, value: int) -> "Root":
        """The table that satp would name with that value."""
        value = unsigned(value)
        return cls(Satp(value), f"of satp {value:#x}")

    @classmethod
    def of_frame(cls, ppn: int, beside: Satp) -> "Root":
        """The table in that frame, in the scheme of another satp; raises ValueError."""
        return cls(beside.other(ppn), f"in frame {ppn:#x}")


def root_in_satp(kernel: Kernel) -> Root:
    """The table in satp."""
    return Root(kernel.memory.satp, "")


def translation_mode(kernel: Kernel, root: Root | None) -> tuple[str, str]:
    """The name of the translation mode, and a note where there is nothing to walk."""
    if root is None and kernel.csr("satp") is None:
        return "unknown", "the target does not give satp"
    satp = kernel.memory.satp if root is None else root.satp
    if satp.scheme is None:
        return satp.name, f"rcdbg walks {_SCHEMES}, not {satp.name} (mode {satp.mode})"
    if not satp.translates:
        where = "satp" if root is None else "that"
        return satp.name, f"paging is off ({where} is bare): addresses are physical"
    return satp.name, ""


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
    where = root or root_in_satp(kernel)
    if note:
        return PageTable(mode, where.ppn, (), note, (), where.origin)
    found = listing(kernel, where.satp)
    ranges: list[MappedRange] = []
    left_out = left_out_bytes = 0
    problems: list[Problem] = []
    purpose = _purposes(kernel)
    for item in merge(found.rows()):
        if keep is not None and not keep(item):
            continue
        if len(ranges) == limit:
            # Counted all the same: a head that tells of what is shown only is no head.
            if not left_out:
                problems.append(Problem(f"{item.va:#x}", "more ranges than can be shown"))
            left_out += 1
            left_out_bytes += item.size
            continue
        section = purpose(item.va, item.size)
        ranges.append(item if section is None else item._replace(section=section))
    problems = [*_problems(found.bad), *problems]
    walked = all(bad.kind != LIMIT for bad in found.bad)
    return PageTable(
        mode=mode,
        root_ppn=where.ppn,
        ranges=tuple(ranges),
        problems=tuple(problems),
        origin=where.origin,
        complete=walked and not left_out,
        left_out=(left_out, left_out_bytes),
        walked=walked,
    )


def _problems(found: Sequence[Bad]) -> list[Problem]:
    """The first MAX_PROBLEMS, where the listing was cut off, and how many more there are."""
    cut = next((at for at, bad in enumerate(found) if bad.kind == LIMIT), 0)
    told = [*found[:MAX_PROBLEMS], *([found[cut]] if cut >= MAX_PROBLEMS else [])]
    problems = [Problem(f"{bad.va:#x}, level {bad.level}", bad.why) for bad in told]
    if len(found) > len(told):
        more = f"{len(found) - len(told):,} more entries that map nothing"
        problems.append(Problem("the page table", more))
    return problems


def translate(kernel: Kernel, va: int, root: Root | None = None) -> Translation:
    """`va` walked through the table in satp, or that at `root`; never fails."""
    mode, note = translation_mode(kernel, root)
    where = root or root_in_satp(kernel)
    found = walk(kernel.target.read_phys, where.satp, va)
    content = None
    if found.physical is not None:
        size = min(_CONTENT_BYTES, PAGE_SIZE - found.physical % PAGE_SIZE)
        try:
            content = kernel.target.read_phys(found.physical, size)
        except MemoryReadError:
            note = note or "no RAM there: a device, or nothing"
    place = kernel.place(va)
    sstatus = kernel.csr("sstatus")
    verdicts = access.verdicts(found, sstatus or 0)
    sum_ = None if sstatus is None else bool(sstatus & access.SUM)
    mxr = None if sstatus is None else bool(sstatus & access.MXR)
    return Translation(found, mode, where.ppn, place, content, note, verdicts, sum_, mxr)
