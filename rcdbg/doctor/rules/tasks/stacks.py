"""Stacks: which are used beyond their end, are gone, or are not aligned."""

from collections.abc import Iterator

from rcdbg.doctor.examination import Examination, UndecidedError
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import as_sure_as, in_user_code
from rcdbg.doctor.where import in_trap_code
from rcdbg.model.kernel import Kernel
from rcdbg.model.memory.claims import Intervals
from rcdbg.model.memory.frames import read_frames
from rcdbg.model.state import Place, Stack, Thread
from rcdbg.model.threads.call_stacks import read_threads
from rcdbg.model.threads.processor import read_processor
from rcdbg.model.threads.rules import name_of
from rcdbg.riscv.pages import PAGE_SHIFT
from rcdbg.riscv.paging import walk
from rcdbg.riscv.registers import unsigned

_SP = 2
_ALIGNMENT = 16
_NEARLY = 16
"""A stack of which only one part in so many is left is nearly full."""
_THREADS = "show threads"
_BACKTRACE = "show backtrace"


def overflowed(examination: Examination) -> Iterator[Finding]:
    """A stack pointer below its stack: of a thread that waits, or of the one that runs."""
    kernel = examination.kernel
    processor = read_processor(kernel)
    for thread in processor.threads:
        stack, sp, place = _parked(thread)
        if stack is not None and sp is not None and sp not in stack and sp:
            yield _below(kernel, thread, stack, sp, place, as_sure_as(kernel))
    now = _now(kernel)
    if now is None or processor.current is None or processor.locked:
        return
    thread, stack = processor.current, processor.current.main_stack
    if stack is None or thread.context is not None:
        return
    others = [t.main_stack for t in processor.threads if t.address != thread.address]
    size = stack.end - stack.start
    if stack.start - size <= now < stack.start and not any(
        other is not None and now in other for other in others
    ):
        place = kernel.place(unsigned(kernel.registers.pc))
        yield _below(kernel, thread, stack, now, place, Confidence.LIKELY)


def nearly_full(examination: Examination) -> Iterator[Finding]:
    """Stacks of which little is left, and those that were used to their last byte."""
    kernel = examination.kernel
    for thread in read_threads(kernel).threads:
        stack, sp, place = _parked(thread)
        if stack is None:
            continue
        size = stack.end - stack.start
        if sp is not None and sp in stack and 0 <= sp - stack.start < size // _NEARLY:
            yield _full(thread, stack, sp - stack.start, place, Severity.WARNING)
        elif thread.stack_deepest is not None and size - thread.stack_deepest < _ALIGNMENT:
            yield _full(thread, stack, size - thread.stack_deepest, None, Severity.NOTE)


def unmapped_in_use(examination: Examination) -> Iterator[Finding]:
    """The stack that the hart works on: not mapped, or on a frame that is free."""
    kernel = examination.kernel
    sp = _now(kernel)
    if sp is None:
        return
    # The word that sp points to may be behind the stack's end, where nothing was pushed yet.
    at = sp - 1
    found = walk(kernel.target.read_phys, kernel.memory.satp, at)
    here = kernel.place(unsigned(kernel.registers.pc))
    walked = Fact(f"sp is {sp:#x}: {found.fault or 'it is mapped'}", None, f"walk {at:#x}")
    if found.physical is None:
        above = walk(kernel.target.read_phys, kernel.memory.satp, sp)
        if above.physical is not None:
            return
        yield _gone("the stack that the hart works on is not mapped", here, (walked,), kernel)
        return
    frames = read_frames(kernel)
    if not frames.is_known or frames.locked:
        raise UndecidedError("which frames are free is not known, or being changed")
    number = found.physical >> PAGE_SHIFT
    if number in Intervals(frames.free):
        free = Fact(f"frame {number:#x} is in the allocator's free list", None, "show frames")
        yield _gone("the stack that the hart works on is on a free frame", here, (walked, free),
                    kernel)  # fmt: skip


def misaligned(examination: Examination) -> Iterator[Finding]:
    """A stack pointer of compiled code that is no multiple of 16."""
    kernel = examination.kernel
    sp = _now(kernel)
    pc = unsigned(kernel.registers.pc)
    if sp is None or sp % _ALIGNMENT == 0 or kernel.image.functions.at(kernel.linked(pc)) is None:
        return
    here = kernel.place(pc)
    yield Finding(
        "RC0504",
        Severity.WARNING,
        Confidence.LIKELY,
        f"sp is {sp:#x} in {here.symbol or 'compiled code'}, no multiple of 16",
        (Fact(f"sp & 15 is {sp % _ALIGNMENT}", here, _BACKTRACE),),
        bucket_of("RC0504", here.symbol),
        here,
        cause="The calling convention wants sp to be a multiple of 16 wherever compiled code runs. "
        "A trap's entry that makes room for a Context of an odd number of words breaks that, and "
        "so does a stack whose end was computed wrongly.",
        help="Round the size of what the trap's entry takes from sp up to 16, and the end of every "
        "stack down to 16.",
        may_be_wrong_when="the function is assembly that calls nothing while sp is so",
    )


def _parked(thread: Thread) -> tuple[Stack | None, int | None, Place | None]:
    """The stack of the kernel's own code of a thread, and where it waits on it."""
    if thread.stack is not None:
        context = thread.context
        if context is None:
            return thread.stack, None, None
        return thread.stack, context.x[_SP], context.sepc
    if thread.kernel_stack is not None and thread.status not in ("running", "dead"):
        switch = thread.switch
        return thread.kernel_stack, *((None, None) if switch is None else (switch.sp, switch.ra))
    return None, None, None


def _now(kernel: Kernel) -> int | None:
    """The stack pointer, where it is surely one of compiled kernel code."""
    pc = unsigned(kernel.registers.pc)
    if in_user_code(kernel) or in_trap_code(kernel, pc):
        return None
    return unsigned(kernel.registers.x[_SP])


def _below(
    kernel: Kernel, thread: Thread, stack: Stack, sp: int, place: Place | None, sure: Confidence
) -> Finding:
    below = stack.start - sp
    is_overflow = 0 < below <= stack.end - stack.start
    span = f"{stack.start:#x}..{stack.end:#x}"
    what = f"{below:,} bytes below the stack of {name_of(thread)} ({span}): a stack overflow"
    if not is_overflow:
        what = f"outside the stack of {name_of(thread)} ({span})"
        sure = Confidence.LIKELY if sure is Confidence.CERTAIN else sure
    command = f"thread {thread.id}" if thread.id is not None else _THREADS
    guard = {True: "a guard page is below it", False: "no guard page is below it",
             None: "whether a guard page is below it is not known"}[stack.guarded]  # fmt: skip
    return Finding(
        "RC0501",
        Severity.ERROR,
        sure,
        f"sp {sp:#x} is {what}",
        (Fact(f"its stack is {span}, {stack.end - stack.start:,} bytes; {guard}", None, command),
         Fact("it stands here", place, f"{command}")),
        bucket_of("RC0501", "overflow" if is_overflow else "outside",
                  place.symbol if place is not None else ""),
        place,
        cause="Calls that go too deep, or large local variables, have used the stack up; what lies "
        "below it is overwritten." if is_overflow else
        "sp was never set to this stack, or was overwritten where it is saved.",
        help="Look for recursion without an end and for big arrays on the stack; then make the "
        "stack larger, and leave a page below it unmapped." if is_overflow else
        "Look at where the saved sp comes from: the constructor of the thread, or the switch.",
        may_be_wrong_when="the thread waits on another stack on purpose, as while it is built",
    )  # fmt: skip


def _full(
    thread: Thread, stack: Stack, left: int, place: Place | None, severity: Severity
) -> Finding:
    size = stack.end - stack.start
    command = f"thread {thread.id}" if thread.id is not None else _THREADS
    was = "are left" if severity is Severity.WARNING else "were ever unused"
    return Finding(
        "RC0502",
        severity,
        Confidence.POSSIBLE if severity is Severity.NOTE else Confidence.LIKELY,
        f"only {left:,} of {size:,} bytes of the stack of {name_of(thread)} {was}",
        (Fact(f"the stack is {stack.start:#x}..{stack.end:#x}", place, command),),
        bucket_of("RC0502", severity.value),
        place,
        cause="Deep calls or large local variables; the next call may go below the stack's end.",
        help="Look at the deepest calls and at local arrays, or make the stack larger.",
        may_be_wrong_when="the stack's memory was used by somebody else before and not cleared: "
        "how deep it was used is told by what is not zero",
    )


def _gone(title: str, here: Place, facts: tuple[Fact, ...], kernel: Kernel) -> Finding:
    return Finding(
        "RC0503",
        Severity.ERROR,
        as_sure_as(kernel),
        title,
        (*facts, Fact("this code works on it", here, _BACKTRACE)),
        bucket_of("RC0503", title, here.symbol),
        here,
        cause="A thread that ends gives its stack back while it still stands on it; the next one "
        "who takes that frame overwrites its return addresses. A stale TLB can hide it for long.",
        help="Leave the stack to somebody else: switch to another one first, and free it there, "
        "or when its parent waits for it.",
        may_be_wrong_when="the kernel frees the stack and leaves it within a few instructions, "
        "with interrupts off",
    )
