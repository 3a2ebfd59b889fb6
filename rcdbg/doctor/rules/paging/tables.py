"""Page tables: entries that no hart accepts, and rights that give the kernel away."""

from collections.abc import Iterator
from itertools import islice

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import is_settled
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.frame_owners import read_frame_owners
from rcdbg.model.memory.table_walks import listing
from rcdbg.riscv import pte
from rcdbg.riscv.pages import PAGE_SHIFT, PAGE_SIZE
from rcdbg.riscv.table_listing import Bad

_MOST = 4
_LINT = "show pagetable --lint"
_WHY = {
    "reserved": ("an entry with a reserved combination of bits",
                 "W without R, or a reserved bit, is no mapping: every access faults."),
    "misaligned": ("a large page that is not aligned",
                   "A leaf above level 0 maps a large page, whose physical address must be a "
                   "multiple of its size: else every access faults."),
    "level": ("a level 0 entry that points to another table",
              "Below level 0 there is no table: an entry without R, W and X faults."),
    "unreadable": ("an entry that leads to a table outside of RAM",
                   "The frame number in the entry is wrong, as if an address stood there."),
}  # fmt: skip


def refused(examination: Examination) -> Iterator[Finding]:
    """Entries of the table in satp, and of those of the processes, that no hart accepts."""
    kernel = examination.kernel
    for name, root, is_active in _roots(kernel):
        found = listing(kernel, kernel.memory.satp.other(root))
        found.finish()
        for bad in islice((b for b in found.bad if b.kind in _WHY), _MOST):
            yield _bad(kernel, bad, name, root, is_active=is_active)


def _roots(kernel: Kernel) -> Iterator[tuple[str, int, bool]]:
    active = kernel.memory.satp.root
    if active is not None:
        yield "the table in satp", active, True
    for space in read_frame_owners(kernel).spaces:
        if space.root_ppn != active:
            yield f"the table of {space.name}", space.root_ppn, False


def _bad(kernel: Kernel, bad: Bad, name: str, root: int, *, is_active: bool) -> Finding:
    what, cause = _WHY[bad.kind]
    sure = is_active or is_settled(kernel)
    command = _LINT if is_active else f"{_LINT} --root {root:#x}"
    return Finding(
        "RC0303",
        Severity.ERROR if sure else Severity.NOTE,
        Confidence.CERTAIN if is_active else Confidence.LIKELY,
        f"{name} has {what} for {bad.va:#x}",
        (Fact(f"level {bad.level}, {bad.va:#x}: {bad.why}", None, command),),
        bucket_of("RC0303", bad.kind),
        cause=cause,
        help="Look at how the flags and the frame number of an entry are put together: the number "
        "stands from bit 10 on, and a leaf needs R or X.",
        may_be_wrong_when="nobody ever uses that address",
    )


def kernel_for_users(examination: Examination) -> Iterator[Finding]:
    """The kernel's own sections, mapped for U-mode: programs can reach them, the kernel cannot."""
    kernel = examination.kernel
    rows = listing(kernel, kernel.memory.satp).finish()
    for section in kernel.image.sections:
        start = kernel.image.physical(section.address) if section.size else None
        if start is None or "a" not in section.flags:
            continue
        for run in rows:
            is_users = run.bits & pte.U and run.va - run.pa == section.address - start
            if is_users and run.pa < start + section.size and start < run.pa + run.size:
                yield Finding(
                    "RC0304",
                    Severity.ERROR,
                    Confidence.LIKELY,
                    f"the kernel's {section.name} is mapped with U",
                    (Fact(f"{run.va:#x} leads to frame {run.pa >> PAGE_SHIFT:#x} with U", None,
                          f"walk {run.va:#x}"),),
                    bucket_of("RC0304", section.name),
                    cause="A page with U belongs to programs: in S-mode no instruction can be "
                    "fetched from it, and data only while sstatus.SUM is set.",
                    help="Leave U out of the flags of the kernel's own segments.",
                    may_be_wrong_when="the kernel shares that page with programs on purpose",
                )  # fmt: skip
                break


def code_writable(examination: Examination) -> Iterator[Finding]:
    """The kernel's code or constants, mapped page by page and with W."""
    kernel = examination.kernel
    rows = listing(kernel, kernel.memory.satp).finish()
    for section in kernel.image.sections:
        start = kernel.image.physical(section.address) if section.size else None
        if start is None or "a" not in section.flags or "w" in section.flags:
            continue
        for run in rows:
            # Large pages are those of the boot's first table, which has everything in one.
            is_own = run.level == 0 and run.va - run.pa == section.address - start
            inside = start <= run.pa and run.pa + PAGE_SIZE <= start + section.size
            if is_own and run.bits & pte.W and "x" in section.flags and inside:
                yield Finding(
                    "RC0305",
                    Severity.WARNING,
                    Confidence.LIKELY,
                    f"the kernel's {section.name} is mapped with W",
                    (Fact(f"{run.va:#x} can be written to", kernel.place(run.va),
                          f"walk {run.va:#x}"),),
                    bucket_of("RC0305", section.name),
                    cause="A write through a wild pointer then changes code instead of faulting.",
                    help="Give the segment of the code R and X only, that of constants R only.",
                    may_be_wrong_when="the kernel changes its own code on purpose",
                )  # fmt: skip
                break
