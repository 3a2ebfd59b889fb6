"""Address spaces: whether satp has the right one, and whether books and tables agree."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import as_sure_as, in_user_code, is_settled
from rcdbg.doctor.where import in_trap_code
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.memory_set import MemorySet, read_memory_sets
from rcdbg.model.memory.space import own_spaces, root_in, root_of
from rcdbg.model.state import MappedRange, Thread
from rcdbg.model.tasks.relatives import read_processes
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import name_of
from rcdbg.riscv.registers import unsigned

_FACTS = 6
_SETS = "show memoryset"


def wrong_table(examination: Examination) -> Iterator[Finding]:
    """satp with another table than that of the process whose thread runs."""
    kernel = examination.kernel
    processor = read_processor(kernel)
    current = processor.current
    if current is None or current.process is None:
        return
    own = {root_in(kernel, space) for space in own_spaces(kernel)}
    if not in_user_code(kernel) and (own or in_trap_code(kernel, unsigned(kernel.registers.pc))):
        return  # the kernel works in a table of its own, or is on its way from one to the other
    if not is_settled(kernel):
        raise UndecidedError("a lock is held: a switch may be under way")
    root, active = root_of(kernel, current.process), kernel.memory.satp.root
    if active is None or root == active:
        return
    yield Finding(
        "RC0301",
        Severity.ERROR,
        Confidence.CERTAIN if in_user_code(kernel) else Confidence.LIKELY,
        f"{name_of(current)} runs, but satp has another page table than that of its process",
        (
            Fact(f"satp leads to frame {active:#x}{_owner(kernel, active)}", None, "show csr"),
            Fact(f"the table of its process is in frame {root:#x}", None, _SETS),
            *_where(kernel, current),
        ),
        bucket_of("RC0301", "satp"),
        cause="The switch to the thread did not activate the address space of its process, or "
        "did so before the thread was chosen.",
        help="Write satp (and say sfence.vma) whenever the running thread's process changes, "
        "before the first access to its memory.",
        may_be_wrong_when="the kernel runs its own threads in whichever table is in satp, since "
        "all of them map the kernel",
    )


def _owner(kernel: Kernel, root: int) -> str:
    for found in read_memory_sets(kernel).sets:
        if found.root_ppn == root:
            return f", that of {found.name}"
    return ", which is that of no process"


def _where(kernel: Kernel, thread: Thread) -> tuple[Fact, ...]:
    place = kernel.place(unsigned(kernel.registers.pc))
    return (Fact("the hart stands here", place, f"thread {thread.id}"),)


def books_differ(examination: Examination) -> Iterator[Finding]:
    """Segments for which the page table says something else."""
    kernel = examination.kernel
    dead = {e.address for e in read_processes(kernel).entries if e.is_dead}
    for found in read_memory_sets(kernel).sets:
        if found.locked or (found.process is not None and found.process in dead):
            continue
        stray = _unexplained(kernel, found)
        if found.differences > len(found.unexplained) or stray:
            yield _differs(kernel, found, stray)


def _unexplained(kernel: Kernel, found: MemorySet) -> list[MappedRange]:
    """What no segment covers, but for the page through which a kernel enters user code."""
    has_portal = bool(kernel.description.portal.type)
    return [run for run in found.unexplained if not has_portal or "u" in run.rights]


def _differs(kernel: Kernel, found: MemorySet, stray: list[MappedRange]) -> Finding:
    told: list[str] = []
    kinds: list[str] = []
    for segment in found.segments:
        for item in segment.differences:
            told.append(f"segment {segment.start:#x}..{segment.end:#x}: {item.why} ({item.va:#x})")
            kinds.append(item.kind)
    for item in found.books:
        told.append(f"{item.why} ({item.va:#x})")
        kinds.append(item.kind)
    for run in stray:
        told.append(f"{run.va:#x}..{run.va + run.size:#x} is mapped, but no segment covers it")
        kinds.append("unexplained")
    settled = is_settled(kernel)
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return Finding(
        "RC0302",
        Severity.WARNING if settled else Severity.NOTE,
        Confidence.LIKELY if settled else Confidence.POSSIBLE,
        f"the segments of {found.name} and its page table disagree: {told[0]}{more}",
        tuple(Fact(text, None, _SETS) for text in told[:_FACTS]),
        bucket_of("RC0302", *sorted(set(kinds))),
        cause="What the kernel notes of an address space and what it writes into its page table "
        "are two things: one was changed without the other, or an entry was left behind.",
        help="Look at map and unmap: each must change both, for the same pages, with the same "
        "flags.",
        may_be_wrong_when="pages are mapped lazily or shared until they are written to"
        if as_sure_as(kernel) is Confidence.CERTAIN
        else "a lock or a cell is taken: this may be half done",
    )
