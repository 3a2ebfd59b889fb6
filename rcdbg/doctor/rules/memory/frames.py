"""Frames that are free and in use at once, or have two owners."""

from collections.abc import Iterator
from itertools import groupby

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import as_sure_as, is_settled
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.claims import MAX_CONFLICTS, Conflict
from rcdbg.model.memory.frame_owners import FrameOwners, read_frame_owners
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.state import Problem
from rcdbg.model.tasks.relatives import read_processes

_FACTS = 6
_FRAMES, _OWNERS = "show frames", "show owners"


def free_list(examination: Examination) -> Iterator[Finding]:
    """Frames that are in the allocator's books twice, or cannot be there at all."""
    kernel = examination.kernel
    problems = [p for p in read_frames(kernel).problems if _is_of_books(p)]
    if not problems:
        return
    yield Finding(
        "RC0601",
        Severity.ERROR,
        as_sure_as(kernel),
        f"the list of free frames is broken: {problems[0].why}",
        tuple(Fact(f"{p.where}: {p.why}", None, _FRAMES) for p in problems[:_FACTS]),
        bucket_of("RC0601", _kind(problems[0])),
        cause="A frame was given back twice, or one that was never handed out; or the books of the "
        "allocator were overwritten.",
        help="Let the allocator refuse a frame that is free already, or was never handed out, and "
        "see who calls it: `rcdbg trace --events frames`.",
        may_be_wrong_when="the allocator keeps books of another kind than its family does",
    )


_WRONG = ("twice", "never handed out", "is not an interval", "overlap")


def _is_of_books(problem: Problem) -> bool:
    return any(word in problem.why for word in _WRONG)


def _kind(problem: Problem) -> str:
    return next(word for word in _WRONG if word in problem.why)


def conflicts(examination: Examination) -> Iterator[Finding]:
    """Frames about which the allocator, the page tables and the owners disagree."""
    kernel = examination.kernel
    owners = read_frame_owners(kernel)
    dead = _dead_spaces(kernel, owners)
    # A process that has ended may leave its table as it was: nobody will use it any more.
    found = [c for c in owners.conflicts if not c.spaces or not set(c.spaces) <= dead]
    for kind, group in groupby(sorted(found, key=lambda c: (c.kind, c.frame)), lambda c: c.kind):
        yield _conflict(examination, kind, list(group))


def _dead_spaces(kernel: Kernel, owners: FrameOwners) -> set[str]:
    """The names of the address spaces of processes that have ended."""
    ended = {entry.address for entry in read_processes(kernel).entries if entry.is_dead}
    return {
        space.name
        for space in owners.spaces
        if space.process is not None and space.process in ended and not space.active
    }


_TOLD = {
    "free but mapped": (
        "RC0602",
        "free and mapped at once",
        "The frame went back to the allocator while a page table still leads to it: the next who "
        "gets it shares it with whoever uses that page.",
        "Clear the PTE (and say sfence.vma) before the frame is given back.",
    ),
    "free but owned": (
        "RC0602",
        "free and owned at once",
        "Somebody gave the frame back and kept it: a FrameTracker that was copied or forgotten, or "
        "a frame that was freed by its number while its tracker lives.",
        "Let only the tracker's `drop` give a frame back, and hand trackers on by moving them.",
    ),
    "free but a table": (
        "RC0603",
        "free, but a page table that is in use",
        "The page table was freed while satp or another table still leads to it. When the frame is "
        "handed out again, its content becomes PTEs.",
        "Switch satp to another table first, and keep the trackers of tables with their root.",
    ),
    "owned twice": (
        "RC0604",
        "owned twice",
        "The allocator handed the frame out twice, or two trackers were made of one number.",
        "Look at how the allocator cuts what it hands out off its books, and at who makes a "
        "tracker from a number.",
    ),
}


def _conflict(examination: Examination, kind: str, found: list[Conflict]) -> Finding:
    code, what, cause, help_ = _TOLD[kind]
    settled = is_settled(examination.kernel)
    many = f"{'at least ' if len(found) >= MAX_CONFLICTS else ''}{len(found)} frames are"
    number = f"frame {found[0].frame:#x} is" if len(found) == 1 else many
    facts = [
        Fact(f"frame {c.frame:#x}: {'; '.join(c.claims)}", None, _OWNERS) for c in found[:_FACTS]
    ]
    if len(found) > _FACTS:
        facts.append(Fact(f"and {len(found) - _FACTS} more", None, _OWNERS))
    if kind != "owned twice":
        facts.append(Fact("the allocator has them as free", None, _FRAMES))
    return Finding(
        code,
        Severity.ERROR if settled else Severity.NOTE,
        as_sure_as(examination.kernel),
        f"{number} {what}",
        tuple(facts),
        bucket_of(code, kind),
        cause=cause,
        help=help_,
        may_be_wrong_when="the kernel is in the middle of giving the frame back or of replacing a "
        "page" if settled else "a lock or a cell is taken: this may be half done",
    )  # fmt: skip
