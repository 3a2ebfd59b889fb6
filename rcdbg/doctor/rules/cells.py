"""Cells that are borrowed twice: which one, and who has it."""

import re
from collections.abc import Iterator, Sequence

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.errors import MemoryReadError
from rcdbg.model.kernel import Kernel
from rcdbg.model.panics import Panic, read_panic
from rcdbg.model.state import Place, StackFrame
from rcdbg.model.tasks.locks import KernelLock, read_locks
from rcdbg.model.threads.call_stacks import CallStack, read_call_stacks
from rcdbg.model.threads.rules import name_of
from rcdbg.model.threads.unwind import backtrace_now

_WORD = 8
_MAX_FRAME = 1 << 14
"""Bytes of a stack frame that are looked through."""
_LOCKS = "show locks"


def borrowed_twice(examination: Examination) -> Iterator[Finding]:
    """A panic since a RefCell is borrowed already, with the stack frames that hold it."""
    kernel = examination.kernel
    panic = read_panic(kernel)
    if panic is None or not _is_about_a_cell(kernel, panic):
        return
    cells = [lock for lock in read_locks(kernel).taken if lock.flag is not None]
    cells = [lock for lock in cells if "borrowed" in lock.state]
    held = [(cell, _holders(kernel, cell, panic)) for cell in cells]
    # The one whose guard is still on the panicking call stack is the likeliest.
    held.sort(key=lambda item: not item[1])
    chosen = held[0] if held else None
    facts = [
        Fact(
            f"the panic says: {panic.message or 'already borrowed'}", panic.place, "show backtrace"
        )
    ]
    for cell, holders in held[:4]:
        facts.append(Fact(f"{cell.path} is {cell.state}", None, _LOCKS))
        facts += [Fact(f"{who} has it: a guard of it is in this stack frame", place, command)
                  for who, place, command in holders[:3]]  # fmt: skip
    what = f"{chosen[0].path} is borrowed already" if chosen else "a cell is borrowed already"
    if chosen is not None and chosen[1]:
        place = chosen[1][0][1]
        line = f" ({place.file.rsplit('/', 1)[-1]}:{place.line})" if place.file else ""
        what += f", by {place.symbol or 'the code'}{line}"
    sure = Confidence.LIKELY if len(cells) > 1 or (chosen and not chosen[1]) else None
    yield Finding(
        "RC0801",
        Severity.ERROR,
        Confidence.CERTAIN if sure is None and chosen else Confidence.LIKELY,
        f"{what}, and the line that panics borrows it again",
        tuple(facts),
        bucket_of("RC0801", chosen[0].path if chosen else "", _symbol(panic.place)),
        panic.place,
        cause="The guard that `borrow_mut()` or `exclusive_access()` returns lives to the end of "
        "its block. Until it is dropped nobody else may borrow the cell: neither a function that "
        "is called meanwhile, nor another task after a switch.",
        help="Drop the guard before the call: end its block earlier, or say `drop(inner)`. Never "
        "keep one across a switch to another task.",
        may_be_wrong_when="what looks like a guard on a stack is left over from an earlier call",
    )


def _is_about_a_cell(kernel: Kernel, panic: Panic) -> bool:
    """Whether it says so, or was called by the function of Rust's library that does."""
    if "already" in panic.message and "borrowed" in panic.message:
        return True
    frames = backtrace_now(kernel).frames[panic.frame : panic.frame + _LIBRARY_CALLS]
    calls = (frame.pc.symbol or "" for frame in frames)
    return any(_PANICS.search(name) for name in calls)


_LIBRARY_CALLS = 6
_PANICS = re.compile(r"core::cell::panic_already\w*borrowed")


def _symbol(place: Place | None) -> str:
    return (place.symbol or "") if place is not None else ""


_Holder = tuple[str, Place, str]


def _holders(kernel: Kernel, cell: KernelLock, panic: Panic) -> list[_Holder]:
    """The stack frames that hold a pointer to the cell's count, the outermost call first."""
    frames = backtrace_now(kernel).frames
    own = _holding(kernel, frames[panic.frame + 1 :], cell)
    # The one that wants it has a pointer to it as well.
    own = [place for place in own if place.symbol != _symbol(panic.place)] or own
    found = [("the panicking call stack", place, "show backtrace") for place in own]
    for stack in read_call_stacks(kernel).stacks:
        if stack.backtrace is not None and not _is_running(stack):
            number = stack.thread.id
            for place in _holding(kernel, stack.backtrace.frames, cell):
                found.append((name_of(stack.thread), place, f"thread {number}"))
    return found


def _is_running(stack: CallStack) -> bool:
    return stack.thread.status == "running"


def _holding(kernel: Kernel, frames: Sequence[StackFrame], cell: KernelLock) -> list[Place]:
    assert cell.flag is not None
    wanted = cell.flag.to_bytes(_WORD, "little")
    found: list[Place] = []
    for frame in reversed(frames):
        if frame.sp is None or frame.cfa is None or not 0 < frame.cfa - frame.sp <= _MAX_FRAME:
            continue
        try:
            data = kernel.own_memory.read(frame.sp, frame.cfa - frame.sp)
        except MemoryReadError:
            continue
        at = data.find(wanted)
        while at >= 0 and at % _WORD:
            at = data.find(wanted, at + 1)
        is_library = (frame.pc.symbol or "").startswith(("core::", "alloc::", "<core::"))
        if at >= 0 and not is_library:
            found.append(frame.pc)
    return found
