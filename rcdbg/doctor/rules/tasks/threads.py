"""What has to hold for threads and for the registers of those that wait."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import as_sure_as
from rcdbg.model.state import Problem, Thread
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import name_of

_THREADS = "show threads"
_CONTEXT = ".context"
_NAMED = 6
_STACK = "is outside its stack"


def broken_invariants(examination: Examination) -> Iterator[Finding]:
    """Threads in two places at once, dead ones that are queued, and what else cannot be."""
    kernel = examination.kernel
    processor = read_processor(kernel)
    if processor.locked:
        raise UndecidedError("the threads are being changed at this moment: their lock is held")
    threads = {name_of(thread): thread for thread in processor.threads}
    named = {*threads, *(f"thread {t.id}" for t in processor.threads)}
    by_why: dict[str, list[str]] = {}
    for problem in processor.problems:
        if problem.where in named:  # what could not be decoded is no fault of a thread
            by_why.setdefault(problem.why, []).append(problem.where)
    for why, who in by_why.items():
        facts = [Fact(f"{name}: {why}", None, _THREADS) for name in who[:_NAMED]]
        if len(who) > _NAMED:
            facts.append(Fact(f"and {len(who) - _NAMED} threads more", None, _THREADS))
        more = f" (and {len(who) - 1} more threads)" if len(who) > 1 else ""
        yield Finding(
            "RC0401",
            Severity.ERROR,
            as_sure_as(kernel),
            f"{who[0]} {why}{more}",
            (*facts, *_doing(threads.get(who[0]))),
            bucket_of("RC0401", _without_numbers(why)),
            cause="A thread is handed from place to place: taken out of the queue, run, parked, "
            "put back. One of these steps is missing, is done twice, or is done for a thread "
            "that has ended.",
            help="Look at who puts threads into the queue and who takes them out: each must undo "
            "the other exactly once. `rcdbg trace --events threads` shows the steps in order.",
            may_be_wrong_when="the kernel moves threads without a lock, and stands in the middle",
        )


def parked_nonsense(examination: Examination) -> Iterator[Finding]:
    """Waiting threads that would go on where no code is, or in the wrong mode."""
    for thread in read_processor(examination.kernel).threads:
        for problem in thread.problems:
            about = problem.where == name_of(thread) + _CONTEXT
            if about and _STACK not in problem.why and thread.context is not None:
                yield _parked(examination, thread, problem)


def _parked(examination: Examination, thread: Thread, problem: Problem) -> Finding:
    context = thread.context
    assert context is not None
    command = f"show context --task {thread.id}" if thread.id is not None else _THREADS
    mapped = "PTEs can be read" if examination.kernel.memory.satp.translates else "paging is off"
    return Finding(
        "RC0402",
        Severity.ERROR,
        Confidence.LIKELY if thread.locked else as_sure_as(examination.kernel),
        f"the parked Context of {name_of(thread)} makes no sense: {problem.why}",
        (
            Fact(problem.why, context.sepc, command),
            Fact(f"the Context lies at {context.address:#x}; {mapped}", None, command),
        ),
        bucket_of("RC0402", _without_numbers(problem.why)),
        context.sepc,
        cause="What was saved for the thread is not what it had, or somebody has written over it: "
        "a Context that is built wrongly for a new thread, saved at the wrong offset, or on a "
        "stack that another one has used since.",
        help="Compare the Context with what its thread did last: for a new thread with what its "
        "constructor sets (sepc the entry, sp the end of its stack, SPP its mode).",
        may_be_wrong_when="its page was unmapped on purpose, and the thread never runs again",
    )


def _doing(thread: Thread | None) -> tuple[Fact, ...]:
    """What the rest of the kernel says of the thread."""
    if thread is None:
        return ()
    place = thread.context.sepc if thread.context is not None else None
    where = "its parked Context goes on here" if place is not None else "it has no parked Context"
    return (Fact(f"it is {thread.status}; {where}", place, f"thread {thread.id}"),)


def _without_numbers(text: str) -> str:
    return " ".join(w for w in text.split() if not any(c.isdigit() for c in w))
